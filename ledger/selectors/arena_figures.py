"""What the ledger itself says where an old arena's bot kept a figure of its own."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from ledger.rules.arena_shape import JsonText, Number, plain

BASELINE = "baseline"
"""The kind of document in which an import keeps these figures as they were when it ended."""
COUNTED = "tradeCount"  # the old system counted in a way of its own: what came since is added to it
RATIO = "winRate"

# One row a bot: its id and a JSON object of these figures by the old names.
FIGURES = """
    SELECT b.id, b.client_id, jsonb_build_object(
        'name', b.name, 'initialBalance', trim_scale(a.allocated_capital),
        'realizedPnl', trim_scale(coalesce(s.pnl, 0) + coalesce(a.realized_pnl_adjustment, 0)),
        'tradeCount', coalesce(s.trades, 0),
        'winRate', trim_scale(round(s.wins::numeric / nullif(s.closed_trades, 0), 18)),
        'balance', trim_scale(a.balance), 'pnl', trim_scale(o.pnl),
        'totalValue', trim_scale(a.balance + o.size + o.pnl))::text AS figures
      FROM bots b LEFT JOIN bot_accounts a ON a.bot_id = b.id LEFT JOIN bot_stats s ON s.bot_id = b.id
     CROSS JOIN LATERAL (
        SELECT coalesce(sum(p.size), 0) AS size,
               CASE WHEN bool_or(p.unrealized_pnl IS NULL) THEN NULL ELSE coalesce(sum(p.unrealized_pnl), 0) END AS pnl
          FROM positions p WHERE p.bot_id = b.id AND p.status = 'open') o
"""


def figure(key: str, *, kept: Any, then: Any, now: Any) -> Any:
    """What to write for a figure: the old word ``kept``, unless the ledger's own moved from ``then`` to ``now``."""
    if now == then or now is None:
        return kept
    before, moved, after = _decimal(kept), _decimal(then), _decimal(now)
    if before is None or after is None:
        return now
    if key == COUNTED and moved is not None:
        return JsonText(plain(before + after - moved))
    if key == RATIO and before > 1:
        return JsonText(plain(after * 100))  # it was kept in percent
    return now


def _decimal(value: Any) -> Decimal | None:
    if type(value) is not Number:
        return None
    try:
        return Decimal(value)
    except InvalidOperation:
        return None
