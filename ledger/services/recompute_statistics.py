"""The kept figures once more from the rows, compared, and made right where somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ground.errors import NotFound
from ground.scope import Scope
from ground.snapshot import one_snapshot
from ground.sql import fetch_all, fetch_one, run
from ledger.services.recomputed import COMPARE, PREPARE, REPAIR
from ledger.services.thin_snapshots import hours_from

SHOWN_PER_BOT = 1000
_DIFFERENCES = """
    SELECT bot_id, place, row_id, field, expected, found, differences FROM (
        SELECT d.*, count(*) OVER (PARTITION BY bot_id) AS differences,
               row_number() OVER (PARTITION BY bot_id ORDER BY place, row_id, field) AS place_in_line
          FROM ({statements}) d) x
     WHERE place_in_line <= %(shown)s ORDER BY bot_id, place_in_line
"""
_STATEMENT = _DIFFERENCES.format(statements=" UNION ALL ".join(f"({statement})" for statement in COMPARE.values()))


@dataclass(frozen=True, slots=True)
class Difference:
    """A kept figure that is not what its rows give. Amounts are decimal text, moments ISO 8601."""

    table: str
    row_id: str
    column: str
    expected: str | None
    found: str | None

    def __str__(self) -> str:
        return f"{self.table} {self.row_id}: {self.column} is {self.found or 'empty'}, the rows give {self.expected or 'empty'}"


@dataclass(frozen=True, slots=True)
class Differing:
    """A bot whose figures differ: in how many columns, and the first of them."""

    bot_id: UUID
    count: int
    differences: tuple[Difference, ...]
    is_repaired: bool = False


def recompute_statistics(
    *,
    scope: Scope,
    now: datetime,
    bot_id: UUID | None = None,
    fix: bool = False,
    tell: Callable[[Differing], None] = lambda _: None,
) -> list[Differing]:
    """Compare the all-time figures, the hours, the fees and the equity of every bot, or of one, with its rows.

    With ``fix`` what differs is made right, a bot at a time, while nobody else writes for it. Raises NotFound.
    """
    with one_snapshot(scope, reason="statistics compared"):
        if bot_id and not fetch_one("SELECT 1 FROM bots WHERE id = %s", [bot_id]):
            raise NotFound("There is no such bot.")
        found = _compare(bot_id, now=now)
    told = []
    for differing in found:
        told.append(_repair(scope, differing.bot_id, now=now) if fix else differing)
        tell(told[-1])
    return told


def _compare(bot_id: UUID | None, *, now: datetime) -> list[Differing]:
    """Within a transaction. The sums over all trades are made first; they go with it."""
    params = {"bot": bot_id, "hours_from": hours_from(now), "shown": SHOWN_PER_BOT}
    for statement in PREPARE:
        run(statement, params)
    made: dict[UUID, Differing] = {}
    for owner, *line, count in fetch_all(_STATEMENT, params):
        before = made[owner].differences if owner in made else ()
        made[owner] = Differing(owner, count, (*before, Difference(*line)))
    return list(made.values())


def _repair(scope: Scope, bot_id: UUID, *, now: datetime) -> Differing:
    """Whoever writes trades or positions of a bot locks its account first; decisions and snapshots wait for its rows of
    figures (hours before days, as their trigger goes). What is compared again under these locks is what is made right."""
    with scope.transaction(reason="statistics repaired"):
        params = {"bot": bot_id}
        run("SELECT 1 FROM bot_accounts WHERE bot_id = %(bot)s FOR UPDATE", params)
        run("SELECT 1 FROM bot_stats WHERE bot_id = %(bot)s FOR UPDATE", params)
        run("SELECT 1 FROM bot_equity_buckets WHERE bot_id = %(bot)s ORDER BY span DESC, start_at FOR UPDATE", params)
        found = next(iter(_compare(bot_id, now=now)), None)
        if found is None:  # somebody was quicker
            return Differing(bot_id, 0, (), is_repaired=True)
        tables = {difference.table for difference in found.differences}
        if "bot_trade_hours" in tables:
            tables.add("bot_trade_spans")
        for table in (table for table in REPAIR if table in tables):
            for statement in REPAIR[table]:
                run(statement, params)
    return Differing(bot_id, found.count, found.differences, is_repaired=True)
