"""Starting a bot over: what it did until now moves, row by row, to a retired bot of the same client, and nothing is erased.

The bot keeps its id, its prompt versions, limits and budgets, and begins with no figures and its starting balance. Every
statement names this one bot, so no other can be touched.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from arena.models import Halt, Participant
from arena.rules.statuses import OPEN_TURNS, HaltKind
from arena.services.events import tell, trade_event
from arena.services.halts import end_halt_of_rule
from arena.services.lock_participant import check_may_change, in_the_name_of, lock_participant, state_event
from arena.services.settings_row import arena_settings
from arena.services.steer_participant import exit_by_hand
from bots.models import Bot, BotHealth
from bots.rules.words import DesiredStatus, HealthStatus
from ground.errors import Conflict
from ground.http import exact_json
from ground.scope import Scope
from ground.sql import fetch_all, run
from ledger.models import KeptDocument
from ledger.services.import_arena.owners import STARTED_OVER
from ledger.services.record_paper import held_on_paper, lock_accounts, record_fills

# Whoever records states holds this row, so no state of the old life is written into the new one.
_LOCK_SNAPSHOTS = "SELECT 1 FROM ledger_state WHERE id = 1 FOR UPDATE"
# After the bot itself, so that none is opened any more, and before its account, as a turn locks them.
_LOCK_TURNS = "SELECT 1 FROM arena_turns WHERE bot_id = %(old)s AND status = ANY(%(open)s) FOR UPDATE"
_END_TURNS = """
    UPDATE arena_turns SET status = 'failed', message = 'The bot was reset.', finished_at = %(now)s, lease_token = NULL,
           lease_until = NULL
     WHERE bot_id = %(old)s AND status = ANY(%(open)s)
"""
_END_SUMMARIES = """
    UPDATE history_summaries SET status = 'failed', message = 'The bot was reset.', finished_at = %(now)s, lease_until = NULL
     WHERE bot_id = %(old)s AND status IN ('wanted', 'running')
"""
_STOP_SHADOWS = """
    UPDATE arena_shadow_runs SET status = 'stopped', message = 'The bot was reset.', finished_at = %(now)s, lease_until = NULL
     WHERE bot_id = %(old)s AND status IN ('wanted', 'running')
"""
_ACCOUNT = """
    INSERT INTO bot_accounts (bot_id, client_id, mode, currency, allocated_capital, capital_changed_at, cash_flow,
                              realized_pnl_adjustment, balance_adjustment, complete_since, opened_at, updated_at)
    SELECT %(new)s, client_id, mode, currency, allocated_capital, capital_changed_at, cash_flow, realized_pnl_adjustment,
           balance_adjustment, complete_since, opened_at, %(now)s
      FROM bot_accounts WHERE bot_id = %(old)s
"""
# Turns name a prompt of their own bot; the versions stay with the bot, so the turns' new owner has copies.
_PROMPTS = """
    INSERT INTO arena_prompts (id, bot_id, client_id, number, text, made_by, made_at, note)
    SELECT gen_random_uuid(), %(new)s, client_id, number, text, made_by, made_at, note
      FROM arena_prompts WHERE bot_id = %(old)s
"""
# One statement, since foreign keys hold each of these to the bot of the others, and are looked at when it ends.
_FACTS = """
    WITH decisions AS (UPDATE bot_decisions SET bot_id = %(new)s WHERE bot_id = %(old)s),
         positions AS (UPDATE positions SET bot_id = %(new)s WHERE bot_id = %(old)s),
         trades AS (UPDATE trades SET bot_id = %(new)s WHERE bot_id = %(old)s),
         shadow_runs AS (UPDATE arena_shadow_runs SET bot_id = %(new)s WHERE bot_id = %(old)s),
         shadow_turns AS (UPDATE arena_shadow_turns SET bot_id = %(new)s WHERE bot_id = %(old)s)
    UPDATE arena_turns t SET bot_id = %(new)s, prompt_id = (
           SELECT n.id FROM arena_prompts o JOIN arena_prompts n ON n.bot_id = %(new)s AND n.number = o.number
            WHERE o.id = t.prompt_id)
     WHERE t.bot_id = %(old)s
