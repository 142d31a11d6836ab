"""Each step of a plan: one call to Hummingbot outside of any transaction, and what it came to in the row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bots.gateways.hummingbot import HummingbotGateway
from bots.models import Bot, BotHealth
from bots.rules.reconcile import Step, lookup_wait, retry_wait
from bots.rules.templates import render
from bots.rules.words import DeploymentStatus, DesiredStatus, RuntimeStatus, TemplateKind
from bots.services.deployments import RECONCILER, change, nudge_workers, open_deployment, open_one
from bots.services.load_work import Work
from bots.services.look_at_hummingbot import find_instances
from bots.services.runtime_records import Seen, record_observations
from bots.services.sync_credentials import account_of, is_synced, sync_credentials
from bots.types import Deployed, Observation, Template
from exchanges.hummingbot import required_connector_name
from ground.errors import (
    BadCredentials,
    BridgeError,
    GatewayError,
    InvalidInput,
    RateLimited,
    Rejected,
    Unavailable,
    UnknownOutcome,
)
from ground.scope import on_commit

Clock = Callable[[], datetime]
_WANTED = (DeploymentStatus.WANTED,)
_SENT = (DeploymentStatus.SENDING, DeploymentStatus.UNKNOWN_OUTCOME)
_DEPLOY_TIMEOUT_S = 45.0
_MOST_PUT_OFF = timedelta(minutes=15)  # however long Hummingbot asks to be left alone
_DEPLOY_NEEDS_S = 3.0  # with less time than this a deploy would only lose its answer
_UP = (DeploymentStatus.LIVE, DeploymentStatus.STOPPING, DeploymentStatus.RETIRING)


class ConfigRefused(InvalidInput):
    """Sent again it would be refused again: a person must change the config."""


class Outcome(StrEnum):
    DONE = "done"  # recorded; plan again
    LATER = "later"  # nothing more can be done now; the row says when


def prepare_and_deploy(work: Work, gateway: HummingbotGateway, clock: Clock, *, may_send_secrets: bool) -> Outcome:
    """Credentials, config, and the one deploy call of this deployment."""
    try:
        account = _account(work, gateway, clock, may_send_secrets=may_send_secrets)
        if account is None:
            return _wait_for_worker(work, clock)
        _save_config(work, gateway)
    except ConfigRefused as error:
        return _fail(work, error.message, clock, is_refused=True)
    except (InvalidInput, Rejected) as error:
        return _fail(work, error.message, clock)
    except BadCredentials as error:
        # Either the exchange refused the client's keys, or Hummingbot refused ours; a person must act on both.
        return _fail(work, error.message, clock)
    except (Unavailable, RateLimited, UnknownOutcome) as error:
        return _retry(work, error, clock)
    return _deploy(work, gateway, clock, account)


def _account(work: Work, gateway: HummingbotGateway, clock: Clock, *, may_send_secrets: bool) -> str | None:
    """The Hummingbot account that holds the bot's keys; None when only a worker may send them there."""
    connector = work.bot.connector
    if connector is None or connector.retired_at is not None:
        raise InvalidInput(
            f"The client has no {work.bot.connector_name} connector with credentials: add one, then start it again."
        )
    if may_send_secrets:
        sync_credentials(connector_id=connector.id, gateway=gateway, now=clock())
    with RECONCILER.transaction():
        return account_of(connector) if may_send_secrets or is_synced(connector) else None


def _save_config(work: Work, gateway: HummingbotGateway) -> None:
    template, name = work.template, work.deployment.requested_name
    if template is None:
        raise InvalidInput(f"No template is named {work.bot.strategy}, so Hummingbot cannot run this bot.")
    content = _render(work, template)
    if template.kind == TemplateKind.SCRIPT:
        gateway.save_script_config(name, content)
        gateway.script_config(name)
        return
    try:
        gateway.validate_controller_config(template.controller_type, template.controller_name, content)
    except Rejected as error:
        raise ConfigRefused(error.message) from None
    gateway.save_controller_config(name, content)
    gateway.controller_config(name)  # a deploy without it would succeed, and run nothing


def _render(work: Work, template: Template) -> dict[str, Any]:
    connector = required_connector_name(work.bot.connector_name)
    try:
        return render(
            template,
            work.deployment.config,
            connector=connector,
            symbol=work.bot.pair,
            config_name=work.deployment.requested_name,
        )
    except InvalidInput as error:
        raise ConfigRefused(error.message, fields=error.fields) from None


