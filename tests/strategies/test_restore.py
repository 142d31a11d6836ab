"""Restore runs on the sandbox's Hummingbot: everything is killed, and comes back once, in turn, and shown."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import structlog
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from bots.models import BotDeployment, BotRecovery
from bots.services.keep_running import keep_bots_running
from exchanges.gateways.configured import configured_gateways
from exchanges.gateways.pool import open_gateways
from ground.errors import Conflict, Forbidden
from ground.scope import Scope
from strategies.models import ActiveStrategy, RestoreRun, RestoreStep
from strategies.rules.restore import RestoreReason
from strategies.services.restore_requests import request_restore, stop_restore
from strategies.services.restore_runs import work_on_restores
from strategies.services.watch_hummingbot import restore_at_boot, watch_hummingbot
from tests.fixtures import OPERATOR
from tests.ledger.rows import put_account, put_position
from tests.strategies.desk import StrategyDesk

pytestmark = pytest.mark.usefixtures("database")
SPACING = Decimal(4)


@dataclass
class Crew:
    """A desk whose workers also restore."""

    desk: StrategyDesk
    gateways: Any
    lines: list[str] = field(default_factory=list)

    def start(self, *symbols: str) -> None:
        for symbol in symbols:
            assert self.desk.start(symbol).body["started"] is True
        self.desk.poll()

    def boot(self) -> Any:
        return restore_at_boot(scope=OPERATOR, spacing_s=SPACING, now=self.desk.clock())

    def look(self) -> None:
        """What the beat has workers do, once."""
        watch_hummingbot(spacing_s=SPACING, now=self.desk.clock())
        work_on_restores(gateways=self.gateways, clock=self.desk.clock)
        keep_bots_running(now=self.desk.clock())
        self.desk.work()

    def kill(self, *symbols: str) -> None:
        for symbol in symbols:
            strategy = ActiveStrategy.objects.get(symbol_shown=symbol)
            self.desk.sandbox.fault(f"bot:{self.desk.deployment(strategy.bot_id).instance_name}", "dead")

    def work_until(self, condition: Any) -> None:
        def tried() -> Any:
            self.desk.ahead += timedelta(seconds=2)
            self.desk.sandbox.advance(2)
            self.desk.poll()
            self.look()
            self.desk.follow()
            return condition()

        self.desk.sandbox.wait_until(tried, timeout_s=60)

    def run(self) -> RestoreRun:
        return RestoreRun.objects.filter(is_dry_run=False).latest("created_at")

    def steps(self) -> dict[str, RestoreStep]:
        return {step.symbol_shown: step for step in RestoreStep.objects.filter(run=self.run())}

    def outcomes(self) -> dict[str, str]:
        return {symbol: step.outcome for symbol, step in self.steps().items()}


@pytest.fixture
def crew(desk: StrategyDesk) -> Iterator[Crew]:
    sandbox = desk.sandbox
    crew = Crew(desk, open_gateways({"kucoin": sandbox.exchange_base}, timeout_s=5))
    with structlog.testing.capture_logs() as lines:
        crew.lines = lines  # type: ignore[assignment]
        yield crew


def events(crew: Crew) -> list[str]:
    return [line["event"] for line in crew.lines]  # type: ignore[index]


def test_what_died_with_everything_comes_back_once_in_turn_and_says_so(crew: Crew) -> None:
    crew.start("BTCUSDT", "ETH/USDT", "SOL-USDT")
    crew.kill("BTCUSDT", "ETH/USDT", "SOL-USDT")
    before = crew.desk.deploys()
    crew.boot()
    crew.look()
    assert crew.run().status == "planned", "it waits for Hummingbot's word"
    crew.work_until(lambda: crew.run().status == "done")
    assert crew.outcomes() == {"BTCUSDT": "restored", "ETH/USDT": "restored", "SOL-USDT": "restored"}
    assert {step.action for step in crew.steps().values()} == {"deploy"}
    assert {step.attempts for step in crew.steps().values()} == {1}
    assert crew.desk.deploys() - before == 3 and len(crew.desk.running()) == 3
    opened = sorted(BotDeployment.objects.filter(sequence=2).values_list("created_at", flat=True))
    assert len(opened) == 3
    turns = sorted(step.due_at for step in crew.steps().values())
    assert all(b - a >= timedelta(seconds=4) for a, b in zip(turns, turns[1:], strict=False))
    assert "Restoring 3 strategies" in events(crew)
    assert events(crew).count("Restored strategy: BTCUSDT (spread)") == 1
    crew.boot()
    crew.work_until(lambda: crew.run().status == "done")
    assert {step.action for step in crew.steps().values()} == {"adopt"}, "a second run finds them running"
    assert crew.desk.deploys() - before == 3


def test_two_bridges_that_start_at_once_restore_once(crew: Crew) -> None:
    crew.start("BTCUSDT", "ETHUSDT")
    crew.kill("BTCUSDT", "ETHUSDT")
    before = crew.desk.deploys()

    def boot(_: int) -> Any:
        try:
            return crew.boot()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        runs = list(pool.map(boot, range(6)))
    assert len(set(runs)) == 1 == RestoreRun.objects.count()

    def look(_: int) -> None:
        try:
            work_on_restores(gateways=crew.gateways, clock=crew.desk.clock)
            keep_bots_running(now=crew.desk.clock())
        finally:
            connections.close_all()

    def both() -> bool:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(look, range(4)))
        return crew.run().status == "done"

    crew.work_until(both)
    assert crew.desk.deploys() - before == 2 and len(crew.desk.running()) == 2
    assert events(crew).count("Restored strategy: BTCUSDT (spread)") == 1


def test_what_was_stopped_on_purpose_stays_stopped_and_a_run_can_be_stopped_by_symbol(crew: Crew) -> None:
    crew.start("BTCUSDT", "ETHUSDT", "SOLUSDT")
    crew.desk.stop("SOLUSDT")
    crew.kill("BTCUSDT", "ETHUSDT")
    crew.boot()
    crew.desk.poll()
    work_on_restores(gateways=crew.gateways, clock=crew.desk.clock)
    assert set(crew.steps()) == {"BTCUSDT", "ETHUSDT"}
    assert crew.desk.stop("ETHUSDT").body["stopped"] is True
    crew.work_until(lambda: crew.run().status == "done")
    assert crew.outcomes() == {"BTCUSDT": "restored", "ETHUSDT": "stopped"}
    crew.work_until(lambda: len(crew.desk.running()) == 1)  # what was stopped is taken down in its own time
    for _ in range(3):
        crew.desk.ahead += timedelta(minutes=2)
        crew.desk.poll()
        crew.look()
    assert len(crew.desk.running()) == 1


def test_open_orders_and_positions_are_read_and_shown_before_anything_trades_again(crew: Crew) -> None:
    crew.start("BTCUSDT", "ETHUSDT")
    crew.desk.sandbox.advance(30)
    crew.kill("BTCUSDT", "ETHUSDT")
    before = crew.desk.deploys()
    crew.desk.sandbox.fault("exchange:kucoin", "drop")
    crew.boot()
    crew.desk.poll()
    work_on_restores(gateways=crew.gateways, clock=crew.desk.clock)
    steps = crew.steps()
    assert crew.desk.deploys() == before
    first = min(steps.values(), key=lambda step: step.due_at)
    assert first.carried is not None and first.carried["orders"] is None and first.carried["orders_problem"]
    assert "could not be read" in RestoreStep.objects.get(id=first.id).message or first.outcome == "released"
    crew.desk.sandbox.clear_faults()
    crew.work_until(lambda: crew.run().status == "done")
    assert all(step.carried_at is not None and step.carried_at <= step.settled_at for step in crew.steps().values())


def test_dry_run_shows_the_plan_and_restores_nothing(crew: Crew) -> None:
    crew.start("BTCUSDT", "ETHUSDT")
    crew.kill("ETHUSDT")
    crew.desk.poll()
    before = crew.desk.deploys()
    run_id = request_restore(
        scope=OPERATOR, reason=RestoreReason.OPERATOR, spacing_s=SPACING, now=crew.desk.clock(), is_dry_run=True
    )
    work_on_restores(gateways=crew.gateways, clock=crew.desk.clock)
    run = RestoreRun.objects.get(id=run_id)
    actions = {step.symbol_shown: step.action for step in run.steps.all()}
    assert (run.status, actions) == ("done", {"BTCUSDT": "adopt", "ETHUSDT": "deploy"})
    assert all(step.carried is not None for step in run.steps.all())
    assert crew.desk.deploys() == before and not BotRecovery.objects.filter(is_planned=True).exists()
    assert "Restoring 2 strategies" not in events(crew)


def test_hummingbot_that_returns_begins_a_run_once_and_gives_new_turns_in_the_middle(crew: Crew) -> None:
    crew.start("BTCUSDT", "ETHUSDT")
    crew.desk.sandbox.fault("hummingbot", "down")
    crew.desk.poll()
    crew.look()
    assert RestoreRun.objects.count() == 0
    crew.kill("BTCUSDT", "ETHUSDT")
    crew.desk.sandbox.fault("hummingbot", "down", on=False)
    crew.work_until(lambda: RestoreRun.objects.exists() and crew.run().status == "done")
    assert (crew.run().reason, set(crew.outcomes().values())) == ("hummingbot_returned", {"restored"})
    assert RestoreRun.objects.count() == 1 and len(crew.desk.running()) == 2


def test_only_operators_restore_and_end_a_run_and_its_bots_then_recover_by_themselves(crew: Crew) -> None:
    crew.start("BTCUSDT")
    crew.kill("BTCUSDT")
    client = Scope(actor="key:acme", client_id=crew.desk.cast.acme)
    with pytest.raises(Forbidden):
        request_restore(scope=client, reason=RestoreReason.OPERATOR, spacing_s=SPACING, now=timezone.now())
    run_id = crew.boot()
    with pytest.raises(Forbidden):
        stop_restore(scope=client, run_id=run_id, now=timezone.now())
    stop_restore(scope=OPERATOR, run_id=run_id, now=crew.desk.clock())
    with pytest.raises(Conflict, match="over"):
        stop_restore(scope=OPERATOR, run_id=run_id, now=crew.desk.clock())
    crew.work_until(lambda: len(crew.desk.running()) == 1)
    assert RestoreStep.objects.count() == 0
    assert RestoreRun.objects.count() == 1


def test_restores_are_shown_to_operators_whole_and_to_clients_only_their_own(crew: Crew) -> None:
    path = "/api/live-strategy/restores"
    crew.start("BTCUSDT")
    crew.kill("BTCUSDT")
    crew.boot()
    crew.work_until(lambda: crew.run().status == "done")
    cast = crew.desk.cast
    (seen,) = cast.operator.get(path).body["restores"]
    assert (seen["reason"], seen["status"], seen["requested_by"]) == ("boot", "done", OPERATOR.actor)
    assert seen["plan"] == {"strategies": 1, "deploy": 1, "watch": 0, "adopt": 0, "skip": 0}
    assert (seen["outcome"]["restored"], seen["outcome"]["open"]) == (1, 0)
    (step,) = seen["steps"]
    assert (step["symbol"], step["strategy_type"], step["outcome"], step["attempts"]) == (
        "BTCUSDT", "spread", "restored", 1,
    )  # fmt: skip
    assert step["carried"]["orders"] is not None and step["carried"]["shared_with"] == []
    (own,) = cast.acme_reads.get(path).body["restores"]
    assert (own["requested_by"], len(own["steps"])) == (None, 1)
    assert cast.globex_manages.get(path).body == {"restores": [], "next": None}
    assert cast.globex_manages.get(path + "?account=client_acme").body["restores"] == []
    assert cast.operator.get(path + "?account=client_acme").body["restores"] == [seen]
    assert cast.operator.get(path + "?account=client_globex").body["restores"] == []
    assert cast.nobody.get(path).status == 401
    assert cast.operator.get(path + "?limit=x").status == 400
    request_restore(
        scope=OPERATOR, reason=RestoreReason.OPERATOR, spacing_s=SPACING, now=crew.desk.clock(), is_dry_run=True
    )
    first = cast.operator.get(path + "?limit=1").body
    assert first["restores"][0]["is_dry_run"] is True and first["next"]
    rest = cast.operator.get(path + f"?limit=1&cursor={first['next']}").body
    assert (rest["restores"], rest["next"]) == ([seen], None)


def test_quarantined_strategy_is_not_tried_again_at_the_next_boot_and_can_be_stopped(crew: Crew) -> None:
    crew.start("BTCUSDT", "ETHUSDT")
    sick = ActiveStrategy.objects.get(symbol_shown="ETHUSDT")
    crew.kill("BTCUSDT", "ETHUSDT")
    crew.desk.poll()
    BotRecovery.objects.create(
        bot_id=sick.bot_id, client_id=sick.client_id, failures=5, quarantined_at=crew.desk.clock(),
        reason="The controller refused total_amount_quote.",
    )  # fmt: skip
    before = crew.desk.deploys()
    for _ in range(2):
        crew.boot()
        crew.work_until(lambda: crew.run().status == "done")
    step = crew.steps()["ETHUSDT"]
    assert (step.action, step.outcome) == ("skip", "quarantined")
    assert step.message == "The controller refused total_amount_quote."
    assert (crew.outcomes()["BTCUSDT"], crew.desk.deploys() - before) == ("restored", 1)
    assert crew.desk.status("?symbol=ETHUSDT")["status"] == "quarantined"
    assert crew.desk.stop("ETHUSDT").body["stopped"] is True
    crew.work_until(lambda: not ActiveStrategy.objects.filter(id=sick.id).exists())
    crew.boot()
    crew.work_until(lambda: crew.run().status == "done")
    assert set(crew.steps()) == {"BTCUSDT"}


def test_positions_of_the_ledger_are_matched_with_the_account_and_come_first(crew: Crew) -> None:
    crew.start("BTCUSDT", "ETHUSDT")
    holder = ActiveStrategy.objects.get(symbol_shown="ETHUSDT")
    much = {"opened_quantity": "123456789", "quantity": "123456789", "basis_quantity": "123456789"}
    put_position(put_account(holder.bot_id), crew.desk.clock(), symbol="ETH/USDT", **much)
    crew.kill("BTCUSDT", "ETHUSDT")
    crew.boot()
    crew.desk.poll()
    work_on_restores(gateways=crew.gateways, clock=crew.desk.clock)
    steps = crew.steps()
    assert steps["ETHUSDT"].position == 1, "an open position comes first, though it was started last"
    carried = steps["ETHUSDT"].carried
    assert carried is not None
    assert [row["quantity"] for row in carried["positions"]] == ["123456789"]
    assert carried["positions_match"] == "short", "nobody's account holds that much"
    crew.work_until(lambda: crew.run().status == "done")


def test_worker_that_died_in_the_middle_keeps_nobody_from_coming_back(crew: Crew) -> None:
    crew.start("BTCUSDT", "ETHUSDT")
    crew.kill("BTCUSDT", "ETHUSDT")
    crew.boot()
    crew.desk.poll()
    work_on_restores(gateways=crew.gateways, clock=crew.desk.clock)
    # As kill -9 leaves it: the lease stands, and a turn that was given was told to nobody.
    RestoreRun.objects.update(lease_until=crew.desk.clock() + timedelta(seconds=60))
    RestoreStep.objects.update(outcome="released")
    assert work_on_restores(gateways=crew.gateways, clock=crew.desk.clock) == 0, "its lease still runs"
    crew.work_until(lambda: crew.run().status == "done")
    assert set(crew.outcomes().values()) == {"restored"} and len(crew.desk.running()) == 2


def test_command_shows_the_plan_and_ends_a_run(crew: Crew, capsys: pytest.CaptureFixture[str], settings: Any) -> None:
    settings.EXCHANGE_BASE_URLS = {"kucoin": crew.desk.sandbox.exchange_base}
    configured_gateways.cache_clear()
    crew.start("BTCUSDT")
    crew.kill("BTCUSDT")
    crew.desk.poll()
    before = crew.desk.deploys()
    call_command("restore_strategies", "--dry-run")
    shown = capsys.readouterr().out
    assert "deploy  BTCUSDT (spread) on kucoin: Carries 0 open positions" in shown
    assert "1 strategies should run. Nothing was changed." in shown
    assert crew.desk.deploys() == before
    with pytest.raises(CommandError, match="No restore is open"):
        call_command("restore_strategies", "--stop")
    call_command("restore_strategies", "--spacing", "2.5")
    assert (crew.run().status, crew.run().reason, crew.run().spacing_s) == ("planned", "operator", Decimal("2.5"))
    call_command("restore_strategies", "--stop")
    assert crew.run().status == "stopped"
    configured_gateways.cache_clear()


def test_several_that_go_down_at_once_come_back_in_turn_unless_somebody_ends_that(crew: Crew) -> None:
    crew.start("BTCUSDT", "ETHUSDT")
    crew.kill("BTCUSDT", "ETHUSDT")
    crew.work_until(RestoreRun.objects.exists)
    assert crew.run().reason == "several_down"
    if crew.run().status != "done":
        stop_restore(scope=OPERATOR, run_id=crew.run().id, now=crew.desk.clock())
    crew.work_until(lambda: len(crew.desk.running()) == 2)
    assert RestoreRun.objects.count() == 1, "what somebody ended does not begin again"


def test_one_that_comes_back_without_a_run_says_once_that_it_was_restored(crew: Crew) -> None:
    restored = "Restored strategy: BTCUSDT (spread)"
    crew.start("BTCUSDT")
    crew.desk.follow()
    assert events(crew).count(restored) == 0, "it was started, not restored"

    def follow(_: int) -> None:
        try:
            crew.desk.follow()
        finally:
            connections.close_all()

    def is_active() -> bool:
        crew.desk.work(later_s=2)
        crew.desk.poll()
        keep_bots_running(now=crew.desk.clock())
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(follow, range(4)))
        return bool(ActiveStrategy.objects.get().status == "active")

    for times in (1, 2):
        crew.kill("BTCUSDT")
        crew.work_until(lambda: ActiveStrategy.objects.get().status == "restoring")
        crew.desk.sandbox.wait_until(is_active, timeout_s=60)
        assert events(crew).count(restored) == times
    assert not RestoreRun.objects.exists() and crew.desk.deploys() == 3
