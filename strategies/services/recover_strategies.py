"""Strategies whose rows were lost together with their bots, taken up again once the bots were recovered."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from structlog import get_logger

from bots.models import Bot
from bots.services.recover_definitions import SOURCE
from ground.http import ExactJSONDecoder
from ground.scope import system_scope
from ground.sql import fetch_all
from strategies.models import ActiveStrategy
from strategies.rules.words import StrategyStatus
from strategies.services.recover_history import recover_history
from strategies.services.versions import keep_version

log = get_logger(__name__)
RECOVERY = system_scope("recovery")

# What the audit last knew of strategies whose bots were recovered lately and have none. A strategy that ended left a
# DELETE behind; one whose table was lost did not.
_REMEMBERED = """
    WITH lost AS (
        SELECT b.id FROM bots b
         WHERE b.source = %(source)s AND b.source_id <> '' AND b.created_at > %(now)s - interval '1 day'
           AND b.retired_at IS NULL AND b.desired_status = 'running'
           AND NOT EXISTS (SELECT 1 FROM active_strategies s WHERE s.bot_id = b.id)),
    begun AS (
        SELECT DISTINCT a.row_id FROM audit_log a JOIN lost ON lost.id = (a.after ->> 'bot_id')::uuid
         WHERE a.table_name = 'active_strategies' AND a.action = 'INSERT')
    SELECT a.row_id, a.action, a.after::text FROM audit_log a
     WHERE a.table_name = 'active_strategies' AND EXISTS (SELECT 1 FROM lost)
       AND a.row_id IN (SELECT row_id FROM begun) ORDER BY a.id
"""
_KEPT = ("exchange", "symbol", "symbol_shown", "strategy_type", "interval", "config", "started_at", "started_by")


def recover_strategies(*, now: datetime) -> int:
    """Take up strategies of recovered bots that the audit remembers as running; how many. Safe twice and at once.

    Their versions and history come back first. Each is a transaction of its own: never two bots' rows are held.
    """
    recover_history(scope=RECOVERY, now=now)
    with RECOVERY.transaction():
        remembered = _remembered(now)
    taken_up = 0
    for key, values in remembered.items():
        with RECOVERY.transaction(reason="strategy recovered with its bot"):
            taken_up += _taken_up(UUID(key), values, now)
    return taken_up


def _remembered(now: datetime) -> dict[str, dict[str, Any]]:
    merged: dict[str, dict[str, Any]] = {}
    for key, action, after in fetch_all(_REMEMBERED, {"source": SOURCE, "now": now}):
        if action == "DELETE":
            merged.pop(key, None)
        else:
            merged[key] = {**merged.get(key, {}), **json.loads(after or "{}", cls=ExactJSONDecoder)}
    return {key: values for key, values in merged.items() if values.get("status") != StrategyStatus.STOPPING}


def _taken_up(key: UUID, values: dict[str, Any], now: datetime) -> bool:
    bots = Bot.objects.select_for_update(of=("self",), no_key=True)
    bot = bots.filter(id=values["bot_id"], desired_status="running").first()
    if bot is None or ActiveStrategy.objects.filter(bot_id=bot.id).exists():
        return False
    kept = {name: values[name] for name in _KEPT}
    market = {name: kept[name] for name in ("exchange", "symbol")}
    if ActiveStrategy.objects.filter(client_id=bot.client_id, **market).exists():
        return False  # somebody has started one there meanwhile
    actor = f"{RECOVERY.actor}, as before"
    version = keep_version(
        bot=bot, config=kept["config"], interval=kept["interval"], actor=actor, note="recovered", now=now
    )
    strategy = ActiveStrategy.objects.create(
        id=key, client_id=bot.client_id, bot=bot, version=version, status=StrategyStatus.ACTIVE, status_at=now, **kept
    )
    log.info(f"Recovered strategy: {strategy.symbol_shown} ({strategy.strategy_type})", strategy=str(key))
    return True