"""
_REST = (
    "UPDATE bot_state_snapshots SET bot_id = %(new)s WHERE bot_id = %(old)s",
    "UPDATE bot_equity_buckets SET bot_id = %(new)s WHERE bot_id = %(old)s",
    "UPDATE history_summaries SET bot_id = %(new)s WHERE bot_id = %(old)s",
    # What was spent counts against the bot's budget as before: that stands in a table of its own.
    "UPDATE llm_calls SET bot_id = %(new)s WHERE bot_id = %(old)s AND status <> 'reserved'",
    "DELETE FROM leaderboard_entries WHERE bot_id = %(old)s",
    "UPDATE bot_stats SET buys_24h = NULL, sells_24h = NULL, volume_24h = NULL, last_price = NULL WHERE bot_id = %(old)s",
    """
    UPDATE bot_accounts SET cash_flow = 0, realized_pnl_adjustment = 0, balance_adjustment = 0, opened_at = %(now)s,
           updated_at = %(now)s WHERE bot_id = %(old)s
    """,
)


def reset_participant(*, scope: Scope, bot_id: UUID, now: datetime) -> UUID:
    """Start a bot over, in one transaction; gives the retired bot that has what it did. Whether it runs stays as it is.

    Positions are closed first, at prices that are fresh, and a turn under way comes to nothing. Raises NotFound, Forbidden,
    and Conflict when a price is not fresh or the bot has no money on paper.
    """
    check_may_change(scope)
    house = in_the_name_of(scope)
    with house.transaction(reason="reset"):
        values: dict[str, Any] = {"old": bot_id, "now": now, "open": [str(status) for status in OPEN_TURNS]}
        run(_LOCK_SNAPSHOTS)
        participant = lock_participant(scope, bot_id)
        fetch_all(_LOCK_TURNS, values)
        _close_all(scope, bot_id, now=now)
        archive = _make_archive(participant.bot, by=scope.actor, now=now)
        values["new"] = archive.id
        for statement in (_END_TURNS, _END_SUMMARIES, _STOP_SHADOWS, _ACCOUNT, _PROMPTS, _FACTS, *_REST):
            run(statement, values)
        _keep_from_imports(participant.bot, archive, now=now)
        _begin(participant, now=now)
        _lift_rules(house, bot_id, now=now)
        tell([state_event(participant, reset=True, archive=str(archive.id))], now=now)
    return archive.id


def _close_all(scope: Scope, bot_id: UUID, *, now: datetime) -> None:
    accounts = lock_accounts([bot_id])
    if bot_id not in accounts:
        raise Conflict("The bot has no money on paper; there is nothing to reset.", code="no_account")
    chosen = arena_settings()
    note = f"Closed for a reset by {scope.actor}."
    leaving = [exit_by_hand(one, chosen, note=note, now=now) for one in held_on_paper([bot_id]).values()]
    if leaving:
        done = record_fills(leaving, accounts=accounts, at=now, now=now, place=f"reset {now.isoformat()}")
        tell([trade_event(one) for one in done], now=now)


def _make_archive(bot: Bot, *, by: str, now: datetime) -> Bot:
    until = f" (until {now:%Y-%m-%d %H:%M})"
    archive = Bot.objects.create(
        id=uuid4(), client_id=bot.client_id, connector_name=bot.connector_name, name=bot.name[: 200 - len(until)] + until,
        pair=bot.pair, strategy=bot.strategy, config=bot.config, runtime_kind=bot.runtime_kind,
        desired_status=DesiredStatus.STOPPED, desired_at=now, desired_by=by, desired_reason=f"archive of {bot.id}",
        retired_at=now, created_at=bot.created_at, updated_at=now,
    )  # fmt: skip
    BotHealth.objects.create(
        bot=archive, client_id=bot.client_id, status=HealthStatus.STOPPED, message=f"What {bot.id} did until its reset."
    )
    return archive


def _keep_from_imports(bot: Bot, archive: Bot, *, now: datetime) -> None:
    """An import that comes again must not bring back what was put aside."""
    if bot.source:
        body = exact_json({"archive": archive.id, "at": now})
        KeptDocument.objects.update_or_create(
            bot=bot, client_id=bot.client_id, source=bot.source, kind=STARTED_OVER, key="", defaults={"body": body}
        )


def _begin(participant: Participant, *, now: datetime) -> None:
    participant.turns, participant.unreadable_in_row, participant.refused_in_row = 0, 0, 0
    participant.last_turn_at = participant.forced_at = participant.peak_equity = participant.peak_capital = None
    participant.forced_by, participant.next_turn_at, participant.began_at = "", now, now
    participant.updated_at = now
    participant.save(
        update_fields=[
            "turns", "unreadable_in_row", "refused_in_row", "last_turn_at", "forced_at", "peak_equity",
            "peak_capital", "forced_by",
            "next_turn_at", "began_at", "updated_at",
        ]
    )  # fmt: skip


def _lift_rules(house: Scope, bot_id: UUID, *, now: datetime) -> None:
    """What a rule held against the old life; a switch that somebody pulled stays."""
    for found in Halt.objects.filter(bot_id=bot_id, lifted_at=None).exclude(kind=HaltKind.SWITCH):
        found.lifted_at, found.lifted_by = now, house.actor
        found.save(update_fields=["lifted_at", "lifted_by"])
        end_halt_of_rule(found, by=house, now=now)
