"""What Hummingbot holds of a running bot against what is wanted: found, and pushed, adopted or ignored as somebody chose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from bots.gateways.hummingbot import HummingbotGateway
from bots.models import Bot, BotDeployment, BotDrift, BotDriftLook
from bots.services.choose_drift import adopt_theirs, ignore_drift, push_ours
from bots.services.look_for_drift import LOOK_EVERY, look_for_drift
from bots.services.manage_bots import update_bot
from bots.services.poll_hummingbot import poll_hummingbot
from bots.services.start_bot import start_bot
from bots.services.stop_bot import stop_bot
from bots.services.sweep_status_drift import sweep_status_drift
from bots.services.sync_credentials import sync_credentials
from clients.models import AuditEntry
from ground.errors import Conflict, Forbidden, InvalidInput
from ground.scope import Scope
from sandbox.testing import Sandbox, start
from tests.fixtures import OPERATOR, Cast, make_bot

pytestmark = pytest.mark.usefixtures("database")


@dataclass
class Desk:
    """A bot that runs in the sandbox, and the worker that looks, whose clock can be put forward."""

    sandbox: Sandbox
    cast: Cast
    bot: UUID
    ahead: timedelta = timedelta()

    def clock(self) -> datetime:
        return timezone.now() + self.ahead

    def gateway(self) -> HummingbotGateway:
        return HummingbotGateway(self.sandbox.hummingbot_url, "admin", "admin", timeout_s=5)

    def look(self, *, later: timedelta = LOOK_EVERY) -> int:
        self.ahead += later
        return look_for_drift(gateway=self.gateway(), clock=self.clock)

    def name(self) -> tuple[str, str]:
        row = BotDeployment.objects.get(bot_id=self.bot, status="live")
        return row.instance_name, row.requested_name

    def change_there(self, **changes: Any) -> None:
        instance, config = self.name()
        self.sandbox.hummingbot("POST", f"/controllers/bots/{instance}/{config}/config", json=changes)

    def held(self) -> Any:
        return self.gateway().instance_configs(self.name()[0])[0].content

    def writes(self) -> int:
        return len(self.sandbox.calls(system="hummingbot", path="/controllers/bots/", method="POST"))

    def open(self) -> list[tuple[str, str, str, str, str]]:
        rows = BotDrift.objects.exclude(status="closed").order_by("field")
        return [(row.field, row.ours, row.theirs, row.changed, row.status) for row in rows]

    def drift(self, field: str) -> BotDrift:
        return BotDrift.objects.filter(field=field).latest("found_at")


@pytest.fixture
def desk(cast: Cast, settings: Any) -> Iterator[Desk]:
    with start(speed=6) as sandbox:
        settings.HUMMINGBOT_API_URL = sandbox.hummingbot_url
        settings.HUMMINGBOT_API_USERNAME, settings.HUMMINGBOT_API_PASSWORD = "admin", "admin"
        sandbox.add_key("kucoin", "key-of-acme-0123456789", "secret-of-acme", passphrase="memo-of-acme")
        bot = make_bot("client_acme", runtime_kind="hummingbot", name="sharp", config={"order_amount": 1600})
        desk = Desk(sandbox, cast, bot)
        sync_credentials(connector_id=Bot.objects.get(id=bot).connector_id, gateway=desk.gateway(), now=timezone.now())
        assert start_bot(scope=OPERATOR, bot_id=bot, now=timezone.now()) == "started"
        yield desk


def test_what_runs_as_wanted_differs_in_nothing_and_is_looked_at_every_few_minutes(desk: Desk) -> None:
    assert desk.look() == 1
    assert desk.open() == []
    look = BotDriftLook.objects.get()
    assert (look.error, look.looked_at is not None) == ("", True)
    assert desk.look(later=timedelta(seconds=10)) == 0, "it is not due"
    assert desk.look() == 1


def test_a_config_changed_in_hummingbot_is_listed_field_by_field_and_once(desk: Desk) -> None:
    desk.change_there(total_amount_quote=900, buy_spreads=[0.01], cooldown_time=15)
    for _ in range(3):
        desk.look()
    assert desk.open() == [
        ("config.buy_spreads", "[0.003]", "[0.01]", "there", "open"),
        ("config.cooldown_time", "", "15", "there", "open"),
        ("config.total_amount_quote", "1600", "900", "there", "open"),
    ]
    assert AuditEntry.objects.filter(table_name="bot_drifts").count() == 3, "only what changed is told to the audit"
    assert desk.writes() == 1, "nothing is changed by looking"
    desk.change_there(total_amount_quote=1600)
    desk.look()
    assert (desk.drift("config.total_amount_quote").status, desk.drift("config.total_amount_quote").resolution) == (
        "closed",
        "gone",
    )


def test_ours_is_pushed_to_the_running_bot_and_seen_there(desk: Desk) -> None:
    desk.change_there(total_amount_quote=900, leverage=3)
    desk.look()
    drift = desk.drift("config.total_amount_quote")
    push_ours(scope=OPERATOR, drift_id=drift.id, now=desk.clock(), reason="the desk decides")
    assert desk.held()["total_amount_quote"] == 900, "a request sends nothing"
    assert desk.look(later=timedelta()) == 1, "it is due at once"
    assert (desk.held()["total_amount_quote"], desk.held()["leverage"]) == (1600, 3), "only what was chosen"
    drift.refresh_from_db()
    assert (drift.status, drift.resolution, drift.chosen_by) == ("closed", "pushed", "operator:tests")
    entry = AuditEntry.objects.filter(table_name="bot_drifts", row_id=str(drift.id), actor="operator:tests").get()
    assert entry.reason == "the desk decides"
    with pytest.raises(Conflict, match="closed"):
        push_ours(scope=OPERATOR, drift_id=drift.id, now=desk.clock())


def test_a_definition_changed_here_is_told_as_such_and_reaches_the_running_bot_without_a_restart(desk: Desk) -> None:
    update_bot(scope=OPERATOR, bot_id=desk.bot, changes={"config": {"order_amount": 2000}})
    desk.look()
    assert desk.open() == [("config.total_amount_quote", "2000", "1600", "here", "open")]
    push_ours(scope=OPERATOR, drift_id=desk.drift("config.total_amount_quote").id, now=desk.clock())
    desk.look()
    assert (desk.held()["total_amount_quote"], desk.open()) == (2000, [])
    assert BotDeployment.objects.get().config == {"order_amount": 2000}, "later changes are told from what runs now"


def test_theirs_is_adopted_into_the_definition_and_differs_no_more(desk: Desk) -> None:
    desk.change_there(buy_spreads=[0.0125])
    desk.look()
    drift = desk.drift("config.buy_spreads")
    adopt_theirs(scope=OPERATOR, drift_id=drift.id, now=desk.clock(), reason="better so")
    bot = Bot.objects.get(id=desk.bot)
    assert bot.config == {"order_amount": 1600, "bid_spread": Decimal("0.0125")}
    entry = AuditEntry.objects.filter(table_name="bots", row_id=str(desk.bot)).latest("id")
    assert (entry.actor, entry.after["config"]["bid_spread"]) == ("operator:tests", 0.0125)
    desk.look()
    drift.refresh_from_db()
    assert (desk.open(), drift.resolution, desk.writes()) == ([], "adopted", 1)


def test_what_no_definition_can_say_or_the_template_refuses_is_not_adopted(desk: Desk) -> None:
    desk.change_there(trading_pair="ETH-USDT", sell_spreads=[7])
    desk.look()
    with pytest.raises(Conflict, match="no place"):
        adopt_theirs(scope=OPERATOR, drift_id=desk.drift("config.trading_pair").id, now=desk.clock())
    with pytest.raises(InvalidInput, match="ask_spread"):
        adopt_theirs(scope=OPERATOR, drift_id=desk.drift("config.sell_spreads").id, now=desk.clock())
    assert [row[4] for row in desk.open()] == ["open", "open"]
    assert Bot.objects.get(id=desk.bot).config == {"order_amount": 1600}


def test_a_key_that_only_hummingbot_has_cannot_be_pushed(desk: Desk) -> None:
    desk.change_there(cooldown_time=15)
    desk.look()
    with pytest.raises(Conflict, match="stop and start"):
        push_ours(scope=OPERATOR, drift_id=desk.drift("config.cooldown_time").id, now=desk.clock())


def test_an_ignored_difference_is_quiet_until_its_date_or_until_it_changes(desk: Desk) -> None:
    desk.change_there(total_amount_quote=900)
    desk.look()
    drift = desk.drift("config.total_amount_quote")
    until = desk.clock() + timedelta(hours=1)
    with pytest.raises(InvalidInput, match="to come"):
        ignore_drift(scope=OPERATOR, drift_id=drift.id, until=desk.clock(), now=desk.clock())
    ignore_drift(scope=OPERATOR, drift_id=drift.id, until=until, now=desk.clock())
    desk.look()
    assert [row[4] for row in desk.open()] == ["ignored"]
    desk.change_there(total_amount_quote=901)
    desk.look()
    assert [row[2:] for row in desk.open()] == [("901", "there", "open")]
    ignore_drift(scope=OPERATOR, drift_id=drift.id, until=until, now=desk.clock())
    desk.look(later=timedelta(hours=1))
    assert [row[4] for row in desk.open()] == ["open"]


def test_hummingbot_away_leaves_the_list_as_it_was_and_the_push_to_be_done(desk: Desk) -> None:
    desk.change_there(total_amount_quote=900)
    desk.look()
    drift = desk.drift("config.total_amount_quote")
    push_ours(scope=OPERATOR, drift_id=drift.id, now=desk.clock())
    desk.sandbox.fault("hummingbot", "down")
    desk.look()
    drift.refresh_from_db()
    assert drift.status == "pushing" and "Hummingbot" in drift.message
    desk.sandbox.clear_faults()
    desk.look(later=timedelta(seconds=31))
    assert (desk.open(), desk.held()["total_amount_quote"]) == ([], 1600)


def test_a_push_whose_answer_is_lost_is_judged_by_what_is_there(desk: Desk) -> None:
    desk.change_there(total_amount_quote=900)
    desk.look()
    push_ours(scope=OPERATOR, drift_id=desk.drift("config.total_amount_quote").id, now=desk.clock())
    desk.sandbox.fault("hummingbot", "lost_answer", path="/controllers/bots/", method="POST", count=1)
    desk.look()
    if desk.open():
        desk.sandbox.clear_faults()
        desk.look()
    assert (desk.open(), desk.held()["total_amount_quote"]) == ([], 1600)


def test_a_bot_that_exited_differs_in_its_status_and_the_wish_may_follow_it(desk: Desk) -> None:
    desk.change_there(total_amount_quote=900)
    desk.look()
    desk.sandbox.fault(f"bot:{desk.name()[0]}", "dead")
    poll_hummingbot(gateway=desk.gateway(), force=True)
    sweep_status_drift(now=timezone.now())
    assert not BotDrift.objects.filter(field="status").exists(), "the reconciler is given time"
    sweep_status_drift(now=timezone.now() + timedelta(minutes=3))
    sweep_status_drift(now=timezone.now() + timedelta(minutes=3))
    drift = BotDrift.objects.get(field="status")
    assert (drift.ours, drift.theirs, drift.status) == ('"running"', '"exited"', "open")
    adopt_theirs(scope=OPERATOR, drift_id=drift.id, now=timezone.now())
    assert Bot.objects.get(id=desk.bot).desired_status == "stopped"
    sweep_status_drift(now=timezone.now() + timedelta(minutes=5))
    assert desk.open() == [], "and the config of what no longer runs differs from nothing"


def test_a_status_is_pushed_by_wanting_it_again(desk: Desk) -> None:
    desk.sandbox.fault(f"bot:{desk.name()[0]}", "dead")
    poll_hummingbot(gateway=desk.gateway(), force=True)
    sweep_status_drift(now=timezone.now() + timedelta(minutes=3))
    sentence = push_ours(scope=OPERATOR, drift_id=BotDrift.objects.get().id, now=timezone.now())
    assert sentence == "The bot is starting."
    assert BotDeployment.objects.filter(bot_id=desk.bot, status="wanted").count() == 1
    assert BotDrift.objects.get().status == "pushing"


def test_a_stopped_bot_is_not_compared(desk: Desk) -> None:
    desk.change_there(total_amount_quote=900)
    stop_bot(scope=OPERATOR, bot_id=desk.bot, now=timezone.now())
    assert desk.look() == 0
    assert desk.open() == []


def test_clients_choose_nothing(desk: Desk) -> None:
    desk.change_there(total_amount_quote=900)
    desk.look()
    acme = Scope(actor="key:acme", client_id=desk.cast.acme)
    for choose in (push_ours, adopt_theirs):
        with pytest.raises(Forbidden):
            choose(scope=acme, drift_id=desk.drift("config.total_amount_quote").id, now=desk.clock())
    with acme.transaction():
        assert BotDrift.objects.count() == 1
    with Scope(actor="key:globex", client_id=desk.cast.globex).transaction():
        assert (BotDrift.objects.count(), BotDriftLook.objects.count()) == (0, 0)
