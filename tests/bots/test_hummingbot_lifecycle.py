"""Bots in a Hummingbot that speaks the recorded contract: what is wanted, sent, lost, found again and observed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connections
from django.utils import timezone

from bots.gateways.hummingbot import HummingbotGateway
from bots.models import Bot, BotDeployment, BotRuntime, BotTemplate, HummingbotCredential, HummingbotState
from bots.selectors import bot_status
from bots.services.apply_steps import end
from bots.services.deployments import claim, due_deployments, release
from bots.services.load_work import load_work
from bots.services.poll_hummingbot import poll_hummingbot
from bots.services.reconcile_bots import reconcile_due
from bots.services.start_bot import start_bot
from bots.services.stop_bot import stop_bot
from bots.services.sync_credentials import erase_retired_credentials, sync_credentials
from clients.models import AuditEntry
from clients.services.manage_accounts import remove_connector
from ground.errors import Conflict
from sandbox.testing import Sandbox, start
from tests.fixtures import OPERATOR, Cast, make_bot

pytestmark = pytest.mark.usefixtures("database")
DEPLOY = "/bot-orchestration/deploy-v2-controllers"


@dataclass
class Desk:
    """The sandbox and the bridge's workers, whose clock can be put forward."""

    sandbox: Sandbox
    cast: Cast
    bot: UUID
    ahead: timedelta = timedelta()

    def clock(self) -> datetime:
        return timezone.now() + self.ahead

    def gateway(self) -> HummingbotGateway:
        return HummingbotGateway(self.sandbox.hummingbot_url, "admin", "admin", timeout_s=5)

    def start(self, *, wait: bool = True) -> str:
        return start_bot(scope=OPERATOR, bot_id=self.bot, now=timezone.now(), wait=wait)

    def stop(self, *, wait: bool = True) -> str:
        return stop_bot(scope=OPERATOR, bot_id=self.bot, now=timezone.now(), wait=wait)

    def work(self, *, later_s: float = 0) -> None:
        """One run of a worker, after that time has passed for the bridge and for Hummingbot alike."""
        if later_s:
            self.ahead += timedelta(seconds=later_s)
            self.sandbox.advance(later_s)
        reconcile_due(gateway=self.gateway(), clock=self.clock)

    def poll(self) -> None:
        poll_hummingbot(gateway=self.gateway(), clock=self.clock, force=True)

    def deploys(self) -> int:
        return len(self.sandbox.calls(system="hummingbot", path=DEPLOY, method="POST"))

    def deployment(self) -> BotDeployment:
        return BotDeployment.objects.filter(bot_id=self.bot).latest("sequence")

    def status(self) -> str:
        return bot_status(OPERATOR, self.bot)

    def runtime(self) -> Any:
        return Bot.objects.select_related("runtime").get(id=self.bot).runtime

    def work_until(self, condition: Callable[[], bool]) -> None:
        def tried() -> bool:
            self.work(later_s=2)
            return condition()

        self.sandbox.wait_until(tried, timeout_s=30)


@pytest.fixture
def desk(cast: Cast, settings: Any) -> Iterator[Desk]:
    with start(speed=6) as sandbox:
        settings.HUMMINGBOT_API_URL = sandbox.hummingbot_url
        settings.HUMMINGBOT_API_USERNAME, settings.HUMMINGBOT_API_PASSWORD = "admin", "admin"
        sandbox.add_key("kucoin", "key-of-acme-0123456789", "secret-of-acme", passphrase="memo-of-acme")
        bot = make_bot("client_acme", runtime_kind="hummingbot", name="sharp", config={"order_amount": 1600})
        yield Desk(sandbox, cast, bot)


@pytest.fixture
def keyed(desk: Desk) -> Desk:
    """A worker has given Hummingbot the client's keys before."""
    connector = Bot.objects.get(id=desk.bot).connector_id
    sync_credentials(connector_id=connector, gateway=desk.gateway(), now=timezone.now())
    return desk


