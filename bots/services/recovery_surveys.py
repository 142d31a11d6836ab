"""Looks at all that Hummingbot knows, as rows: an operator asks, a worker looks, the operator chooses what is done."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from celery import current_app
from kombu.exceptions import OperationalError

from bots.gateways.hummingbot import HummingbotGateway
from bots.models_lost import RecoverySurvey
from bots.rules.lost_facts import Action, Instance, Life, Proposal
from bots.rules.words import TemplateKind
from bots.services.propose_recovery import known_instances, propose_recovery
from bots.services.recover_definitions import Recovered, recover_definition
from bots.services.survey_hummingbot import survey_hummingbot
from ground.errors import Conflict, Forbidden, GatewayError, NotFound
from ground.scope import Scope, on_commit, system_scope

SURVEYOR = system_scope("recovery")
STALE_AFTER = timedelta(minutes=15)
_KEPT = 20


def ask_for_survey(*, scope: Scope, now: datetime) -> UUID:
    """A row that a worker takes up at once. Raises Forbidden unless an operator asks."""
    if not (scope.is_operator and scope.can_manage):
        raise Forbidden("Only an operator recovers definitions.")
    with scope.transaction(reason="asked what Hummingbot knows"):
        survey = RecoverySurvey.objects.create(requested_by=scope.actor, requested_at=now)
        on_commit(_nudge)
    return survey.id


def take_surveys(*, gateway: HummingbotGateway | None, now: datetime) -> int:
    """Take the looks that wait; how many. Two workers that take the same one write the same: the first stays."""
    with SURVEYOR.transaction():
        waiting = list(RecoverySurvey.objects.filter(taken_at=None, error="").values_list("id", flat=True)[:5])
    for survey_id in waiting:
        changes = _looked(gateway, now)
        with SURVEYOR.transaction(reason="looked at what Hummingbot knows"):
            RecoverySurvey.objects.filter(id=survey_id, taken_at=None, error="").update(**changes)
            newest = RecoverySurvey.objects.order_by("-requested_at").values_list("id", flat=True)[:_KEPT]
            RecoverySurvey.objects.filter(report=[]).exclude(id__in=list(newest)).delete()
    return len(waiting)


def proposals_of(*, scope: Scope, survey: RecoverySurvey, owners: Mapping[str, str] | None = None) -> list[Proposal]:
    """What would be done with a look, as things are here now. Raises Forbidden, InvalidInput."""
    found = {key: tuple(_instance(fields) for fields in group) for key, group in survey.found.items()}
    return propose_recovery(scope=scope, found=found, owners=owners)


def carry_out(
    *, scope: Scope, survey_id: UUID, keys: Collection[str], owners: Mapping[str, str], now: datetime
) -> list[Recovered]:
    """Do what is proposed for these bots, each in a transaction of its own, and note it in the look's report.

    Raises NotFound, Forbidden, InvalidInput, and Conflict for a look that is too old to act on.
    """
    with scope.transaction():
        survey = RecoverySurvey.objects.filter(id=survey_id).first()
    if survey is None:
        raise NotFound("There is no such look.")
    if survey.taken_at is None or now - survey.taken_at > STALE_AFTER:
        raise Conflict("This look is too old to act on: look again.", code="survey_stale")
    chosen = [one for one in proposals_of(scope=scope, survey=survey, owners=owners) if one.key in keys]
    done = [(one, recover_definition(scope=scope, proposal=one, now=now)) for one in chosen]
    with scope.transaction(reason="definitions recovered"):
        row = RecoverySurvey.objects.select_for_update().get(id=survey_id)
        row.report = [*row.report, *(_line(one, result, scope, now) for one, result in done)]
        row.save(update_fields=["report"])
    return [result for _, result in done]


def _looked(gateway: HummingbotGateway | None, now: datetime) -> dict[str, Any]:
    if gateway is None:
        return {"error": "No Hummingbot is configured: set HUMMINGBOT_API_URL."}
    try:
        found = survey_hummingbot(gateway, known=known_instances(SURVEYOR))
    except GatewayError as error:
        return {"error": error.message[:500]}
    return {"found": {key: [_fields(one) for one in group] for key, group in found.items()}, "taken_at": now}


def _fields(instance: Instance) -> dict[str, Any]:
    values = asdict(instance)
    return values | {name: value.isoformat() for name, value in values.items() if isinstance(value, datetime)}


def _instance(fields: Mapping[str, Any]) -> Instance:
    moments = {
        name: datetime.fromisoformat(fields[name]) if fields[name] else None for name in ("deployed_at", "stopped_at")
    }
    markets = tuple((connector, pair) for connector, pair in fields["markets"])
    words: dict[str, Any] = {
        "life": Life(fields["life"]), "kind": TemplateKind(fields["kind"]), "markets": markets,
        "parts": tuple(fields.get("parts", ())),
    }  # fmt: skip
    return Instance(**{**fields, **words, **moments})


def _line(proposal: Proposal, result: Recovered, scope: Scope, now: datetime) -> dict[str, Any]:
    return {
        "key": proposal.key,
        "action": str(result.action),
        "says": result.says,
        "was_refused": result.was_refused or result.action == Action.SKIP,
        "bot": str(result.bot_id) if result.bot_id else None,
        "by": scope.actor,
        "at": now.isoformat(),
        "from": {name: sourced.source for name, sourced in proposal.fields.items()},
    }


def _nudge() -> None:
    """Without a broker the tick finds the row all the same."""
    with suppress(OperationalError):
        current_app.send_task("bots.take_surveys", expires=10, retry=False)
