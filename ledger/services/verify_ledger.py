"""Holding every rule of the ledger against its rows, and keeping what is broken as incidents."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from alerts.services.incidents import raise_incidents, resolve_incidents
from alerts.types import Trouble
from ground.errors import Conflict
from ground.scope import Scope
from ground.snapshot import one_snapshot
from ground.sql import fetch_all, fetch_one, run
from ledger.services.invariants import BOOKS, CHECKS, PREPARE, Check
from ledger.services.replay_books import Replay
from ledger.services.thin_snapshots import hours_from

NAMED_PER_BOT = 20
REPLAYED = 200_000  # executions a night, those of positions that changed
MARGIN = timedelta(hours=1)  # writers that the last verification did not see yet
HOUR = 3  # of the night, UTC
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('bridge verify_ledger'))"
# However much is broken, a bot's part in the answer stays small.
_GROUPED = """
    SELECT x.bot_id, k.id, k.client_id, x.place, x.row_id, x.field, x.expected, x.found, x.breaks FROM (
        SELECT b.*, count(*) OVER (PARTITION BY bot_id) AS breaks,
               row_number() OVER (PARTITION BY bot_id ORDER BY place, row_id, field) AS place_in_line
          FROM ({statements}) b) x
      LEFT JOIN bots k ON k.id = x.bot_id
     WHERE x.place_in_line <= %(named)s ORDER BY x.bot_id, x.place_in_line
"""


class ReplayHow(StrEnum):
    """Which live positions are booked again."""

    SOME = "some"  # a night's share of those that changed since the last verification
    ALL = "all"


class AlreadyRunning(Conflict):
    """Another verification has not ended yet."""

    code = "already_running"


@dataclass(frozen=True, slots=True)
class Break:
    """A row that breaks a rule. Amounts are decimal text, moments ISO 8601."""

    place: str  # its table
    row_id: str
    field: str
    expected: str | None
    found: str | None

    def __str__(self) -> str:
        return (
            f"{self.place} {self.row_id}: {self.field} is {self.found or 'empty'}, expected {self.expected or 'empty'}"
        )


@dataclass(frozen=True, slots=True)
class Broken:
    """What breaks one rule for one bot: how many fields of rows, and the first of them."""

    check: Check
    key: str  # the bot that the rows name, also where there is no such bot
    bot_id: UUID | None
    client_id: UUID | None
    count: int
    breaks: tuple[Break, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of one rule."""

    check: Check
    rows: int
    broken: tuple[Broken, ...]


def verify_ledger(
    *,
    scope: Scope,
    now: datetime,
    bot_id: UUID | None = None,
    replay: ReplayHow = ReplayHow.SOME,
    tell: Callable[[Checked], None] = lambda _: None,
) -> list[Checked]:
    """Every rule, for every bot or one, as the ledger stands at one moment; what is broken becomes an incident, and an
    incident whose rule holds again is resolved.

    Writers go on meanwhile and are not waited for. ``tell`` hears of each rule as it is done. Raises AlreadyRunning.
    """
    found = []
    with one_snapshot(scope, reason="ledger verified"):
        if fetch_one(_LOCK) != (True,):
            raise AlreadyRunning("A verification of the ledger is running already; wait for it.")
        _prepare(bot_id)
        for check in CHECKS:
            found.append(_held_against_rows(check, bot_id=bot_id, now=now))
            tell(found[-1])
        found.append(_replayed(replay, bot_id=bot_id, now=now))
        tell(found[-1])
    _keep(scope, found, bot_id=bot_id, now=now)
    return found


def verify_if_due(*, scope: Scope, now: datetime) -> list[Checked] | None:
    """The same once a night, after 03:00 UTC; None when it was done since, or runs already."""
    with scope.transaction():
        last = fetch_one("SELECT verified_at FROM ledger_state WHERE id = 1")
    night = now.astimezone(UTC).replace(hour=HOUR, minute=0, second=0, microsecond=0)
    if last and last[0] and last[0] >= (night if night <= now else night - timedelta(days=1)):
        return None
    try:
        return verify_ledger(scope=scope, now=now)
    except AlreadyRunning:
        return None


def _prepare(bot_id: UUID | None) -> None:
    """Sums over all trades are made once, for every rule that needs them."""
    for statement in PREPARE:
        run(statement, {"bot": bot_id})


def _held_against_rows(check: Check, *, bot_id: UUID | None, now: datetime) -> Checked:
    params = {"bot": bot_id, "now": now, "hours_from": hours_from(now), "named": NAMED_PER_BOT}
    rows = fetch_one(check.counts, params)
    statements = " UNION ALL ".join(f"({statement})" for statement in check.statements)
    return Checked(
        check, int(rows[0]) if rows else 0, _grouped(check, fetch_all(_GROUPED.format(statements=statements), params))
    )


def _replayed(how: ReplayHow, *, bot_id: UUID | None, now: datetime) -> Checked:
    """Positions that changed since the last verification, or all."""
    last = fetch_one("SELECT verified_at FROM ledger_state WHERE id = 1")
    since = last[0] - MARGIN if how is ReplayHow.SOME and bot_id is None and last and last[0] else None
    replay = Replay(now=now, since=since, most=REPLAYED if how is ReplayHow.SOME else None, bot_id=bot_id)
    made: dict[UUID, Broken] = {}
    for line in replay.deviations():
        before = made.get(line.bot_id) or Broken(BOOKS, str(line.bot_id), line.bot_id, line.client_id, 0, ())
        named = before.breaks if before.count >= NAMED_PER_BOT else (*before.breaks, Break(*line[2:]))
        made[line.bot_id] = Broken(BOOKS, before.key, line.bot_id, line.client_id, before.count + 1, named)
    return Checked(BOOKS, replay.executions, tuple(made.values()))


def _grouped(check: Check, lines: Iterable[tuple[Any, ...]]) -> tuple[Broken, ...]:
    made: dict[UUID | None, Broken] = {}
    for named, bot_id, client_id, place, row_id, field, expected, found, count in lines:
        before = made[named].breaks if named in made else ()
        line = Break(place, row_id, field, expected, found)
        made[named] = Broken(check, str(named or "no bot"), bot_id, client_id, count, (*before, line))
    return tuple(made.values())


def _keep(scope: Scope, found: list[Checked], *, bot_id: UUID | None, now: datetime) -> None:
    with scope.transaction(reason="ledger verified"):
        for checked in found:
            troubles = [_trouble(broken) for broken in checked.broken]
            raise_incidents(scope=scope, troubles=troubles, now=now)
            resolve_incidents(
                scope=scope,
                kind=checked.check.kind,
                key=str(bot_id) if bot_id else None,
                still_broken=[trouble.key for trouble in troubles],
                resolution="Verified again: the rule holds.",
                now=now,
            )
        if bot_id is None:
            run(
                "INSERT INTO ledger_state (id, verified_at) VALUES (1, %s) "
                "ON CONFLICT (id) DO UPDATE SET verified_at = excluded.verified_at",
                [now],
            )


def _trouble(broken: Broken) -> Trouble:
    more = f" (and {broken.count - 1} more)" if broken.count > 1 else ""
    return Trouble(
        kind=broken.check.kind,
        key=broken.key,
        title=f"{broken.breaks[0]}{more}",
        severity=broken.check.severity,
        client_id=broken.client_id,
        bot_id=broken.bot_id,
        details={
            "rule": broken.check.says,
            "count": broken.count,
            "rows": [
                {"table": b.place, "id": b.row_id, "field": b.field, "expected": b.expected, "found": b.found}
                for b in broken.breaks
            ],
        },
    )