def test_start_deploys_the_config_and_is_confirmed_by_what_is_observed(keyed: Desk) -> None:
    assert keyed.start() == "started"
    row = keyed.deployment()
    assert (row.status, row.was_adopted, row.instance_name.startswith(row.requested_name + "-")) == (
        "live",
        False,
        True,
    )
    assert keyed.status() == "running"
    assert keyed.sandbox.containers() == {row.instance_name: "running"}
    config = keyed.gateway().controller_config(row.requested_name).content
    assert (config["trading_pair"], config["total_amount_quote"]) == ("BTC-USDT", 1600)
    assert keyed.start() == "already_running"
    assert keyed.deploys() == 1


def test_credentials_are_sent_by_a_worker_before_the_first_deployment(desk: Desk) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(_in_thread, desk.start)
        desk.work_until(lambda: answer.done())
    assert answer.result() in ("started", "starting")
    desk.work_until(lambda: desk.status() == "running")
    assert desk.deploys() == 1


def _in_thread(call: Callable[[], Any]) -> Any:
    try:
        return call()
    finally:
        connections.close_all()


def test_twenty_parallel_starts_make_one_deployment(keyed: Desk) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: _in_thread(keyed.start), range(20)))
    assert set(answers) <= {"started", "starting", "already_running"}
    assert keyed.deploys() == 1
    assert BotDeployment.objects.filter(bot_id=keyed.bot).count() == 1
    assert len(keyed.sandbox.containers()) == 1


def test_deploy_whose_answer_is_lost_is_found_and_adopted_and_never_repeated(keyed: Desk) -> None:
    keyed.sandbox.fault("hummingbot", "lost_answer", path=DEPLOY)
    assert keyed.start() in ("started", "starting")
    keyed.work_until(lambda: keyed.status() == "running")
    row = keyed.deployment()
    assert (row.status, row.was_adopted, row.sequence) == ("live", True, 1)
    assert keyed.sandbox.containers() == {row.instance_name: "running"}
    assert keyed.deploys() == 1


def test_second_container_of_one_deploy_is_taken_down_and_its_deployment_says_so_once(keyed: Desk) -> None:
    keyed.start()
    row = keyed.deployment()
    account = HummingbotCredential.objects.get().account_name
    time.sleep(1.01)  # names end in the second of their making
    second = keyed.gateway().deploy_controllers(
        instance_name=row.requested_name, account=account, controllers=[row.requested_name]
    )  # as a proxy that repeats a request does
    keyed.sandbox.fault("hummingbot", "server_error", path="/bot-orchestration/stop", count=1)
    for _ in range(3):
        keyed.poll()
    keyed.sandbox.wait_until(lambda: keyed.sandbox.containers().get(second.instance_name) != "running")
    keyed.poll()
    assert keyed.sandbox.containers()[row.instance_name] == "running"
    row.refresh_from_db()
    assert (row.status, row.message) == (
        "live",
        f"Hummingbot made a second container of it, {second.instance_name}; it is taken down.",
    )
    notes = AuditEntry.objects.filter(table_name="bot_deployments", row_id=str(row.id), actor="system:doubles")
    assert [(note.action, note.reason) for note in notes] == [("UPDATE", "a deploy made two containers")]


def test_deploy_that_left_no_trace_fails_after_a_minute_and_is_never_sent_again(keyed: Desk) -> None:
    keyed.sandbox.fault("hummingbot", "drop", path=DEPLOY, count=1)
    assert keyed.start() == "starting"
    began = keyed.clock()
    keyed.work_until(lambda: keyed.deployment().status == "failed")
    row = keyed.deployment()
    assert row.clean_lookups >= 3
    assert row.ended_at is not None
    assert row.ended_at - began >= timedelta(seconds=58)
    assert keyed.status() == "error"
    keyed.work(later_s=600)
    assert keyed.deploys() == 1
    assert keyed.start() == "started"
    assert keyed.deployment().sequence == 2


