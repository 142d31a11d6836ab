"""Making, changing and cloning participants, and writing their prompts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError

from arena.models import LlmProvider, Participant, PromptVersion
from arena.services.events import tell
from arena.services.lock_participant import check_may_change, lock_participant, state_event
from arena.services.prompts import SavedPrompt, add_version
from arena.services.providers import checked_model
from bots.models import Bot
from bots.rules.words import RuntimeKind
from bots.services.manage_bots import clone_bot, create_bot
from exchanges.symbols import base_quote
from ground.errors import Conflict, InvalidInput, NotFound
from ground.scope import Scope
from ledger.models import BotAccount
from ledger.services.allocate_capital import allocate_capital

STARTING_BALANCE = Decimal(10_000)
CURRENCY = "USDT"
PAIR = f"BTC/{CURRENCY}"  # a bot has a pair; this one's quote is what its money is counted in
_NAME = "arena"  # of the connector and the strategy: neither exists, the arena itself executes
MOST_SYMBOLS = 100
SETTINGS = (
    "model", "symbols", "is_advanced", "is_public", "turn_interval_s", "min_size", "max_leverage", "leverage_by_symbol",
    "max_open_positions", "max_exposure_ratio", "max_drawdown_ratio", "cooldown_minutes", "daily_budget", "monthly_budget",
)  # fmt: skip
CHANGEABLE = (*SETTINGS, "provider_id", "fallback_id")


@dataclass(frozen=True, slots=True)
class NewParticipant:
    """A bot that was made, with its first prompt (None: it has none yet)."""

    bot_id: UUID
    prompt: SavedPrompt | None


def create_participant(
    *,
    scope: Scope,
    account: str,
    name: str,
    now: datetime,
    prompt: str = "",
    starting_balance: Decimal = STARTING_BALANCE,
    **settings: Any,
) -> NewParticipant:
    """A bot of the arena with its money and its first prompt; it is not started.

    ``settings`` are those of CHANGEABLE. A provider is the client's own or a shared one, a fallback only its own. Raises
    Forbidden, InvalidInput naming the field, NotFound for a provider of somebody else.
    """
    check_may_change(scope)
    with scope.transaction(reason="participant made"):
        bot_id = create_bot(
            scope=scope, account=account, connector=_NAME, pair=PAIR, name=name, strategy=_NAME,
            runtime_kind=RuntimeKind.ARENA,
        )  # fmt: skip
        allocate_capital(scope=scope, bot_id=bot_id, capital=starting_balance, reason="starting balance")
        bot = Bot.objects.get(id=bot_id)
        participant = Participant(bot=bot, client_id=bot.client_id, next_turn_at=now, began_at=now, updated_at=now)
        _set(participant, settings, currency=CURRENCY)
        participant.save(force_insert=True)
        saved = add_version(scope=scope, participant=participant, text=prompt, now=now) if prompt else None
        tell([state_event(participant, created=True)], now=now)
    return NewParticipant(bot_id, saved)


def change_participant(*, scope: Scope, bot_id: UUID, changes: dict[str, Any], now: datetime) -> None:
    """Change what ``changes`` names (CHANGEABLE); its next turn goes by it. Raises as ``create_participant`` does."""
    check_may_change(scope)
    with scope.transaction(reason="participant changed"):
        participant = lock_participant(scope, bot_id)
        currency = BotAccount.objects.filter(bot_id=bot_id).values_list("currency", flat=True).first()
        _set(participant, changes, currency=currency or CURRENCY)
        participant.updated_at = now
        participant.save(update_fields=[*(name.removesuffix("_id") for name in changes), "updated_at"])
        tell([state_event(participant, changed=sorted(changes))], now=now)


def clone_participant(*, scope: Scope, bot_id: UUID, now: datetime, name: str = "") -> UUID:
    """A new bot with the same prompt, provider and limits, and a fresh balance; never started. Raises NotFound, Forbidden."""
    check_may_change(scope)
    with scope.transaction(reason=f"participant cloned from {bot_id}"):
        old = lock_participant(scope, bot_id)
        new_id = clone_bot(scope=scope, bot_id=bot_id, name=name)
        capital = BotAccount.objects.filter(bot_id=bot_id).values_list("allocated_capital", flat=True).first()
        allocate_capital(scope=scope, bot_id=new_id, capital=capital or STARTING_BALANCE, reason="starting balance")
        new = Participant(
            bot_id=new_id, client_id=old.client_id, provider_id=old.provider_id, fallback_id=old.fallback_id,
            next_turn_at=now, began_at=now, updated_at=now, **{field: getattr(old, field) for field in SETTINGS},
        )  # fmt: skip
        new.save(force_insert=True)
        if old.prompt is not None:
            note = f"from {old.bot.name}, prompt {old.prompt.number}"
            add_version(scope=scope, participant=new, text=old.prompt.text, note=note, now=now)
        tell([state_event(new, created=True)], now=now)
    return new_id


def save_prompt(*, scope: Scope, bot_id: UUID, text: str, now: datetime, note: str = "") -> SavedPrompt:
    """The bot's prompt from its next turn on, as a new version; the version in force where the text is the same.

    Raises NotFound, Forbidden, InvalidInput.
    """
    check_may_change(scope)
    with scope.transaction(reason="prompt saved"):
        participant = lock_participant(scope, bot_id)
        saved = add_version(scope=scope, participant=participant, text=text, note=note, now=now)
        tell([state_event(participant, prompt=saved.number)], now=now)
    return saved


def prompt_versions(*, scope: Scope, bot_id: UUID) -> list[PromptVersion]:
    """All of a bot's prompts, the newest first."""
    with scope.transaction():
        rows = PromptVersion.objects.filter(bot_id=bot_id)
        return list(rows.filter(client_id=scope.client_id) if scope.client_id else rows)


