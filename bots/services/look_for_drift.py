"""Looking for drift: each running bot's own copy of its config, read from Hummingbot every few minutes, and statuses that
stay other than wanted. What somebody chose to push is given to Hummingbot here, by the worker that looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from celery import current_app
from django.utils import timezone
from kombu.exceptions import OperationalError

from bots.gateways.hummingbot import HummingbotGateway
from bots.models import Bot, BotDeployment, BotDrift, BotDriftLook, BotTemplate
from bots.rules.drift import (
    CONFIG_FIELD,
    MISSING,
    Difference,
    DriftStatus,
    config_differences,
    is_same,
    placeholders_of,
)
from bots.rules.templates import render
from bots.rules.words import DeploymentStatus
from bots.services.define_bot import template_of
from bots.services.drift_records import DRIFT, record_differences
from bots.types import NamedConfig, Template
from exchanges.hummingbot import required_connector_name
from ground.errors import GatewayError, InvalidInput, Rejected, UnknownOutcome
from ground.sql import fetch_one, run

LOOK_EVERY = timedelta(minutes=5)
_CLAIM = timedelta(seconds=60)  # losing it is safe: a second look writes the same
_AGAIN = timedelta(seconds=30)
_TASK = "bots.look_for_drift"

_LIVE = """
      FROM bots b JOIN bot_deployments d ON d.bot_id = b.id AND d.status = 'live' AND d.instance_name <> ''
                                        AND d.confirmed_at IS NOT NULL
      JOIN bot_templates t ON t.name = b.strategy AND t.kind = 'controller'
     WHERE b.retired_at IS NULL AND b.desired_status = 'running'
"""
_ENLIST = f"""
    INSERT INTO bot_drift_looks (bot_id, client_id, due_at, error) SELECT b.id, b.client_id, %s, '' {_LIVE}
       AND NOT EXISTS (SELECT 1 FROM bot_drift_looks l WHERE l.bot_id = b.id)
     ORDER BY b.id ON CONFLICT DO NOTHING
