"""The ledger as the state of the old arena: JSON text in pieces, in bounded memory.

Columns are the truth. ``extra`` of each row and ``kept_documents`` give what no column holds, so that what was imported
comes back equal, and keys stand in their old order. What the bridge recorded since has our ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections

from ground.scope import current_alias
from ground.sql import fetch_all, fetch_one
from ledger.rules.arena_shape import (
    AUDIT,
    LIVING,
    Number,
    Shape,
    exact_value,
    log_shape,
    order_shape,
    position_shape,
    restored,
    written,
)
from ledger.selectors.arena_figures import BASELINE, FIGURES, figure

DEFAULT_SOURCE = "arena"
SHARED = ("bots", "marketData")  # all that one client's export holds; other keys may tell of other people's bots
# The keys of a bot that no import brought.
BOT_KEYS = ("id", "userId", "name", "tradingMode", "initialBalance", "orders", "botLogs", "portfolio", "realizedPnl",
            "tradeCount", "winRate")  # fmt: skip
PORTFOLIO_KEYS = ("balance", "pnl", "totalValue", "positions")

_BOTS = """
    SELECT b.id, coalesce(nullif(b.source_id, ''), b.id::text),
           coalesce((SELECT nullif(c.source_id, '') FROM clients c WHERE c.id = b.client_id), b.client_id::text),
           (SELECT a.mode FROM bot_accounts a WHERE a.bot_id = b.id)
      FROM bots b LEFT JOIN kept_documents d
        ON d.bot_id = b.id AND d.client_id = b.client_id AND d.source = %(source)s AND d.kind = 'place'
     WHERE b.retired_at IS NULL AND (%(client)s::uuid IS NULL OR b.client_id = %(client)s)
       AND (b.source = %(source)s OR d.id IS NOT NULL
            OR (b.source = '' AND b.runtime_kind = 'arena' AND %(source)s = %(default)s))
     ORDER BY d.rank NULLS LAST, b.created_at, b.id
"""
_DOCUMENTS = """
    SELECT key, id FROM kept_documents WHERE source = %s AND kind = %s AND bot_id IS NOT DISTINCT FROM %s
     ORDER BY rank, key
"""
_MS = "trunc(extract(epoch FROM {0}) * 1000)::bigint::text"
_ORDERS = f"""
    SELECT t.source_id, t.id::text, t.symbol, t.action, t.trade_type, trim_scale(t.price)::text,
           trim_scale(t.entry_price)::text, trim_scale(t.size)::text, trim_scale(t.leverage)::text,
           trim_scale(t.pnl)::text, trim_scale(t.fee)::text, {_MS.format("t.executed_at")}, t.extra::text,
           coalesce(nullif(p.source_id, ''), p.id::text)
      FROM trades t LEFT JOIN positions p ON p.bot_id = t.bot_id AND p.id = t.position_id AND t.source_id = ''
     WHERE t.bot_id = %s ORDER BY t.source_rank NULLS FIRST, t.executed_at DESC, t.id DESC
"""  # noqa: S608 - made of constants
_FORM = """
    SELECT extra ->> 'form' FROM trades WHERE bot_id = %s AND source_id <> ''
     ORDER BY source_rank, id LIMIT 1
"""
_LOGS = f"""
    SELECT d.source_id, d.id::text, {_MS.format("d.decided_at")}, d.prompt_sent, d.decisions_json::text, d.notes_json::text,
           d.extra::text
      FROM bot_decisions d WHERE d.bot_id = %s ORDER BY d.source_rank NULLS FIRST, d.decided_at DESC, d.id DESC
"""  # noqa: S608 - made of constants
_HAS = """
    SELECT EXISTS (SELECT 1 FROM trades WHERE bot_id = %(bot)s), EXISTS (SELECT 1 FROM bot_decisions WHERE bot_id = %(bot)s),
           EXISTS (SELECT 1 FROM positions WHERE bot_id = %(bot)s AND status = 'open')
