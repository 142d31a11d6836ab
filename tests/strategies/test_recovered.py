"""Strategies after the bots' table was lost: they come back with their bots, and none is doubled."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.utils import timezone

from bots.models import Bot, BotDeployment
from strategies.models import ActiveStrategy, StrategyHistory, StrategyVersion
from strategies.services.close_strategies import settle_history
from strategies.services.recover_strategies import recover_strategies
from strategies.services.versions import change_strategy
from tests.fixtures import OPERATOR
from tests.strategies.desk import StrategyDesk

pytestmark = pytest.mark.usefixtures("database")
CONFIG = {"order_amount": 1600}


def _lose(*tables: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
    connections["operator"].close()


def test_strategy_comes_back_with_its_recovered_bot_as_the_audit_remembers_it(desk: StrategyDesk) -> None:
    desk.start(config=CONFIG)
    desk.start("ETHUSDT", config=CONFIG)
    desk.stop("ETHUSDT")
    desk.work_until(lambda: ActiveStrategy.objects.count() == 1)
    before, [over] = ActiveStrategy.objects.get(), StrategyHistory.objects.values()
    change_strategy(scope=OPERATOR, strategy_id=before.id, config={"order_amount": 1700}, now=timezone.now())
    before.refresh_from_db()
    desk.work_until(lambda: desk.status()["strategies"][0]["bot_status"] == "running")
    sent = desk.deploys()
    StrategyHistory.objects.update(pnl=Decimal("1.25"), trades_count=3)  # as if it had traded, and told the audit so
    versions = list(StrategyVersion.objects.order_by("made_at").values())
    desk.poll()
    _lose("bots")
    assert ActiveStrategy.objects.count() == StrategyHistory.objects.count() == StrategyVersion.objects.count() == 0
    call_command("recover_bots", stdout=io.StringIO())
    assert recover_strategies(now=timezone.now()) == 1
    assert recover_strategies(now=timezone.now()) == 0
    after = ActiveStrategy.objects.get()
    for name in ("id", "bot_id", "symbol", "symbol_shown", "strategy_type", "interval", "config", "started_at"):
        assert getattr(after, name) == getattr(before, name), name
    assert list(StrategyVersion.objects.order_by("made_at").values()) == versions
    assert after.version == before.version == 2
    settle_history(now=timezone.now())  # over a ledger that has lost its trades
    again = StrategyHistory.objects.values().get()
    assert again == over | {"pnl": Decimal("1.25"), "trades_count": 3, "source": "audit", "source_id": str(over["id"])}
    desk.poll()
    desk.work_until(lambda: desk.status()["strategies"][0]["status"] == "active")
    desk.work_until(lambda: len(desk.running()) == 1)  # the stopped one's container goes away
    assert desk.deploys() == sent
    desk.stop()
    desk.work_until(lambda: not ActiveStrategy.objects.exists())


def test_start_after_a_loss_without_audit_takes_over_the_recovered_bot(desk: StrategyDesk) -> None:
    desk.start(config=CONFIG)
    bot = ActiveStrategy.objects.get().bot_id
    desk.poll()
    _lose("bots", "audit_log")
    call_command("recover_bots", stdout=io.StringIO())
    assert recover_strategies(now=timezone.now()) == 0
    desk.start(config=CONFIG)
    assert ActiveStrategy.objects.get().bot_id == bot
    assert BotDeployment.objects.count() == 1 and Bot.objects.filter(desired_status="running").count() == 1
    assert (desk.deploys(), len(desk.running())) == (1, 1)