def test_killed_container_shows_within_one_poll_while_the_wish_stays(keyed: Desk) -> None:
    keyed.start()
    keyed.sandbox.fault(f"bot:{keyed.deployment().instance_name}", "dead")
    keyed.poll()
    assert (keyed.runtime().status, keyed.status()) == ("exited", "error")
    assert Bot.objects.get(id=keyed.bot).desired_status == "running"
    assert keyed.start() == "started", "a person may start it again"
    assert keyed.deployment().sequence == 2


def test_container_gone_without_trace_is_unknown_after_three_polls(keyed: Desk) -> None:
    keyed.start()
    keyed.sandbox.fault(f"bot:{keyed.deployment().instance_name}", "vanished")
    keyed.sandbox.advance(60)
    seen = []
    for _ in range(3):
        keyed.poll()
        seen.append(keyed.runtime().status)
    assert seen == ["running", "running", "unknown"]
    assert keyed.status() == "unknown"
    assert keyed.start() == "starting", "a person may start it again"
    keyed.work_until(lambda: keyed.status() == "running")
    assert (keyed.deployment().sequence, keyed.deploys()) == (2, 2)


def test_bot_whose_strategy_ended_by_itself_is_taken_down_before_it_starts_again(keyed: Desk) -> None:
    keyed.start()
    first = keyed.deployment().instance_name
    keyed.sandbox.fault(f"bot:{first}", "stop_trading")
    keyed.sandbox.wait_until(lambda: keyed.poll() or keyed.runtime().status == "stopped")
    assert keyed.status() == "error"
    assert keyed.start(wait=False) == "starting"
    keyed.work_until(lambda: keyed.status() == "running")
    keyed.work_until(lambda: BotDeployment.objects.get(sequence=1).status == "ended")
    running = [name for name, container in keyed.sandbox.containers().items() if container == "running"]
    assert running == [keyed.deployment().instance_name] != [first]


def test_stop_is_confirmed_and_its_container_retired(keyed: Desk) -> None:
    keyed.start()
    assert keyed.stop() == "stopped"
    assert keyed.status() == "stopped"
    assert keyed.stop() == "already_stopped"
    keyed.work_until(lambda: keyed.deployment().status == "ended")
    assert set(keyed.sandbox.containers().values()) <= {"none", "exited"}
    assert keyed.start() == "started", "each start is a new deployment"
    assert keyed.deployment().sequence == 2


def test_each_step_of_a_deployment_stands_in_the_audit_with_who_took_it_and_what_it_came_to(keyed: Desk) -> None:
    keyed.sandbox.fault("hummingbot", "lost_answer", path=DEPLOY, count=1)
    keyed.start()
    keyed.work_until(lambda: keyed.status() == "running")
    keyed.stop(wait=False)
    keyed.work_until(lambda: keyed.deployment().status == "ended")
    rows = AuditEntry.objects.filter(table_name="bot_deployments", row_id=str(keyed.deployment().id)).order_by("id")
    steps = [(row.actor, row.reason, status) for row in rows if (status := (row.after or {}).get("status"))]
    assert steps == [
        (OPERATOR.actor, "start", "wanted"),
        ("system:reconciler", "deploy", "sending"),
        ("system:reconciler", "deploy", "unknown_outcome"),
        ("system:reconciler", "look_up", "live"),
        ("system:reconciler", "send_stop", "stopping"),
        ("system:reconciler", "retire", "retiring"),
        ("system:reconciler", "end", "ended"),
    ]
    assert {row.reason for row in rows} >= {"confirm", "send_archive"}
    assert all(row.actor and row.reason and not {"lease_token", "due_at"} & set(row.before or ()) for row in rows)