def _deploy(work: Work, gateway: HummingbotGateway, clock: Clock, account: str) -> Outcome:
    if gateway.remaining_s() < _DEPLOY_NEEDS_S:
        return _wait_for_worker(work, clock)
    if not _mark_sending(work, clock):
        return Outcome.DONE  # somebody wants it stopped meanwhile: plan again
    name, template = work.deployment.requested_name, work.template
    try:
        if template is not None and template.kind == TemplateKind.SCRIPT:
            deployed = gateway.deploy_script(
                instance_name=name,
                account=account,
                script=template.controller_name,
                script_config=name,
                timeout_s=_DEPLOY_TIMEOUT_S,
            )
        else:
            deployed = gateway.deploy_controllers(
                instance_name=name, account=account, controllers=[name], timeout_s=_DEPLOY_TIMEOUT_S
            )
    except UnknownOutcome as error:
        change(work.lease, only=_SENT, status=DeploymentStatus.UNKNOWN_OUTCOME, message=error.message, due_at=clock())
        return Outcome.DONE
    except Rejected as error:
        return _fail(work, error.message, clock)
    except GatewayError as error:
        return _retry(work, error, clock)
    return _is_live(work, deployed, clock)


def _mark_sending(work: Work, clock: Clock) -> bool:
    """Stored before it is sent. Together with the wish, so that a stop in between is not overrun."""
    with RECONCILER.transaction(reason="deploying"):
        still_wanted = (
            Bot.objects.select_for_update(no_key=True)
            .filter(id=work.bot.id, desired_status=DesiredStatus.RUNNING, retired_at=None)
            .exists()
        )
        return still_wanted and change(
            work.lease, only=_WANTED, status=DeploymentStatus.SENDING, sent_at=clock(), message=""
        )


def _is_live(work: Work, deployed: Deployed, clock: Clock, *, was_adopted: bool = False) -> Outcome:
    now = clock()
    with RECONCILER.transaction():
        changed = change(
            work.lease,
            only=_SENT,
            status=DeploymentStatus.LIVE,
            instance_name=deployed.instance_name,
            was_adopted=was_adopted,
            message="",
            attempts=0,
            due_at=now + timedelta(seconds=2),
        )
        if changed:
            sentence = "Hummingbot has made its container."
            record_observations([Seen(work.deployment.id, Observation(RuntimeStatus.STARTING, sentence, now))])
    return Outcome.DONE


def look_up(work: Work, gateway: HummingbotGateway, clock: Clock) -> Outcome:
    """Search for what the lost call left behind. Only a search of every place counts as a clean one."""
    row = work.deployment
    try:
        found = find_instances(gateway, row.requested_name, sent_at=row.sent_at or row.created_at)
    except GatewayError as error:
        wait = retry_wait(row.attempts)
        change(
            work.lease, only=_SENT, status=DeploymentStatus.UNKNOWN_OUTCOME, attempts=row.attempts + 1,
            message=f"The answer to the deploy was lost, and it cannot be looked up: {error.message}"[:500],
            due_at=clock() + wait,
        )  # fmt: skip
        return Outcome.LATER
    if found:
        return _is_live(work, Deployed(found[0]), clock, was_adopted=True)
    lookups = row.clean_lookups + 1
    change(
        work.lease, only=_SENT, status=DeploymentStatus.UNKNOWN_OUTCOME, clean_lookups=lookups, attempts=0,
        message="The answer to the deploy was lost; it is being looked up.", due_at=clock() + lookup_wait(lookups),
    )  # fmt: skip
    return Outcome.LATER


def give_up(work: Work, gateway: HummingbotGateway, clock: Clock) -> Outcome:
    sentence = "Hummingbot's answer to the deploy was lost, and a minute later there was no trace of the bot."
    return _fail(work, sentence, clock)


def confirm(work: Work, gateway: HummingbotGateway, clock: Clock) -> Outcome:
    now = clock()
    with RECONCILER.transaction():
        if change(work.lease, only=(DeploymentStatus.LIVE,), confirmed_at=now, message=""):
            BotHealth.objects.filter(bot_id=work.bot.id).update(confirmed_start_at=now, due_at=now)
    return Outcome.DONE