def check_may_start(bot: Bot) -> None:
    """What starting a bot of the arena needs. Raises Conflict with what is missing."""
    found = Participant.objects.filter(bot_id=bot.id).values_list("prompt_id", "provider_id").first()
    if found is None:
        raise Conflict("This bot takes no part in the arena: nothing here runs it.", code="nothing_runs_it")
    prompt_id, provider_id = found
    if prompt_id is None:
        raise Conflict("The bot has no prompt yet: write one first.", code="no_prompt")
    if provider_id is None:
        raise Conflict("The bot has no model provider yet: choose one first.", code="no_provider")


def _set(participant: Participant, given: dict[str, Any], *, currency: str) -> None:
    """The columns as they are given, checked. Raises InvalidInput naming the field, NotFound."""
    unknown = sorted(set(given) - set(CHANGEABLE))
    if unknown:
        raise InvalidInput(f"{', '.join(unknown)} cannot be set.", fields={name: ["cannot be set"] for name in unknown})
    values = dict(given)
    if "symbols" in values:
        values["symbols"] = _symbols(values["symbols"], currency=currency)
    if "leverage_by_symbol" in values:
        values["leverage_by_symbol"] = _leverages(values["leverage_by_symbol"], currency=currency)
    if values.get("model"):
        values["model"] = checked_model(values["model"])
    if values.get("provider_id") is not None:
        _check_provider(values["provider_id"], client_id=participant.client_id, field="provider_id")
    if values.get("fallback_id") is not None:
        _check_provider(values["fallback_id"], client_id=participant.client_id, field="fallback_id", only_own=True)
    for name, value in values.items():
        setattr(participant, name, value)
    try:
        participant.full_clean(exclude=["bot", "provider", "fallback", "prompt"], validate_unique=False)
    except ValidationError as error:
        raise _invalid(error) from None


def _check_provider(provider_id: UUID, *, client_id: UUID, field: str, only_own: bool = False) -> None:
    """Another's provider is as if it were not there. Reads only what a client's role may see."""
    row = LlmProvider.objects.filter(id=provider_id, retired_at=None).values_list(
        "client_id", "is_shared", "is_enabled"
    )
    owner, is_shared, is_enabled = row.first() or (None, False, False)
    if owner != client_id and (owner is not None or not is_shared):
        raise NotFound("There is no such model provider.")
    if only_own and owner != client_id:
        sentence = "A fallback is a provider of the client's own, never a shared one."
        raise InvalidInput(sentence, fields={field: [sentence]})
    if not is_enabled:
        raise Conflict("This model provider is switched off.", code="provider_disabled")


def _symbols(given: Any, *, currency: str) -> list[str]:
    if not isinstance(given, (list, tuple)) or len(given) > MOST_SYMBOLS:
        raise _bad("symbols", f"symbols is a list of at most {MOST_SYMBOLS} pairs.")
    return sorted({_symbol("symbols", one, currency=currency) for one in given})


def _leverages(given: Any, *, currency: str) -> dict[str, Any]:
    if not isinstance(given, dict) or len(given) > MOST_SYMBOLS:
        raise _bad("leverage_by_symbol", "leverage_by_symbol is an object of pairs and leverages.")
    made: dict[str, Any] = {}
    for symbol, leverage in given.items():
        is_number = isinstance(leverage, (int, Decimal)) and not isinstance(leverage, bool)
        if not is_number or not 1 <= leverage <= 125:
            raise _bad("leverage_by_symbol", "A leverage is a number from 1 to 125.")
        made[_symbol("leverage_by_symbol", symbol, currency=currency)] = leverage
    return made


def _symbol(field: str, given: Any, *, currency: str) -> str:
    try:
        base, quote = base_quote(given)
    except InvalidInput as error:
        raise _bad(field, error.message) from None
    if quote != currency:
        raise _bad(field, f"The bot's money is {currency}, so it trades pairs against {currency}.")
    return f"{base}/{quote}"


def _bad(field: str, sentence: str) -> InvalidInput:
    return InvalidInput(sentence, fields={field: [sentence]})


def _invalid(error: ValidationError) -> InvalidInput:
    fields = {
        "limits" if name == "__all__" else name: [str(one) for one in messages]
        for name, messages in error.message_dict.items()
    }
    name, messages = next(iter(fields.items()))
    return InvalidInput(f"{name}: {messages[0]}", fields=fields)