def test_start_with_hummingbot_away_keeps_the_wish_and_goes_on_when_it_is_back(keyed: Desk) -> None:
    keyed.sandbox.fault("hummingbot", "down")
    assert keyed.start() == "starting"
    assert keyed.status() == "starting"
    keyed.sandbox.clear_faults()
    keyed.work_until(lambda: keyed.status() == "running")
    assert keyed.deploys() == 1


def test_failed_poll_keeps_what_was_last_known(keyed: Desk) -> None:
    keyed.start()
    keyed.poll()
    before = keyed.runtime()
    keyed.sandbox.fault("hummingbot", "html")
    for _ in range(3):
        keyed.poll()
    state = HummingbotState.objects.get()
    assert (state.failures, bool(state.error)) == (3, True)
    after = keyed.runtime()
    assert (after.status, after.observed_at) == (before.status, before.observed_at)
    keyed.sandbox.clear_faults()
    keyed.poll()
    state = HummingbotState.objects.get()
    assert (state.failures, state.error, state.version) == (0, "", "1.0.1")


def test_refused_credentials_stop_the_deployment_with_a_sentence_and_no_secret(desk: Desk) -> None:
    desk.sandbox.fault("key:key-of-acme-0123456789", "revoked")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(_in_thread, desk.start)
        desk.work_until(lambda: answer.done())
    with pytest.raises(Conflict) as caught:
        answer.result()
    assert caught.value.message == desk.deployment().message
    assert "kucoin refused the credentials" in caught.value.message
    assert "key-of-acme" not in caught.value.message
    assert (desk.status(), desk.deploys()) == ("error", 0)


def test_refused_deploy_is_not_retried(keyed: Desk) -> None:
    connector = Bot.objects.get(id=keyed.bot).connector
    assert connector is not None
    connector.api_key = connector.api_secret = connector.passphrase = None
    connector.credentials_version += 1
    connector.save()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(_in_thread, keyed.start)
        keyed.work_until(lambda: answer.done())
    with pytest.raises(Conflict, match="no credentials"):
        answer.result()
    keyed.work(later_s=900)
    assert keyed.deploys() == 0


def test_script_bot_runs_and_stops_though_it_never_reports(keyed: Desk) -> None:
    BotTemplate.objects.create(
        name="simple", kind="script", controller_name="simple_pmm",
        mapping={"script_file_name": "simple_pmm.py", "controllers_config": [], "candles_config": [], "markets": {}},
    )  # fmt: skip
    Bot.objects.filter(id=keyed.bot).update(strategy="simple", config={})
    assert keyed.start() == "started"
    keyed.poll()
    assert (keyed.runtime().status, keyed.status()) == ("running", "running")
    assert keyed.stop(wait=False) == "stopping"
    keyed.work_until(lambda: keyed.status() == "stopped")
    keyed.work_until(lambda: keyed.deployment().status == "ended")
    assert "running" not in keyed.sandbox.containers().values()


def test_wrong_password_is_told_in_a_sentence_that_names_the_setting(keyed: Desk, settings: Any) -> None:
    settings.HUMMINGBOT_API_PASSWORD = "wrong"
    with pytest.raises(Conflict, match="HUMMINGBOT_API_PASSWORD"):
        keyed.start()
    assert (keyed.status(), keyed.deploys()) == ("error", 0)
    poll_hummingbot(gateway=HummingbotGateway(keyed.sandbox.hummingbot_url, "admin", "wrong"), force=True)
    assert "HUMMINGBOT_API_PASSWORD" in HummingbotState.objects.get().error


def test_many_beats_poll_once(keyed: Desk) -> None:
    keyed.poll()
    before = len(keyed.sandbox.calls(system="hummingbot", path="/bot-orchestration/status"))
    keyed.ahead += timedelta(seconds=11)
    with ThreadPoolExecutor(4) as pool:
        polled = list(
            pool.map(
                lambda _: _in_thread(lambda: poll_hummingbot(gateway=keyed.gateway(), clock=keyed.clock)), range(8)
            )
        )
    assert polled.count(True) == 1
    assert len(keyed.sandbox.calls(system="hummingbot", path="/bot-orchestration/status")) == before + 1


