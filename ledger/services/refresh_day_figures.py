"""After an exchange was read: how complete the ledger now is for a bot, its last 24 hours, and what its positions are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import orjson

from ground.scope import Scope
from ground.sql import run

DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look at a bot's trades at its exchange says of its last day.

    ``known_since``: the look shows that no trade since then is missing; None: it joins what is known already.
    ``is_told_apart`` False: some of the day's trades may be this bot's or another's.
    """

    bot_id: UUID
    client_id: UUID
    known_since: datetime | None
    is_told_apart: bool = True


# A look that joins the known leaves ``complete_since``; one that reaches a day back makes it at least that early; one
# that leaves a gap behind makes it late.
_GIVEN = """
    SELECT g.*, CASE WHEN g.known_since IS NULL THEN a.complete_since
                     WHEN g.known_since <= %(day_ago)s THEN least(a.complete_since, g.known_since)
                     ELSE g.known_since END AS complete_since
      FROM jsonb_to_recordset(%(rows)s::jsonb) AS g(bot_id uuid, client_id uuid, known_since timestamptz, is_told_apart boolean)
      LEFT JOIN bot_accounts a ON a.bot_id = g.bot_id
"""
_ACCOUNTS = f"""
    UPDATE bot_accounts a SET complete_since = g.complete_since FROM ({_GIVEN}) g
     WHERE a.bot_id = g.bot_id AND a.complete_since IS DISTINCT FROM g.complete_since
"""  # noqa: S608 - made of constants
_FIGURES = f"""
    INSERT INTO bot_stats AS s (bot_id, client_id, buys_24h, sells_24h, volume_24h, last_price, updated_at)
    SELECT g.bot_id, g.client_id, t.buys, t.sells, t.volume, n.price, %(now)s
      FROM ({_GIVEN}) g
      LEFT JOIN LATERAL (
        SELECT count(*) FILTER (WHERE t.side = 'buy') AS buys, count(*) FILTER (WHERE t.side = 'sell') AS sells,
               coalesce(sum(t.price * t.quantity), 0) AS volume
          FROM trades t WHERE t.bot_id = g.bot_id AND t.executed_at > %(day_ago)s
      ) t ON g.is_told_apart AND g.complete_since <= %(day_ago)s
      LEFT JOIN LATERAL (
        SELECT t.price FROM trades t WHERE t.bot_id = g.bot_id ORDER BY t.executed_at DESC, t.id DESC LIMIT 1
      ) n ON true
     ORDER BY g.bot_id
    ON CONFLICT (bot_id) DO UPDATE SET buys_24h = excluded.buys_24h, sells_24h = excluded.sells_24h,
        volume_24h = excluded.volume_24h, last_price = coalesce(excluded.last_price, s.last_price),
        updated_at = excluded.updated_at
"""  # noqa: S608 - made of constants
# A live position is worth what its market last traded at, as far as this bot has seen.
_MARKS = """
    UPDATE positions p SET mark_price = n.price, marked_at = n.executed_at, updated_at = %(now)s,
           unrealized_pnl = round((n.price - p.entry_price) * p.quantity
                                  * CASE p.position_type WHEN 'LONG' THEN 1 ELSE -1 END, 18)
      FROM unnest(%(bots)s::uuid[]) AS g(bot_id),
           LATERAL (SELECT t.price, t.executed_at, t.symbol, t.market_type FROM trades t WHERE t.bot_id = g.bot_id
                     ORDER BY t.executed_at DESC, t.id DESC LIMIT 1) n
     WHERE p.bot_id = g.bot_id AND p.status = 'open' AND p.mode = 'live' AND p.symbol = n.symbol
       AND p.market_type = n.market_type AND (p.mark_price, p.marked_at) IS DISTINCT FROM (n.price, n.executed_at)
"""


def refresh_day_figures(*, scope: Scope, readings: Sequence[Reading], now: datetime) -> None:
    """Bring the figures of these bots up to ``now``. What cannot be told becomes null. Safe to run twice."""
    if not readings:
        return
    bots = sorted(reading.bot_id for reading in readings)
    rows = [
        {"bot_id": r.bot_id, "client_id": r.client_id, "known_since": r.known_since, "is_told_apart": r.is_told_apart}
        for r in readings
    ]
    params = {"rows": orjson.dumps(rows).decode(), "now": now, "day_ago": now - DAY, "bots": bots}
    with scope.transaction():
        run("SELECT 1 FROM bot_accounts WHERE bot_id = ANY(%(bots)s::uuid[]) ORDER BY bot_id FOR NO KEY UPDATE", params)
        run(_FIGURES, params)
        run(_ACCOUNTS, params)
        run(_MARKS, params)


def extend_known_time(*, scope: Scope, bot_id: UUID, since: datetime, until: datetime) -> None:
    """The trades between were read to the last: where the ledger was complete from ``until`` on, it now is from ``since``.

    The day's figures follow with the next look at the bot. Safe to run twice.
    """
    with scope.transaction():
        run(
            "UPDATE bot_accounts SET complete_since = %(since)s WHERE bot_id = %(bot)s AND complete_since > %(since)s "
            "AND complete_since <= %(until)s",
            {"bot": bot_id, "since": since, "until": until},
        )