"""  # noqa: S608 - made of constants
_NEXT = f"""
    UPDATE bot_drift_looks SET due_at = %(until)s WHERE bot_id = (
        SELECT l.bot_id FROM bot_drift_looks l
         WHERE l.due_at <= %(now)s AND EXISTS (SELECT 1 {_LIVE} AND b.id = l.bot_id)
         ORDER BY l.due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING bot_id
"""  # noqa: S608 - made of constants

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class _Running:
    """A bot that runs, as far as its config goes."""

    bot: Bot
    deployment: BotDeployment
    template: Template
    pushing: frozenset[str]  # keys of Hummingbot's config that somebody chose to push

    def rendered(self, config: Mapping[str, Any], *, name: str) -> dict[str, Any]:
        """What this config of the bot is in Hummingbot. Raises InvalidInput."""
        connector = required_connector_name(self.bot.connector_name)
        return render(self.template, config, connector=connector, symbol=self.bot.pair, config_name=name)


def look_for_drift(
    *, gateway: HummingbotGateway, clock: Clock = timezone.now, limit: int = 50, most_s: float = 5
) -> int:
    """Look at bots that are due; returns at how many. Safe to run twice, also at once."""
    with DRIFT.transaction():
        run(_ENLIST, [clock()])
    deadline, looked = time.monotonic() + most_s, 0
    while looked < limit and time.monotonic() < deadline:
        claim_until = clock() + _CLAIM
        bot_id = _next_bot(now=clock(), until=claim_until)
        if bot_id is None:
            break
        looked += 1
        if not _look_at(bot_id, gateway, clock, claim_until):
            break  # Hummingbot is away: the others would hear the same
    return looked


def nudge_lookers() -> None:
    """Shorten the wait for the next tick; without a broker the tick finds the row all the same."""
    with suppress(OperationalError):
        current_app.send_task(_TASK, expires=10, retry=False)


def _next_bot(*, now: datetime, until: datetime) -> UUID | None:
    with DRIFT.transaction():
        row = fetch_one(_NEXT, {"now": now, "until": until})
    return row[0] if row else None


def _look_at(bot_id: UUID, gateway: HummingbotGateway, clock: Clock, claim: datetime) -> bool:
    """Compare one bot, and give Hummingbot what was chosen; False when Hummingbot could not be asked."""
    running = _load(bot_id)
    if running is None:
        return True
    try:
        held, error = _held_after_pushing(running, gateway), ""
    except (Rejected, InvalidInput) as refusal:
        _note(running, claim, clock(), error=refusal.message)
        return True
    except GatewayError as failure:
        _note(running, claim, clock(), error=failure.message, again=_AGAIN)
        return False
    try:
        _record(running, held, clock())
    except InvalidInput as refusal:
        error = f"The definition cannot be compared: {refusal.message}"
    _note(running, claim, clock(), error=error, was_read=True)
    return True


def _load(bot_id: UUID) -> _Running | None:
    with DRIFT.transaction():
        bot = Bot.objects.filter(id=bot_id, retired_at=None).first()
        deployment = BotDeployment.objects.filter(bot_id=bot_id, status=DeploymentStatus.LIVE).first()
        template = BotTemplate.objects.filter(name=bot.strategy).first() if bot else None
        if bot is None or deployment is None or template is None:
            return None
        pushing = BotDrift.objects.filter(bot_id=bot_id, status=DriftStatus.PUSHING, field__startswith=CONFIG_FIELD)
        keys = frozenset(field.removeprefix(CONFIG_FIELD) for field in pushing.values_list("field", flat=True))
        return _Running(bot, deployment, template_of(template), keys)


def _held_after_pushing(running: _Running, gateway: HummingbotGateway) -> NamedConfig:
    """What Hummingbot holds, read again after it was given what somebody chose. Raises GatewayError, InvalidInput."""
    held = _held(running, gateway)
    if not running.pushing:
        return held
    ours = running.rendered(running.bot.config, name=held.name)
    changes = {
        key: ours[key]
        for key in sorted(running.pushing)
        if key in ours and not is_same(ours[key], held.content.get(key, MISSING))
    }
    if changes:
        with suppress(UnknownOutcome):  # setting a value twice is setting it once: what is read next decides
            gateway.change_running_config(running.deployment.instance_name, held.name, changes)
        held = _held(running, gateway)
    return held


def _held(running: _Running, gateway: HummingbotGateway) -> NamedConfig:
    """The config its controller goes by: the one of our name, or its only one where it was not deployed by us."""
    configs = gateway.instance_configs(running.deployment.instance_name)
    named = [config for config in configs if config.name == running.deployment.requested_name]
    found = named or (list(configs) if len(configs) == 1 else [])
    if not found:
        raise Rejected(
            f"Hummingbot holds no config named {running.deployment.requested_name} for it.", system="hummingbot"
        )
    return found[0]


def _record(running: _Running, held: NamedConfig, now: datetime) -> None:
    """Compare with the definition as it is now. Raises InvalidInput when that fits its template no more."""
    with DRIFT.transaction(reason="config compared with Hummingbot"):
        bot = Bot.objects.select_for_update(no_key=True).get(id=running.bot.id)
        deployment = BotDeployment.objects.get(id=running.deployment.id)
        ours = running.rendered(bot.config, name=held.name)
        deployed = _rendered_or_none(running, deployment, held.name)
        differences = config_differences(ours=ours, deployed=deployed, theirs=held.content)
        record_differences({bot.id: differences}, looked_at=[bot.id], prefix=CONFIG_FIELD, now=now)
        _give_up_pushing(running, differences)
        _remember_what_runs(running.template, bot, deployment, ours=ours, deployed=deployed or {}, theirs=held.content)


def _rendered_or_none(running: _Running, deployment: BotDeployment, name: str) -> dict[str, Any] | None:
    try:
        return running.rendered(deployment.config, name=name)
    except InvalidInput:
        return None


def _give_up_pushing(running: _Running, differences: list[Difference]) -> None:
    """What was given to Hummingbot and is not there: somebody must choose again."""
    refused = [d.field for d in differences if d.field.removeprefix(CONFIG_FIELD) in running.pushing]
    BotDrift.objects.filter(bot_id=running.bot.id, field__in=refused, status=DriftStatus.PUSHING).update(
        status=DriftStatus.OPEN, message="Hummingbot was given ours, and holds something else still."
    )


def _remember_what_runs(
    template: Template, bot: Bot, deployment: BotDeployment,
    *, ours: Mapping[str, Any], deployed: Mapping[str, Any], theirs: Mapping[str, Any],
) -> None:  # fmt: skip
    """Where what runs has come to be what is wanted, that is what later changes are told from."""
    config = dict(deployment.config)
    for key in ours:
        if not is_same(ours[key], theirs.get(key, MISSING)) or is_same(ours[key], deployed.get(key, MISSING)):
            continue
        for name in placeholders_of(template.mapping, key):
            config.pop(name, None)
            if name in bot.config:
                config[name] = bot.config[name]
    if config != deployment.config:
        BotDeployment.objects.filter(id=deployment.id).update(config=config)


def _note(
    running: _Running,
    claim: datetime,
    now: datetime,
    *,
    error: str,
    was_read: bool = False,
    again: timedelta = LOOK_EVERY,
) -> None:
    """When it is looked at next, unless somebody has asked for a look meanwhile."""
    with DRIFT.transaction():
        looks = BotDriftLook.objects.filter(bot_id=running.bot.id)
        looks.update(error=error[:500], **({"looked_at": now} if was_read else {}))
        looks.filter(due_at=claim).update(due_at=now + again)
        if error:
            pushing = BotDrift.objects.filter(bot_id=running.bot.id, status=DriftStatus.PUSHING)
            pushing.filter(field__startswith=CONFIG_FIELD).exclude(message=error[:500]).update(message=error[:500])