def test_external_bot_records_what_was_said_and_nothing_is_sent(keyed: Desk) -> None:
    bot = make_bot("client_acme", name="elsewhere")
    before = len(keyed.sandbox.calls(system="hummingbot"))
    now = timezone.now()
    words = [start_bot(scope=OPERATOR, bot_id=bot, now=now) for _ in range(2)]
    assert (words, bot_status(OPERATOR, bot)) == (["started", "already_running"], "running")
    words = [stop_bot(scope=OPERATOR, bot_id=bot, now=now) for _ in range(2)]
    assert (words, bot_status(OPERATOR, bot)) == (["stopped", "already_stopped"], "stopped")
    assert len(keyed.sandbox.calls(system="hummingbot")) == before
    assert BotDeployment.objects.filter(bot_id=bot).count() == 0


def test_worker_that_died_while_sending_leads_to_a_look_up_and_no_second_deploy(keyed: Desk) -> None:
    keyed.start()
    keyed.poll()
    # As it stands in the database after kill -9 between the call and the note of its answer.
    BotDeployment.objects.update(
        status="sending", instance_name="", confirmed_at=None, lease_until=keyed.clock() + timedelta(seconds=60),
        lease_token=keyed.bot, due_at=keyed.clock(),
    )  # fmt: skip
    keyed.work()
    assert keyed.deployment().status == "sending", "its lease still runs"
    keyed.work(later_s=61)
    keyed.work_until(lambda: keyed.status() == "running")
    assert (keyed.deploys(), keyed.deployment().was_adopted) == (1, True)


def test_stop_after_a_lost_answer_finds_the_bot_and_stops_it(keyed: Desk) -> None:
    keyed.sandbox.fault("hummingbot", "lost_answer", path=DEPLOY)
    keyed.sandbox.fault("hummingbot", "server_error", path="/docker/")
    keyed.sandbox.fault("hummingbot", "server_error", path="/bot-orchestration/status")
    assert keyed.start() == "starting"
    assert keyed.deployment().status == "unknown_outcome"
    assert keyed.stop() == "stopping"
    keyed.sandbox.clear_faults()
    keyed.work_until(lambda: keyed.status() == "stopped")
    assert keyed.deploys() == 1
    keyed.work_until(lambda: keyed.deployment().status == "ended")


def test_stop_with_the_broker_away_stays_stopping_until_it_is_back(keyed: Desk) -> None:
    keyed.start()
    keyed.sandbox.fault("hummingbot", "broker_down")
    assert keyed.stop() == "stopping"
    assert (keyed.status(), "broker" in keyed.deployment().message) == ("stopping", True)
    keyed.sandbox.clear_faults()
    keyed.work_until(lambda: keyed.status() == "stopped")


def test_bot_that_turns_up_after_it_was_given_up_is_stopped_when_another_runs(keyed: Desk) -> None:
    keyed.start()
    keyed.poll()
    stray = keyed.deployment()
    # Its deploy was lost and given up, as it would be when pulling its image took minutes; then a person started again.
    BotDeployment.objects.update(status="failed", instance_name="", confirmed_at=None)
    Bot.objects.update(desired_status="stopped")
    assert keyed.start() == "started"
    keyed.poll()
    stray.refresh_from_db()
    assert stray.status == "retiring"
    keyed.work_until(lambda: stray.refresh_from_db() or stray.status == "ended")
    running = [name for name, container in keyed.sandbox.containers().items() if container == "running"]
    assert running == [keyed.deployment().instance_name]
    assert keyed.status() == "running"