def send_stop(work: Work, gateway: HummingbotGateway, clock: Clock) -> Outcome:
    row = work.deployment
    try:
        gateway.stop_strategy(row.instance_name)
    except (Rejected, UnknownOutcome):
        pass  # not listed, or perhaps published: what is observed next decides
    except GatewayError as error:
        return _retry(work, error, clock)
    status = DeploymentStatus.RETIRING if row.status == DeploymentStatus.RETIRING else DeploymentStatus.STOPPING
    change(
        work.lease, only=_UP, status=status, stop_sent_at=row.stop_sent_at or clock(), message="", attempts=0,
        due_at=clock() + timedelta(seconds=3),
    )  # fmt: skip
    # A repeated stop changes nothing that the plan sees: leave it to a later look.
    return Outcome.DONE if row.stop_sent_at is None else Outcome.LATER


def retire(work: Work, gateway: HummingbotGateway, clock: Clock) -> Outcome:
    """Its strategy has stopped. If it was to run again meanwhile, a new deployment with the current config follows."""
    _settle(work, clock, status=DeploymentStatus.RETIRING)
    return Outcome.DONE


def end(work: Work, gateway: HummingbotGateway, clock: Clock) -> Outcome:
    _settle(work, clock, status=DeploymentStatus.ENDED, ended_at=clock())
    return Outcome.LATER


def _settle(work: Work, clock: Clock, **changes: object) -> None:
    row = work.deployment
    with RECONCILER.transaction(reason="deployment ended"):
        bot = Bot.objects.select_for_update(no_key=True).get(id=work.bot.id)
        settled = change(work.lease, only=(*_WANTED, *_UP), message="", due_at=clock(), **changes)
        restarts = bot.desired_status == DesiredStatus.RUNNING and bot.retired_at is None
        if settled and restarts and row.status != DeploymentStatus.RETIRING and open_one(bot.id) is None:
            with RECONCILER.transaction(reason="what ran before it is down, and it is wanted running"):
                open_deployment(bot, requested_by=bot.desired_by, now=clock())
            on_commit(nudge_workers)


def send_archive(work: Work, gateway: HummingbotGateway, clock: Clock) -> Outcome:
    row = work.deployment
    try:
        gateway.stop_and_archive(row.instance_name)
    except (Rejected, UnknownOutcome):
        pass  # ended already, being archived already, or perhaps begun: the containers tell
    except GatewayError as error:
        return _retry(work, error, clock)
    now = clock()
    change(work.lease, only=_UP, archive_sent_at=now, attempts=0, due_at=now + timedelta(seconds=10))
    return Outcome.LATER


def _fail(work: Work, sentence: str, clock: Clock, *, is_refused: bool = False) -> Outcome:
    change(
        work.lease, only=(*_WANTED, *_SENT), status=DeploymentStatus.FAILED, message=sentence[:500],
        is_refused=is_refused, ended_at=clock(),
    )  # fmt: skip
    return Outcome.LATER


def _retry(work: Work, error: BridgeError, clock: Clock) -> Outcome:
    """It could not be asked: the same step again, later and later."""
    row = work.deployment
    asked_for = timedelta(seconds=getattr(error, "retry_after_s", None) or 0)
    wait = max(retry_wait(row.attempts), min(asked_for, _MOST_PUT_OFF))
    changes: dict[str, object] = {
        "attempts": row.attempts + 1,
        "message": error.message[:500],
        "due_at": clock() + wait,
    }
    # A deploy that was surely not carried out is wanted as before.
    if not change(
        work.lease, only=(DeploymentStatus.SENDING,), status=DeploymentStatus.WANTED, sent_at=None, **changes
    ):
        change(work.lease, only=(*_WANTED, *_UP), **changes)
    return Outcome.LATER


def _wait_for_worker(work: Work, clock: Clock) -> Outcome:
    change(work.lease, only=_WANTED, due_at=clock())
    return Outcome.LATER


APPLY: dict[Step, Callable[[Work, HummingbotGateway, Clock], Outcome]] = {
    Step.LOOK_UP: look_up,
    Step.GIVE_UP: give_up,
    Step.CONFIRM: confirm,
    Step.SEND_STOP: send_stop,
    Step.RETIRE: retire,
    Step.SEND_ARCHIVE: send_archive,
    Step.END: end,
}
