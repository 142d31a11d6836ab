"""What a strategy traded between the last health check and its stop: read once more, so that its history is complete.

Nobody checks a bot that is stopped. So for each run that has just ended one check is asked for, and again while the
exchange gives no readable answer; what it reads goes into the ledger, and from there into the history.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from ground.errors import NotFound
from ground.scope import Scope
from ground.sql import fetch_all
from health.services.ask_check import request_check

ASK_FOR = timedelta(minutes=30)
ASK_AGAIN_AFTER = timedelta(minutes=1)

_UNREAD = """
    SELECT DISTINCT s.bot_id FROM strategy_history s JOIN bots b ON b.id = s.bot_id
      LEFT JOIN bot_health h ON h.bot_id = s.bot_id
     WHERE s.stopped_at > %(since)s AND s.source_id = '' AND b.retired_at IS NULL AND b.connector_id IS NOT NULL
       AND (h.checked_at IS NULL OR h.checked_at <= s.recorded_at
            OR NOT h.evidence @> '[{"probe": "trades", "outcome": "read"}]')
       AND NOT EXISTS (SELECT 1 FROM health_check_requests q WHERE q.bot_id = s.bot_id
                        AND q.requested_at > greatest(s.recorded_at, %(again)s))
     LIMIT 100
"""


def read_last_trades(*, scope: Scope, now: datetime) -> int:
    """Ask for a check of every bot whose run has just ended and was not read since; returns for how many."""
    with scope.transaction():
        found = fetch_all(_UNREAD, {"since": now - ASK_FOR, "again": now - ASK_AGAIN_AFTER})
    for (bot_id,) in found:
        with suppress(NotFound):  # deleted meanwhile
            request_check(scope=scope, bot_id=bot_id)
    return len(found)
