"""Lost definitions, rebuilt from what the sandbox's Hummingbot knows, with where each field comes from."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, connections
from django.test import Client as HttpClient
from django.urls import reverse
from django.utils import timezone

from bots.gateways.hummingbot import HummingbotGateway
from bots.models import Bot, BotDeployment, BotHealth, BotRuntime
from bots.models_lost import RecoverySurvey, UnmanagedInstance
from bots.rules.names import account_name
from bots.selectors import bot_status
from bots.services.keep_running import keep_bots_running
from bots.services.note_unmanaged import note_unmanaged
from bots.services.poll_hummingbot import poll_hummingbot
from bots.services.propose_recovery import known_instances, propose_recovery
from bots.services.reconcile_bots import reconcile_due
from bots.services.recover_definitions import recover_definition
from bots.services.recovery_surveys import take_surveys
from bots.services.start_bot import start_bot
from bots.services.stop_bot import stop_bot
from bots.services.survey_hummingbot import survey_hummingbot
from bots.services.sync_credentials import sync_credentials
from clients.models import AuditEntry
from ground.errors import GatewayError
from sandbox.testing import Sandbox, start
from tests.fixtures import OPERATOR, Cast, make_bot

pytestmark = pytest.mark.usefixtures("database")
CONFIG = {"order_amount": 1600, "bid_spread": 0.002, "ask_spread": 0.004}
FOREIGN = {
    "id": "maker-eth", "controller_type": "market_making", "controller_name": "pmm_simple", "connector_name": "kucoin",
    "trading_pair": "ETH-USDT", "total_amount_quote": 250, "buy_spreads": [0.001], "sell_spreads": [0.001],
    "executor_refresh_time": 60, "leverage": 1, "stop_loss": 0.03, "take_profit": 0.02, "time_limit": 2700,
    "manual_kill_switch": False,
}  # fmt: skip


@dataclass
class Desk:
    """The sandbox, a client whose keys it holds, and workers whose clock can be put forward."""

    sandbox: Sandbox
    cast: Cast
    bots: dict[str, UUID] = field(default_factory=dict)
    ahead: timedelta = timedelta()

    def clock(self) -> datetime:
        return timezone.now() + self.ahead

    def gateway(self) -> HummingbotGateway:
        return HummingbotGateway(self.sandbox.hummingbot_url, "admin", "admin", timeout_s=5)

    def run(self, name: str, pair: str = "BTC/USDT") -> UUID:
        """A bot of acme's that runs in Hummingbot."""
        bot = make_bot("client_acme", runtime_kind="hummingbot", name=name, pair=pair, config=CONFIG)
        self.bots[name] = bot
        sync_credentials(connector_id=Bot.objects.get(id=bot).connector_id, gateway=self.gateway(), now=timezone.now())
        start_bot(scope=OPERATOR, bot_id=bot, now=timezone.now())
        self.work_until(lambda: self.status(bot) == "running")
        return bot

    def archive(self, bot: UUID) -> None:
        stop_bot(scope=OPERATOR, bot_id=bot, now=timezone.now())
        self.work_until(lambda: BotDeployment.objects.get(bot_id=bot).status == "ended")
        self.sandbox.advance(30)

    def status(self, bot: UUID) -> str:
        return bot_status(OPERATOR, bot)

    def instance(self, bot: UUID) -> str:
        return BotDeployment.objects.filter(bot_id=bot).latest("sequence").instance_name

    def work(self, *, later_s: float = 2) -> None:
        self.ahead += timedelta(seconds=later_s)
        self.sandbox.advance(later_s)
        poll_hummingbot(gateway=self.gateway(), clock=self.clock, force=True)
        reconcile_due(gateway=self.gateway(), clock=self.clock)

    def work_until(self, condition: Callable[[], bool]) -> None:
        self.sandbox.wait_until(lambda: self.work() or condition(), timeout_s=30)

    def deploys(self) -> int:
        return len(self.sandbox.calls(system="hummingbot", path="/bot-orchestration/deploy-v2", method="POST"))

    def recover(self, *arguments: str) -> str:
        out = io.StringIO()
        call_command("recover_bots", *arguments, stdout=out)
        return out.getvalue()


@pytest.fixture
def desk(cast: Cast, settings: Any) -> Iterator[Desk]:
    with start(speed=6) as sandbox:
        settings.HUMMINGBOT_API_URL = sandbox.hummingbot_url
        settings.HUMMINGBOT_API_USERNAME, settings.HUMMINGBOT_API_PASSWORD = "admin", "admin"
        sandbox.add_key("kucoin", "key-of-acme-0123456789", "secret-of-acme", passphrase="memo-of-acme")
        yield Desk(sandbox, cast)