def test_changed_credentials_are_sent_again_before_the_next_deployment(keyed: Desk) -> None:
    adding = "/accounts/add-credential/"
    assert len(keyed.sandbox.calls(system="hummingbot", path=adding)) == 1
    connector = Bot.objects.get(id=keyed.bot).connector
    assert connector is not None
    sync_credentials(connector_id=connector.id, gateway=keyed.gateway(), now=timezone.now())
    assert len(keyed.sandbox.calls(system="hummingbot", path=adding)) == 1, "the same version is not sent twice"
    connector.credentials_version += 1
    connector.save()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(_in_thread, keyed.start)
        keyed.work_until(lambda: answer.done())
    keyed.work_until(lambda: keyed.status() == "running")
    assert len(keyed.sandbox.calls(system="hummingbot", path=adding)) == 2


def test_keys_of_a_removed_connector_are_forgotten_by_hummingbot_too(keyed: Desk) -> None:
    credential = HummingbotCredential.objects.get()
    remove_connector(scope=OPERATOR, client_id=keyed.cast.acme, connector_id=credential.connector_id)
    keyed.sandbox.fault("hummingbot", "down")
    assert erase_retired_credentials(gateway=keyed.gateway()) == 0
    keyed.sandbox.clear_faults()
    assert erase_retired_credentials(gateway=keyed.gateway()) == 1
    assert keyed.gateway().credentials(credential.account_name) == ()
    assert not HummingbotCredential.objects.exists() and erase_retired_credentials(gateway=keyed.gateway()) == 0


def test_list_of_bots_is_answered_from_what_was_stored_while_hummingbot_is_down(keyed: Desk) -> None:
    keyed.start()
    keyed.poll()
    keyed.sandbox.fault("hummingbot", "down")
    BotRuntime.objects.update(observed_at=timezone.now() - timedelta(minutes=2))
    before = len(keyed.sandbox.calls(system="hummingbot"))
    bots = {bot["id"]: bot for bot in keyed.cast.operator.get("/bots").body["bots"]}
    shown = bots[str(keyed.bot)]
    assert (shown["status"], shown["desired_status"]) == ("unknown", "running")
    assert (shown["runtime"]["status"], shown["runtime"]["source"]) == ("running", "last_known")
    assert shown["runtime"]["age_s"] >= 120
    assert len(keyed.sandbox.calls(system="hummingbot")) == before


def test_bot_that_is_wanted_again_while_its_deployment_ends_gets_a_new_one_at_once(keyed: Desk) -> None:
    keyed.start()
    keyed.stop(wait=False)
    lease = claim(keyed.deployment().id, now=keyed.clock())
    work = lease and load_work(lease)
    assert lease and work and work.wish.desired == "stopped"
    keyed.start(wait=False)
    end(work, keyed.gateway(), keyed.clock)  # it was found gone before anybody wanted it again
    release(lease)
    assert (keyed.deployment().sequence, keyed.deployment().status) == (2, "wanted")


def test_lease_and_due_time_from_before_a_clock_was_set_back_hold_nobody_up(keyed: Desk) -> None:
    keyed.start()
    now, row = timezone.now(), BotDeployment.objects.filter(bot_id=keyed.bot)
    row.update(lease_token=uuid4(), lease_until=now + timedelta(seconds=50), due_at=now + timedelta(minutes=59))
    assert due_deployments(now=now, limit=5) == [] and claim(keyed.deployment().id, now=now) is None
    row.update(lease_until=now + timedelta(hours=3), due_at=now + timedelta(hours=3))
    assert due_deployments(now=now, limit=5) == [keyed.deployment().id]
    assert claim(keyed.deployment().id, now=now) is not None


def test_hummingbot_that_asks_for_a_day_of_quiet_is_asked_again_within_minutes(keyed: Desk) -> None:
    keyed.sandbox.fault("hummingbot", "rate_limit", retry_after_s=86_400)
    assert keyed.start() == "starting"
    assert keyed.deployment().due_at < timezone.now() + timedelta(minutes=20)
