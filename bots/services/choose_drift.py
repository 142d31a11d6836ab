"""What somebody chooses to do about a difference: push ours, adopt theirs, or accept it until a date. Audited by the
triggers of bot_drifts and bots."""

from __future__ import annotations

import json
from datetime import datetime
from uuid import UUID

from bots.models import Bot, BotDeployment, BotDrift, BotDriftLook
from bots.rules.drift import CONFIG_FIELD, DRIFT_MOVES, STATUS_FIELD, DriftStatus, Resolution, adopted
from bots.rules.words import DesiredStatus, RuntimeStatus
from bots.services.look_for_drift import nudge_lookers
from bots.services.manage_bots import find_template, lock_bot, update_bot
from bots.services.start_bot import start_bot
from bots.services.stop_bot import stop_bot
from ground.errors import Conflict, Forbidden, InvalidInput, NotFound
from ground.http import ExactJSONDecoder
from ground.scope import Scope, on_commit


def push_ours(*, scope: Scope, drift_id: UUID, now: datetime, reason: str = "") -> str:
    """Have Hummingbot hold what is wanted; returns a sentence for whoever chose.

    A config goes to the running bot by a worker; a status is wanted again, as by a person's start or stop. Raises NotFound,
    Forbidden, Conflict, and what starting raises.
    """
    with scope.transaction(reason=reason or "drift: ours pushed"):
        drift, bot = _lock(scope, drift_id, to=DriftStatus.PUSHING)
        if drift.field != STATUS_FIELD and not drift.ours:
            raise Conflict(
                "The definition has nothing there, and Hummingbot cannot take a key away from a running bot: "
                "stop and start it, and it runs with ours.",
                code="cannot_push",
            )
        _choose(drift, scope, DriftStatus.PUSHING, now=now, reason=reason)
        if drift.field == STATUS_FIELD:
            word = _want(scope, bot, is_running=bot.desired_status == DesiredStatus.RUNNING, now=now, reason=reason)
            return f"The bot is {word.replace('_', ' ')}."
        BotDriftLook.objects.update_or_create(
            bot=bot, defaults={"due_at": now}, create_defaults={"due_at": now, "client_id": bot.client_id}
        )
        on_commit(nudge_lookers)
    return "A worker gives it to Hummingbot, whose controller reads it within some ten seconds."


def adopt_theirs(*, scope: Scope, drift_id: UUID, now: datetime, reason: str = "") -> str:
    """Make what Hummingbot holds the wish; returns a sentence for whoever chose.

    Raises NotFound, Forbidden, Conflict where no config of the bot can say it, InvalidInput where its template refuses.
    """
    with scope.transaction(reason=reason or "drift: theirs adopted"):
        drift, bot = _lock(scope, drift_id, to=DriftStatus.CLOSED)
        if drift.field == STATUS_FIELD:
            runs = json.loads(drift.theirs) == RuntimeStatus.RUNNING
            _want(scope, bot, is_running=runs, now=now, reason=reason)
            sentence = f"The bot is wanted {'running' if runs else 'stopped'}."
        else:
            sentence = _adopt_config(scope, drift, bot, reason)
        drift.resolution, drift.closed_at = Resolution.ADOPTED, now
        _choose(drift, scope, DriftStatus.CLOSED, now=now, reason=reason)
    return sentence


def ignore_drift(*, scope: Scope, drift_id: UUID, until: datetime, now: datetime, reason: str = "") -> str:
    """Accept exactly this difference until a moment; when either side changes, it is open again.

    Raises NotFound, Forbidden, Conflict, InvalidInput for a moment that has passed.
    """
    if until <= now:
        raise InvalidInput("Ignore it until a date that is to come.", fields={"until": ["This has passed."]})
    with scope.transaction(reason=reason or "drift: ignored"):
        drift, _ = _lock(scope, drift_id, to=DriftStatus.IGNORED)
        drift.ignore_until = until
        _choose(drift, scope, DriftStatus.IGNORED, now=now, reason=reason)
    return f"Ignored until {until:%Y-%m-%d %H:%M} UTC, unless it changes."


def _lock(scope: Scope, drift_id: UUID, *, to: DriftStatus) -> tuple[BotDrift, Bot]:
    """The difference and its bot, both locked (the bot first, as whoever compares does). Raises NotFound, Conflict."""
    if not scope.is_operator or not scope.can_manage:
        raise Forbidden("Only an operator chooses what becomes of a difference.")
    bot_id = BotDrift.objects.filter(id=drift_id).values_list("bot_id", flat=True).first()
    if bot_id is None:
        raise NotFound("There is no such difference.")
    bot = lock_bot(scope, bot_id)
    drift = BotDrift.objects.select_for_update(of=("self",)).get(id=drift_id)
    if to not in (*DRIFT_MOVES[DriftStatus(drift.status)], DriftStatus(drift.status)) or drift.closed_at:
        raise Conflict(f"This difference is {drift.status}; look again.", code="drift_changed")
    return drift, bot


def _choose(drift: BotDrift, scope: Scope, status: DriftStatus, *, now: datetime, reason: str) -> None:
    drift.status, drift.chosen_by, drift.chosen_at = status, scope.actor, now
    drift.reason, drift.message = reason[:300], ""
    if status != DriftStatus.IGNORED:
        drift.ignore_until = None
    drift.save()


def _want(scope: Scope, bot: Bot, *, is_running: bool, now: datetime, reason: str) -> str:
    wish = start_bot if is_running else stop_bot
    return wish(scope=scope, bot_id=bot.id, now=now, reason=reason or "drift", wait=False)


def _adopt_config(scope: Scope, drift: BotDrift, bot: Bot, reason: str) -> str:
    key, template = drift.field.removeprefix(CONFIG_FIELD), find_template(bot.strategy)
    theirs = json.loads(drift.theirs, cls=ExactJSONDecoder) if drift.theirs else None
    found = adopted(mapping=template.mapping, key=key, theirs=theirs) if template and drift.theirs else None
    if found is None:
        raise Conflict(
            f"The template {bot.strategy} has no place in a bot's config for this value of {key}: push ours, ignore it, "
            "or change the template.",
            code="cannot_adopt",
        )
    changes, why = {"config": {**bot.config, **found}}, f"{key} adopted from Hummingbot"
    update_bot(scope=scope, bot_id=bot.id, changes=changes, reason=f"{why}: {reason}" if reason else why)
    for deployment in BotDeployment.objects.filter(bot_id=bot.id, status="live"):
        deployment.config = {**deployment.config, **found}
        deployment.save(update_fields=["config"])
    return f"The bot's config has {', '.join(sorted(found))} as Hummingbot holds it."
