"""The state of every active bot at each tick, recorded by one statement."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ground.scope import Scope
from ground.sql import run
from ledger.services.settings_row import ledger_settings

MOST_LATE = timedelta(minutes=2)  # a state of later than that is not the tick's; half an interval where that is less
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Of many workers one moves the newest tick on; the others wait for its row, and then find it moved.
_CLAIM = """
    INSERT INTO ledger_state AS s (id, snapshot_at) VALUES (1, %(tick)s)
    ON CONFLICT (id) DO UPDATE SET snapshot_at = excluded.snapshot_at
     WHERE s.snapshot_at IS NULL OR s.snapshot_at < excluded.snapshot_at
"""
_ACTIVE = """
    SELECT b.id, b.client_id, b.pair, b.runtime_kind FROM bots b
     WHERE b.retired_at IS NULL AND (b.desired_status = 'running' OR b.id IN (
        SELECT p.bot_id FROM positions p WHERE p.status = 'open'))
"""
_OPEN_ACCOUNTS = f"""
    INSERT INTO bot_accounts (bot_id, client_id, mode, currency, cash_flow, realized_pnl_adjustment, balance_adjustment)
    SELECT b.id, b.client_id, CASE WHEN b.runtime_kind = 'arena' THEN 'paper' ELSE 'live' END,
           split_part(split_part(b.pair, '/', 2), ':', 1), 0, 0, 0
      FROM ({_ACTIVE}) b
     WHERE split_part(b.pair, '/', 2) <> '' AND NOT EXISTS (SELECT FROM bot_accounts a WHERE a.bot_id = b.id)
     ORDER BY b.id
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - made of constants
# One absurd row must not keep all others from being recorded: what the column cannot hold is not known.
_STATES = """
    INSERT INTO bot_state_snapshots (client_id, bot_id, taken_at, balance, realized_pnl, unrealized_pnl, total_value,
        trade_count, closed_trade_count, win_rate, fees, open_positions, benchmark_price, source)
    SELECT b.client_id, b.id, b.at, a.balance, coalesce(s.pnl, 0) + a.realized_pnl_adjustment,
           CASE WHEN abs(p.unrealized) < 1e20 THEN p.unrealized END,
           CASE WHEN abs(v.equity) < 1e20 THEN v.equity END,
           coalesce(s.trades, 0), coalesce(s.closed_trades, 0), s.wins / nullif(s.closed_trades, 0)::numeric,
           coalesce(s.fees, 0), p.count, CASE WHEN a.mode = 'live' THEN s.last_price END, b.source
      FROM ({who}) b
      JOIN bot_accounts a ON a.bot_id = b.id
      LEFT JOIN bot_stats s ON s.bot_id = b.id
     CROSS JOIN LATERAL (
        SELECT count(*) AS count, coalesce(sum(o.size), 0) AS bound,
               CASE WHEN count(*) = count(o.unrealized_pnl) THEN coalesce(sum(o.unrealized_pnl), 0) END AS unrealized
          FROM positions o WHERE o.bot_id = b.id AND o.status = 'open'
     ) p
     CROSS JOIN LATERAL (SELECT a.balance + p.bound + p.unrealized AS equity) v
     ORDER BY b.id
    ON CONFLICT (bot_id, taken_at) DO NOTHING
"""


def record_states(who: str) -> str:
    """SQL that records the present state of the bots of ``who``, a query of id, client_id, at and source."""
    return _STATES.format(who=who)


_SNAPSHOTS = record_states(f"SELECT x.id, x.client_id, %(tick)s::timestamptz AS at, '' AS source FROM ({_ACTIVE}) x")  # noqa: S608


def take_snapshots(*, scope: Scope, now: datetime) -> int | None:
    """Record the tick that ``now`` belongs to; how many bots, None when it is recorded already or too long ago.

    What was missed stays missed: a state is recorded when it is seen, or not at all.
    """
    with scope.transaction(reason="first snapshot"):
        interval = timedelta(minutes=ledger_settings().snapshot_minutes)
        tick = now - (now - _EPOCH) % interval
        if now - tick > min(MOST_LATE, interval / 2) or not run(_CLAIM, {"tick": tick}):
            return None
        run(_OPEN_ACCOUNTS)
        return run(_SNAPSHOTS, {"tick": tick})
