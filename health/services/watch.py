"""Watching the watcher: what each round of checks leaves behind, when every bot was looked at, and who is told of it.

A cycle is a look at every bot that is wanted running: it begins with the first round after the one before ended, and ends
with the round after which each of them was looked at since. A bot that is started meanwhile belongs to the next one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from alerts.services.boot import booted_at, hold_alerts, release_alerts
from ground.scope import Scope
from ground.sql import fetch_one, run
from health import selectors
from health.services.raise_incidents import look_for_incidents

AWAY_AFTER = timedelta(seconds=120)  # nobody ticked for so long: everything may look dead that was only not looked at

_LAST_TICK = "SELECT last_tick_at FROM health_state WHERE id = 1 FOR UPDATE"
_TICK = """
    INSERT INTO health_state AS s (id, last_tick_at) VALUES (1, %(now)s)
    ON CONFLICT (id) DO UPDATE SET last_tick_at = greatest(s.last_tick_at, excluded.last_tick_at)
"""
_ROUND = """
    INSERT INTO health_rounds (exchange, started_at, finished_at, bots, written, late_s)
    VALUES (%(exchange)s, %(started_at)s, %(finished_at)s, %(bots)s, %(written)s, %(late_s)s)
"""
# Rounds begin side by side, and the one that ends first need not be the one that began first. One that began before the
# last cycle ended, and tells of it late, was part of that.
_BEGIN = """
    INSERT INTO health_state AS s (id, cycle_began_at) VALUES (1, %(started_at)s)
    ON CONFLICT (id) DO UPDATE SET cycle_began_at = least(s.cycle_began_at, excluded.cycle_began_at)
     WHERE s.last_cycle_at IS NULL OR s.last_cycle_at <= excluded.cycle_began_at
"""
_WATCHED = "b.retired_at IS NULL AND b.desired_status = 'running' AND b.runtime_kind <> 'arena'"
_END = f"""
    WITH cycle AS MATERIALIZED (
        SELECT cycle_began_at AS began_at FROM health_state WHERE id = 1 AND cycle_began_at IS NOT NULL FOR UPDATE
    ), looked AS MATERIALIZED (
        SELECT count(*) AS bots, count(*) FILTER (WHERE h.checked_at >= cycle.began_at) AS done
          FROM cycle, bots b LEFT JOIN bot_health h ON h.bot_id = b.id
         WHERE {_WATCHED} AND (b.desired_at IS NULL OR b.desired_at < (SELECT began_at FROM cycle))
    )
    UPDATE health_state s SET last_cycle_at = %(now)s, last_cycle_bots = looked.bots, cycle_began_at = NULL,
           last_cycle_s = greatest(0, extract(epoch FROM %(now)s - cycle.began_at))
      FROM cycle, looked WHERE s.id = 1 AND looked.done = looked.bots
    RETURNING cycle.began_at
"""  # noqa: S608 - made of constants
_NOTHING_TO_WATCH = f"""
    SELECT NOT EXISTS (SELECT 1 FROM bots b WHERE {_WATCHED})
       AND (last_cycle_at IS NULL OR last_cycle_at < %(before)s) FROM health_state WHERE id = 1
"""  # noqa: S608 - made of constants


def after_checks(*, scope: Scope, now: datetime) -> None:
    """Called when verdicts were written, by whomever: troubles become incidents, and those that are over end."""
    look_for_incidents(scope=scope, now=now)


def after_round(
    *,
    scope: Scope,
    exchange: str,
    started_at: datetime,
    finished_at: datetime,
    bots: int,
    written: int,
    late_s: float,
    now: datetime,
) -> None:
    """Called at the end of one exchange's round: notes it, and finds out whether every bot has been looked at.

    ``bots`` were given to it, the verdicts of ``written`` were stored, and the latest of them was ``late_s`` overdue.
    """
    row: dict[str, Any] = {"exchange": exchange, "started_at": started_at, "finished_at": finished_at}
    with scope.transaction(reason="round of checks"):
        run(_ROUND, row | {"bots": bots, "written": written, "late_s": round(max(0.0, late_s), 3)})
        run(_BEGIN, row)
        finish_cycle(scope=scope, now=now)


def before_tick(*, scope: Scope, now: datetime) -> None:
    """Called at each tick of the schedule, before bots are claimed: notices that nobody ticked for a while."""
    with scope.transaction(reason="tick"):
        row = fetch_one(_LAST_TICK)
        last = row[0] if row else None
        run(_TICK, {"now": now})
        if last is None or now - last > AWAY_AFTER:
            note_boot(scope=scope, now=now)
        interval = timedelta(seconds=selectors.check_interval_s())
        idle = fetch_one(_NOTHING_TO_WATCH, {"before": now - interval})
        if idle and idle[0]:
            run(_BEGIN, {"started_at": now})
            finish_cycle(scope=scope, now=now)


def finish_cycle(*, scope: Scope, now: datetime) -> bool:
    """End the cycle if every bot was looked at since it began; alerts that waited for one are let go. Whether it ended."""
    with scope.transaction(reason="cycle of checks"):
        row = fetch_one(_END, {"now": now})
        if row is None:
            return False
        booted = booted_at(scope=scope)
        if booted is not None and row[0] >= booted:
            release_alerts(scope=scope, now=now)
    return True


def note_boot(*, scope: Scope, now: datetime) -> None:
    """Everything was away: no messages before one full cycle from now on and one time-out of heartbeats have passed."""
    with scope.transaction(reason="start"):
        hold_alerts(scope=scope, now=now, until=now + selectors.thresholds().heartbeat)
        run("UPDATE health_state SET cycle_began_at = NULL WHERE id = 1")
