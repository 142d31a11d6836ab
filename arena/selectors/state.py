"""The arena as its page shows it, built from the tables: all of it, or what changed since the page last asked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from arena.rules.cursor import Cursor, read_cursor
from arena.selectors.watching_sql import BOTS, CHANGED, LOADING, MARKETS, PORTFOLIOS, STAND
from clients.selectors import as_uuid
from ground.errors import InvalidInput
from ground.http import dump
from ground.keyset import NOT_OURS, decode_cursor, encode_cursor
from ground.scope import Scope
from ground.sql import fetch_all, fetch_one

MOST_BOTS = 100  # in one answer
MOST_PORTFOLIOS = 2000
NO_CURSOR = "since must be a cursor that /api/state gave, or the id of an event of the stream."


def state_json(scope: Scope, *, since: str, after: str, limit: int, now: datetime) -> str:
    """``{bots, marketData, cursor, isFull, next}`` as JSON text; with ``since`` the bots that changed after it, beside
    ``removed``, ``loading`` and, when prices are newer, ``portfolios``.

    Own rows only. A cursor from longer ago than events are kept gets everything (``isFull``). Raises InvalidInput.
    """
    known = _known(since)
    at, after_id = _after(after)
    params = {"tenant": scope.client_id, "now": now, "after_at": at, "after_id": after_id, "most": limit + 1}
    with scope.transaction():
        stand, keep = _stand()
        if known is None or not known.is_kept(now=now, keep=keep, newest_xid=stand.xid):
            return _all(params, stand, limit)
        return _changes(params, known, stand, limit)


def _all(params: dict[str, Any], stand: Cursor, limit: int) -> str:
    bots, last = _bots(params, None, limit)
    return _written(bots, {"marketData": _text(MARKETS, params)}, stand, is_full=True, last=last)


def _changes(params: dict[str, Any], known: Cursor, stand: Cursor, limit: int) -> str:
    """What changed is looked for among all that is visible, while the new cursor stands below what is still open: an event
    may be told twice, and is never left out."""
    told = {**params, "xid": known.xid, "id": known.id, "at_ms": known.at_ms}
    changed = [row[0] for row in fetch_all(CHANGED, told)]
    bots, last = _bots(params, changed, limit) if changed else ([], None)
    extra = {"loading": _text(LOADING, params), "removed": "[]"}
    if changed:
        there = fetch_all("SELECT id FROM bots WHERE id = ANY(%s) AND retired_at IS NULL", [changed])
        gone = set(changed) - {row[0] for row in there}
        extra["removed"] = dump(sorted(str(one) for one in gone)).decode()
    if stand.prices > known.prices:
        full = {one for one, _ in bots}
        held = fetch_all(PORTFOLIOS, {**params, "most": MOST_PORTFOLIOS})
        extra["marketData"] = _text(MARKETS, params)
        extra["portfolios"] = _list([text for bot_id, text in held if bot_id not in full])
    return _written(bots, extra, stand, is_full=False, last=last)


def _bots(params: dict[str, Any], only: list[UUID] | None, limit: int) -> tuple[list[tuple[UUID, str]], str | None]:
    """Ids and JSON of a page of bots, and where the next page begins."""
    rows = fetch_all(BOTS, {**params, "only": only})
    shown = rows[:limit]
    last = encode_cursor(shown[-1][1].isoformat(), shown[-1][0]) if len(rows) > limit else None
    return [(row[0], row[2]) for row in shown], last


def _written(
    bots: list[tuple[UUID, str]], extra: dict[str, str], stand: Cursor, *, is_full: bool, last: str | None
) -> str:
    told = "".join(f',"{name}":{text}' for name, text in extra.items())
    rest = dump({"cursor": str(stand), "isFull": is_full, "next": last}).decode()[1:]
    return f'{{"bots":{_list([text for _, text in bots])}{told},{rest}'


def _stand() -> tuple[Cursor, timedelta]:
    row = fetch_one(STAND)
    assert row is not None  # noqa: S101 - one row by construction
    xid, at_ms, prices, hours = row
    return Cursor(xid, 0, at_ms, prices), timedelta(hours=hours)


def _text(statement: str, params: dict[str, Any]) -> str:
    return str((fetch_one(statement, params) or ("[]",))[0])


def _list(texts: list[str]) -> str:
    return f"[{','.join(texts)}]"


def _known(since: str) -> Cursor | None:
    if not since:
        return None
    known = read_cursor(since)
    if known is None:
        raise InvalidInput(NO_CURSOR, code="invalid_cursor", fields={"since": [NO_CURSOR]})
    return known


def _after(text: str) -> tuple[datetime | None, UUID | None]:
    if not text:
        return None, None
    moment, bot = decode_cursor(text, length=2)
    try:
        at, bot_id = datetime.fromisoformat(moment), as_uuid(bot)
    except ValueError:
        at, bot_id = None, None
    if at is None or at.tzinfo is None or bot_id is None:
        raise InvalidInput(NOT_OURS, code="invalid_cursor")
    return at, bot_id
