"""A config that somebody gave the bot of a strategy itself becomes the strategy's own, and a version of it: theirs that was
adopted from Hummingbot, a bot that was edited in the admin or by the API."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from bots.models import Bot, BotTemplate
from bots.services.define_bot import template_of
from clients.models import AuditEntry
from ground.sql import fetch_all
from strategies.models import ActiveStrategy
from strategies.rules.configs import from_bot
from strategies.rules.words import StrategyStatus
from strategies.services.close_strategies import KEEPER
from strategies.services.versions import keep_version

# Both with the interval that they come to: the bot's own, else its template's.
_OTHERS = """
    SELECT s.id FROM active_strategies s JOIN bots b ON b.id = s.bot_id
      LEFT JOIN bot_templates t ON t.name = s.strategy_type
           AND (t.defaults ? 'interval' OR coalesce(t.schema -> 'properties', '{}') ? 'interval')
     WHERE s.status <> 'stopping' AND b.retired_at IS NULL
       AND CASE WHEN t.id IS NULL THEN b.config <> s.config
                ELSE jsonb_build_object('interval', coalesce(t.defaults ->> 'interval', s.interval)) || b.config
                     <> jsonb_build_object('interval', s.interval) || s.config END
     ORDER BY s.id FOR NO KEY UPDATE OF s SKIP LOCKED
"""


def follow_configs(*, now: datetime) -> int:
    """Give strategies the configs that their bots were given; returns how many. Safe twice and at once.

    Nothing is deployed by it: what was adopted runs already, and an edited bot takes its config at its next start.
    """
    with KEEPER.transaction(reason="its bot has another config"):
        return sum(_follow(row[0], now) for row in fetch_all(_OTHERS))


def _follow(strategy_id: UUID, now: datetime) -> bool:
    strategy = ActiveStrategy.objects.get(id=strategy_id)
    bot = Bot.objects.select_for_update(no_key=True).get(id=strategy.bot_id)
    row = BotTemplate.objects.filter(name=strategy.strategy_type).first()
    stands = strategy.config, strategy.interval
    config, interval = from_bot(template_of(row) if row else None, bot.config, config=stands[0], interval=stands[1])
    if (config, interval) == stands or strategy.status == StrategyStatus.STOPPING:
        return False
    actor, note = _who_and_why(bot.id)
    strategy.config, strategy.interval = config, interval
    strategy.version = keep_version(bot=bot, config=config, interval=interval, actor=actor, note=note, now=now)
    strategy.save(update_fields=["config", "interval", "version"])
    return True


def _who_and_why(bot_id: UUID) -> tuple[str, str]:
    """Who gave the bot the config that it has, and for what reason, as the audit knows it."""
    entries = AuditEntry.objects.filter(table_name="bots", row_id=str(bot_id), after__has_key="config")
    entry = entries.order_by("-id").first()
    return (entry.actor, entry.reason) if entry else (KEEPER.actor, "its bot was changed")