"""
_POSITIONS = """
    SELECT coalesce(nullif(p.source_id, ''), p.id::text), p.symbol, p.position_type, trim_scale(p.entry_price)::text,
           trim_scale(p.size)::text, trim_scale(p.leverage)::text, trim_scale(p.unrealized_pnl)::text,
           trim_scale(p.stop_loss)::text, trim_scale(p.take_profit)::text, trim_scale(p.liquidation_price)::text,
           p.extra::text
      FROM positions p WHERE p.bot_id = %s AND p.status = 'open'
     ORDER BY p.source_rank NULLS LAST, p.opened_at, p.id
"""


Write = Callable[[str], Any]


class _Bot(NamedTuple):
    id: UUID
    source_id: str
    user_id: str
    mode: str | None


def write_state(write: Write, *, source: str = DEFAULT_SOURCE, client_id: UUID | None = None) -> int:
    """Write the state's JSON text piece by piece, all of it or one client's part; returns how many bots it holds.

    Call it within a transaction that sees one moment (``ground.snapshot``).
    """
    documents = _documents(source, "state", None)
    keys = [key for key in dict.fromkeys([*documents, *SHARED]) if client_id is None or key in SHARED]
    bots = [_Bot(*row) for row in fetch_all(_BOTS, {"source": source, "client": client_id, "default": DEFAULT_SOURCE})]

    def member(key: str) -> None:
        if key == "bots":
            _write_bots(write, bots, source)
        else:
            write(_body(documents[key]) if key in documents else "[]")

    _write_object(write, keys, member)
    write("\n")
    return len(bots)


def _write_bots(write: Write, bots: list[_Bot], source: str) -> None:
    write("[")
    for place, bot in enumerate(bots):
        write("," if place else "")
        _write_bot(write, bot, source)
    write("]")


def _write_bot(write: Write, bot: _Bot, source: str) -> None:
    documents, figures = _documents(source, "bot", bot.id), _figures(bot.id, source)
    has_orders, has_logs, has_positions = fetch_one(_HAS, {"bot": bot.id}) or (False, False, False)
    own: Shape = {"id": bot.source_id, "userId": bot.user_id, "tradingMode": bot.mode}
    present = {"orders": has_orders, "botLogs": has_logs, "portfolio": has_positions}

    def member(key: str) -> None:
        if (
            key in present
            and not present[key]
            and key in documents
            and (kept := _body(documents[key])) not in ("[]", "{}")
        ):
            write(kept)
        elif key == "orders":
            _write_list(write, _orders(bot.id))
        elif key == "botLogs":
            _write_list(write, _logs(bot.id))
        elif key == "portfolio":
            _write_portfolio(write, bot, source, figures, is_known=bool(documents), has_positions=has_positions)
        else:
            write(_told(key, documents.get(key), *figures) if key in documents or key not in own else written(own[key]))

    _write_object(write, _keys(documents or BOT_KEYS, present), member)


def _write_portfolio(
    write: Write, bot: _Bot, source: str, figures: tuple[Shape, Shape], *, is_known: bool, has_positions: bool
) -> None:
    documents = _documents(source, "portfolio", bot.id)

    def member(key: str) -> None:
        kept = _body(documents[key]) if key == "positions" and key in documents and not has_positions else "[]"
        if kept != "[]":
            write(kept)
        elif key == "positions":
            _write_list(write, _positions(bot.id))
        else:
            write(_told(key, documents.get(key), *figures))

    keys = documents if documents or is_known else PORTFOLIO_KEYS
    _write_object(write, _keys(keys, {"positions": has_positions}), member)


def _keys(known: Iterable[str], present: dict[str, bool]) -> list[str]:
    """The keys as they stood, and those of lists that were not there but would have rows now."""
    return list(dict.fromkeys([*known, *(key for key, is_present in present.items() if is_present)]))


def _told(key: str, document: UUID | None, now: Shape, then: Shape) -> str:
    """A field's old word, or the ledger's figure where that moved since the import."""
    if document is None:
        return written(now.get(key))
    kept = _body(document)
    if key not in now or now[key] == then.get(key):
        return kept
    return written(figure(key, kept=exact_value(kept), then=then.get(key), now=now[key]))


def _orders(bot_id: UUID) -> Iterator[str]:
    found = fetch_one(_FORM, [bot_id])
    usual = (found and found[0]) or AUDIT
    for (source_id, own_id, symbol, action, kind, price, entry, size, leverage, pnl, fee, ms, extra, position) in _rows(
        _ORDERS, bot_id
    ):  # fmt: skip
        held = exact_value(extra) if extra else {}
        shape = order_shape(
            held.get("form", AUDIT) if source_id else usual, order_id=source_id or own_id, symbol=symbol, action=action,
            trade_type=kind, price=Number(price), entry_price=_number(entry), size=Number(size), leverage=Number(leverage),
            pnl=_number(pnl), fee=_number(fee), executed_ms=Number(ms),
        )  # fmt: skip
        if not source_id and position:
            shape["positionId"] = position
        yield written(restored(shape, held))


def _logs(bot_id: UUID) -> Iterator[str]:
    for source_id, own_id, ms, prompt, decisions, notes, extra in _rows(_LOGS, bot_id):
        shape = log_shape(
            decided_ms=Number(ms), prompt=prompt, decisions=exact_value(decisions), notes=exact_value(notes)
        )
        if not source_id:
            shape["id"] = own_id
        yield written(restored(shape, exact_value(extra) if extra else None))


def _positions(bot_id: UUID) -> Iterator[str]:
    for own_id, symbol, kind, entry, size, leverage, pnl, stop, take, end, extra in _rows(_POSITIONS, bot_id):
        shape = position_shape(
            position_id=own_id, symbol=symbol, position_type=kind, entry_price=Number(entry), size=Number(size),
            leverage=Number(leverage), pnl=_number(pnl), stop_loss=_number(stop), take_profit=_number(take),
            liquidation_price=_number(end),
        )  # fmt: skip
        yield written(restored(shape, exact_value(extra) if extra else None, can_change=LIVING))


def _rows(query: str, bot_id: UUID) -> Iterator[tuple[Any, ...]]:
    """The rows of a query as the server sends them, one at a time; nothing else can be asked until the last."""
    with connections[current_alias()].connection.cursor() as cursor:
        yield from cursor.stream(query, [bot_id])


def _documents(source: str, kind: str, bot_id: UUID | None) -> dict[str, UUID]:
    """The ids of kept documents by key, in their old order."""
    return dict(fetch_all(_DOCUMENTS, [source, kind, bot_id]))


def _body(document_id: UUID) -> str:
    row = fetch_one("SELECT body FROM kept_documents WHERE id = %s", [document_id])
    return str(row[0]) if row else "null"


def _figures(bot_id: UUID, source: str) -> tuple[Shape, Shape]:
    """What the ledger says of a bot now, and what it said when the last import ended."""
    now = fetch_one(f"{FIGURES} WHERE b.id = %s", [bot_id])
    then = fetch_one(
        "SELECT body FROM kept_documents WHERE source = %s AND kind = %s AND bot_id = %s", [source, BASELINE, bot_id]
    )
    return exact_value(now[2]) if now else {}, exact_value(then[0]) if then else {}


def _write_object(write: Write, keys: Iterable[str], member: Callable[[str], None]) -> None:
    for place, key in enumerate(keys):
        write(f"{',' if place else '{'}{written(key)}:")
        member(key)
    write("}" if keys else "{}")


def _write_list(write: Write, texts: Iterable[str]) -> None:
    write("[")
    for place, text in enumerate(texts):
        write(f",{text}" if place else text)
    write("]")


def _number(text: str | None) -> Number | None:
    return None if text is None else Number(text)