def _empty_bots(*also: str) -> None:
    """As after a lost volume: no definition, and nothing that hung on one."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(('bots', *also))} CASCADE")
    connections["operator"].close()


def _forget_audit() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE audit_log")


@pytest.mark.parametrize("has_audit", [True, False])
def test_emptied_table_is_rebuilt_with_a_running_and_an_archived_bot(desk: Desk, has_audit: bool) -> None:
    running, archived = desk.run("sharp"), desk.run("blunt", "ETH/USDT")
    desk.archive(archived)
    sent, instance = desk.deploys(), desk.instance(running)
    _empty_bots()
    if not has_audit:
        _forget_audit()

    told = desk.recover("--dry-run")
    assert "2 to create. Nothing was changed (dry run)." in told
    assert Bot.objects.count() == BotDeployment.objects.count() == 0

    told = desk.recover()
    back, gone = Bot.objects.get(id=running), Bot.objects.get(id=archived)
    assert (back.client_id, back.pair, back.strategy, back.connector_name) == (
        desk.cast.acme, "BTC/USDT", "spread", "kucoin",
    )  # fmt: skip
    assert {name: float(back.config[name]) for name in CONFIG} == CONFIG
    assert back.connector is not None
    assert (back.desired_status, gone.desired_status) == ("running", "stopped")
    assert gone.pair == "ETH/USDT"
    assert (back.name, gone.name) == (("sharp", "blunt") if has_audit else ("spread BTC/USDT", "spread ETH/USDT"))
    source = "from the audit (entry" if has_audit else "from its strategy and pair"
    assert source in told
    assert f"from its Hummingbot account {account_name('client_acme', desk.cast.acme)}" in told

    desk.work_until(lambda: desk.status(running) == "running")
    for _ in range(3):
        desk.work(later_s=60)
    assert (desk.status(archived), desk.instance(running), desk.deploys()) == ("stopped", instance, sent)
    assert BotHealth.objects.count() == 2
    assert "no bot that is not managed" in desk.recover()
    assert start_bot(scope=OPERATOR, bot_id=archived, now=timezone.now()) in ("started", "starting")
    assert BotDeployment.objects.filter(bot_id=archived).latest("sequence").sequence == 2


def test_stopped_bot_whose_container_is_still_up_comes_back_stopped(desk: Desk) -> None:
    bot = desk.run("sharp")
    instance = desk.instance(bot)
    desk.sandbox.hummingbot("POST", "/bot-orchestration/stop-bot", json={"bot_name": instance})
    desk.sandbox.advance(40)
    _empty_bots()
    _forget_audit()
    told = desk.recover()
    assert f"instance {instance}: stopped" in told
    assert Bot.objects.get(id=bot).desired_status == "stopped"
    desk.work_until(lambda: BotDeployment.objects.get(bot_id=bot).status == "ended")
    assert (desk.status(bot), desk.deploys()) == ("stopped", 1)


@pytest.mark.parametrize(("was_stopped", "wish"), [(False, "running"), (True, "stopped")])
def test_container_whose_image_lost_its_tag_is_not_taken_for_a_stopped_one(
    desk: Desk, was_stopped: bool, wish: str
) -> None:
    """Hummingbot shows nothing of it but that it is up, and its log calls a run stopped before it tries to stop it."""
    bot = desk.run("sharp")
    instance = desk.instance(bot)
    for fault in ("untagged", "silent"):
        desk.sandbox.fault(f"bot:{instance}", fault)
    if was_stopped:
        desk.sandbox.hummingbot("POST", "/bot-orchestration/stop-bot", json={"bot_name": instance})
    desk.sandbox.advance(60)
    _empty_bots()
    _forget_audit()
    assert f"instance {instance}: up" in desk.recover()
    assert Bot.objects.get(id=bot).desired_status == wish
    if not was_stopped:
        for _ in range(3):
            desk.work(later_s=60)
            keep_bots_running(now=desk.clock())
        assert (BotDeployment.objects.get().status, desk.deploys()) == ("live", 1)


def test_wish_that_the_audit_remembers_outweighs_what_runs(desk: Desk) -> None:
    """Stopped on purpose while Hummingbot was away, then the table was lost: it must not trade on."""
    bot = desk.run("sharp")
    desk.sandbox.fault("hummingbot", "down")
    stop_bot(scope=OPERATOR, bot_id=bot, now=timezone.now())
    desk.sandbox.clear_faults()
    _empty_bots()
    assert "wish = stopped  (from the audit" in desk.recover()
    desk.work_until(lambda: BotDeployment.objects.get(bot_id=bot).status == "ended")
    assert desk.status(bot) == "stopped"
    assert "running" not in desk.sandbox.containers().values()


def test_bot_that_should_run_and_whose_container_ended_is_deployed_once_more(desk: Desk) -> None:
    bot = desk.run("sharp")
    instance = desk.instance(bot)
    desk.sandbox.fault(f"bot:{instance}", "dead")
    _empty_bots()
    assert f"instance {instance}: exited" in desk.recover()
    assert Bot.objects.get(id=bot).desired_status == "running"

    def is_back() -> bool:
        keep_bots_running(now=desk.clock())
        return desk.status(bot) == "running"

    desk.work_until(is_back)
    assert (desk.deploys(), BotDeployment.objects.filter(bot_id=bot).count()) == (2, 2)
    assert list(desk.sandbox.containers().values()).count("running") == 1


def test_bot_that_was_deleted_on_purpose_is_not_made_again(desk: Desk) -> None:
    bot = desk.run("sharp")
    desk.archive(bot)
    Bot.objects.filter(id=bot).update(retired_at=timezone.now())
    _empty_bots()
    assert "deleted on purpose" in desk.recover()
    assert Bot.objects.count() == 0


def test_foreign_bot_needs_its_owner_and_then_takes_its_own_name(desk: Desk) -> None:
    name = "maker-eth-20260101-000000"
    acme = account_name("client_acme", desk.cast.acme)
    key = {"kucoin_api_key": "key-of-acme-0123456789"}
    desk.sandbox.add_account(acme, kucoin=key)
    desk.sandbox.add_container(name, account=acme, configs=[FOREIGN])
    legs = [FOREIGN | {"id": "leg-a"}, FOREIGN | {"id": "leg-b", "trading_pair": "BTC-USDT"}]
    desk.sandbox.add_container("legs-20260101-000000", account=acme, configs=legs)
    desk.sandbox.advance(10)
    before = Bot.objects.count()

    told = desk.recover()
    assert "leg-a: pmm_simple kucoin ETH-USDT; leg-b: pmm_simple kucoin BTC-USDT" in told
    assert "say whose it is" in told
    assert Bot.objects.count() == before
    with pytest.raises(CommandError, match="client_nobody"):
        desk.recover("--client", "maker-eth=client_nobody")

    told = desk.recover("--client", "maker-eth=client_acme")
    assert "client = client_acme  (from your choice)" in told
    made = Bot.objects.get(name="maker-eth")
    assert (made.pair, made.strategy, made.source_id) == ("ETH/USDT", "spread", "maker-eth")
    assert float(made.config["order_amount"]) == 250
    desk.work_until(lambda: desk.status(made.id) == "running")
    assert desk.deploys() == 0


def test_foreign_instance_is_linked_to_the_definition_it_fits(desk: Desk) -> None:
    bot = make_bot("client_acme", runtime_kind="hummingbot", name="eth", pair="ETH/USDT", config={"order_amount": 250})
    acme = account_name("client_acme", desk.cast.acme)
    desk.sandbox.add_account(acme, kucoin={"kucoin_api_key": "key-of-acme-0123456789"})
    desk.sandbox.add_container("maker-eth-20260101-000000", account=acme, configs=[FOREIGN])
    desk.sandbox.advance(10)
    told = desk.recover("--client", "maker-eth=client_acme")
    assert told.startswith("link: maker-eth: eth is defined with the same client")
    deployment = BotDeployment.objects.get(bot_id=bot)
    assert (deployment.status, deployment.instance_name) == ("live", "maker-eth-20260101-000000")
    desk.work_until(lambda: desk.status(bot) == "running")
    assert desk.deploys() == 0


def test_instance_of_a_definition_that_lost_its_deployments_is_adopted(desk: Desk) -> None:
    bot = desk.run("sharp")
    instance = desk.instance(bot)
    BotDeployment.objects.all().delete()
    BotRuntime.objects.all().delete()
    assert desk.recover().startswith("adopt: tb-")
    assert desk.instance(bot) == instance
    desk.work_until(lambda: desk.status(bot) == "running")
    assert desk.deploys() == 1


def test_eight_recoveries_at_once_make_one_definition(desk: Desk) -> None:
    bot = desk.run("sharp")
    _empty_bots()
    found = survey_hummingbot(desk.gateway(), known=known_instances(OPERATOR))
    [proposal] = propose_recovery(scope=OPERATOR, found=found)

    def recover(_: int) -> bool:
        try:
            return recover_definition(scope=OPERATOR, proposal=proposal, now=timezone.now()).was_refused
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        refused = list(pool.map(recover, range(8)))
    assert sorted(refused) == [False, *[True] * 7]
    assert [row.bot_id for row in BotDeployment.objects.all()] == [bot]


def test_a_list_that_cannot_be_read_recovers_nothing(desk: Desk) -> None:
    """A missing list of containers would have a running bot pass for one that is gone."""
    desk.run("sharp")
    _empty_bots()
    desk.sandbox.fault("hummingbot", "docker_down")
    with pytest.raises(CommandError):
        desk.recover()
    assert Bot.objects.count() == 0


def test_unmanaged_list_holds_what_is_up_and_nobody_defined_until_it_is_managed_or_gone(desk: Desk) -> None:
    bot = desk.run("sharp")
    instance, stray = desk.instance(bot), "maker-eth-20260101-000000"
    desk.sandbox.add_container(stray, configs=[FOREIGN])
    desk.sandbox.advance(10)
    assert note_unmanaged(gateway=desk.gateway(), now=timezone.now()) == 1
    row = UnmanagedInstance.objects.get()
    assert (row.instance_name, row.is_ours, row.has_container) == (stray, False, True)
    assert row.advice.startswith("Claim or leave it:")
    _empty_bots()
    assert note_unmanaged(gateway=desk.gateway(), now=timezone.now()) == 2
    assert UnmanagedInstance.objects.get(is_ours=True).instance_name == instance
    desk.sandbox.fault("hummingbot", "docker_down")
    with pytest.raises(GatewayError):
        note_unmanaged(gateway=desk.gateway(), now=timezone.now())
    desk.sandbox.clear_faults()
    desk.recover()
    desk.sandbox.fault(f"bot:{stray}", "vanished")
    desk.sandbox.advance(40)
    assert note_unmanaged(gateway=desk.gateway(), now=timezone.now()) == 0
    assert UnmanagedInstance.objects.count() == 0


@pytest.fixture
def alice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> HttpClient:
    user = User.objects.create_superuser("alice", password="correct horse battery")
    monkeypatch.setattr("ground.scope._outside", "operator")
    http = HttpClient()
    http.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return http


def test_wizard_shows_where_each_field_comes_from_and_makes_what_is_ticked(
    desk: Desk, alice: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = reverse("admin:bots_recoverysurvey_changelist")
    bot = desk.run("sharp")
    desk.sandbox.add_container("maker-eth-20260101-000000", configs=[FOREIGN])
    desk.sandbox.advance(10)
    with monkeypatch.context() as patched:
        patched.setattr("ground.scope._outside", "default")
        _empty_bots()
    assert alice.post(page, {"do": "look"}).status_code == 302
    assert b"A worker is looking" in alice.get(page).content
    assert take_surveys(gateway=desk.gateway(), now=timezone.now()) == 1

    shown = alice.get(page).content.decode()
    assert "the audit (entry" in shown and "say whose it is" in shown and Bot.objects.count() == 0
    survey, owner = RecoverySurvey.objects.get(), {"owner:maker-eth": "client_acme"}
    shown = alice.post(page, {"do": "show", **owner}).content.decode()
    assert "your choice" in shown and Bot.objects.count() == 0
    keys = [f"tb-{bot.hex}", "maker-eth"]
    alice.post(page, {"do": "apply", "survey": str(survey.id), "key": keys, **owner})
    assert set(Bot.objects.values_list("name", flat=True)) == {"sharp", "maker-eth"}
    assert {line["by"] for line in RecoverySurvey.objects.get().report} == {"operator:alice"}
    entry = AuditEntry.objects.filter(table_name="bots", action="INSERT").latest("id")
    assert entry.actor == "operator:alice" and "recovered from Hummingbot" in entry.reason
    assert "created: sharp" in alice.get(page).content.decode()

    RecoverySurvey.objects.update(taken_at=timezone.now() - timedelta(hours=1))
    alice.post(page, {"do": "apply", "survey": str(survey.id), "key": keys})
    assert "too old to act on" in alice.get(page).content.decode()
