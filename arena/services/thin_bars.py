"""Old bars of five minutes go; those of hours stay for ever."""

from __future__ import annotations

from datetime import datetime, timedelta

from arena.rules.statuses import BarSpan
from arena.services.settings_row import arena_settings
from ground.scope import system_scope
from ground.sql import run

SCOPE = system_scope("arena")
AT_ONCE = 10_000
# The key begins with the market and the span, so this walks along it.
_THIN = """
    DELETE FROM arena_price_bars WHERE id = ANY (ARRAY(
        SELECT r.id FROM arena_markets m
          JOIN arena_price_bars r ON r.market_id = m.id AND r.span = %(span)s AND r.start_at < %(before)s
         LIMIT %(most)s FOR UPDATE OF r SKIP LOCKED))
"""


def thin_bars(*, now: datetime) -> int:
    """Delete the bars of five minutes that are older than the arena's settings keep; how many. Safe twice and at once."""
    deleted = 0
    while True:
        with SCOPE.transaction(reason="old bars thinned"):
            before = now - timedelta(days=arena_settings().keep_bars_days)
            gone = run(_THIN, {"span": str(BarSpan.FIVE_MINUTES), "before": before, "most": AT_ONCE})
        deleted += gone
        if gone < AT_ONCE:
            return deleted
