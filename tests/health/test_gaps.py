"""What a check could not read is noted as a gap, and read on later, page by page, each trade once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bots.models import BotStats
from exchanges.gateways.ccxt_gateway import ExchangeGateway
from exchanges.types import TradePage
from health.models import ExchangeCircuit, TradeGap
from health.services.fill_gaps import fill_gaps
from ledger.models import Trade
from tests.health.conftest import ACME_KEY, Monitor


def fill(monitor: Monitor, *, later: timedelta = timedelta(0)) -> int:
    return fill_gaps(gateways=monitor.gateways, clock=lambda: timezone.now() + later)


def trade_often(monitor: Monitor, trades: int, *, minutes_ago: float, exchange: str = "kucoin") -> None:
    for n in range(trades):
        monitor.traded(minutes_ago - n / 100, exchange=exchange)


@pytest.mark.parametrize("exchange", ["kucoin", "binance"])
def test_reads_on_what_lies_between_two_looks(monitor: Monitor, exchange: str):
    monitor.traded(60 * 30, exchange=exchange)
    give_key(monitor, exchange)
    bot = monitor.running_bot(connector=exchange)
    monitor.check(bot)
    trade_often(monitor, 260, minutes_ago=10, exchange=exchange)
    monitor.check(bot)
    gap = TradeGap.objects.get(bot_id=bot, closed_at=None)
    assert Trade.objects.filter(bot_id=bot).count() < 261
    assert BotStats.objects.get(bot_id=bot).buys_24h is None, "a part of the day is not known yet"
    for _ in range(6):
        fill(monitor, later=timedelta(minutes=1))
    gap.refresh_from_db()
    assert gap.closed_at is not None and gap.note == ""
    assert Trade.objects.filter(bot_id=bot).count() == 261
    assert 0 < gap.found < 261
    monitor.check(bot)
    assert BotStats.objects.get(bot_id=bot).buys_24h == 260


def give_key(monitor: Monitor, exchange: str) -> None:
    from clients.models import Client
    from clients.services.manage_accounts import put_connector
    from tests.fixtures import OPERATOR

    client = Client.objects.get(account_identifier="client_acme").id
    put_connector(
        scope=OPERATOR, client_id=client, name=exchange, label="", api_key=ACME_KEY["api_key"],
        api_secret=ACME_KEY["secret"], memo=ACME_KEY["passphrase"],
    )  # fmt: skip


def test_reads_the_week_before_the_first_look_once(monitor: Monitor):
    trade_often(monitor, 130, minutes_ago=60 * 24)
    bot = monitor.running_bot()
    monitor.check(bot)
    for _ in range(4):
        fill(monitor, later=timedelta(minutes=1))
    assert Trade.objects.filter(bot_id=bot).count() == 130
    assert list(TradeGap.objects.values_list("bot_id", "note")) == [(bot, "")]
    monitor.check(bot)
    assert TradeGap.objects.filter(closed_at=None).count() == 0


def test_leaves_no_gap_where_the_looks_join(monitor: Monitor):
    monitor.traded(60)
    bot = monitor.running_bot()
    monitor.check(bot)
    trade_often(monitor, 40, minutes_ago=5)
    monitor.check(bot)
    assert TradeGap.objects.count() == 0


def test_two_workers_share_the_gaps_and_an_exchange_that_is_away_puts_them_off(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
):
    trade_often(monitor, 130, minutes_ago=60)
    bot = monitor.running_bot()
    monitor.check(bot)
    monitor.sandbox.fault("exchange:kucoin", "server_error")
    assert fill(monitor) == 1
    gap = TradeGap.objects.get(bot_id=bot)
    assert gap.closed_at is None and gap.due_at > timezone.now() + timedelta(seconds=20) and "KuCoin" in gap.note
    monitor.sandbox.clear_faults()
    ExchangeCircuit.objects.all().delete()

    def fetch(gateway: ExchangeGateway, symbol: str, **between: object) -> TradePage:
        assert fill(monitor, later=timedelta(minutes=1)) == 0, "nobody else may read a gap that is leased"
        return TradePage((), None)

    monkeypatch.setattr(ExchangeGateway, "fetch_trade_page", fetch)
    assert fill(monitor, later=timedelta(minutes=1)) == 1
    gap.refresh_from_db()
    assert gap.closed_at is not None
