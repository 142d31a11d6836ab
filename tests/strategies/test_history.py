"""What a run came to: its profit, fees and trades are the exchange's tape, to the last digit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal, localcontext
from typing import Any

import pytest
from django.utils import timezone

from bots.models import Bot, BotRuntime
from bridge_project.use_cases.last_trades import read_last_trades
from exchanges.gateways.pool import GatewayPool
from ground.scope import system_scope
from health.models import CheckRequest
from health.services.ask_check import claim_request, finish_requests
from health.services.run_checks import check_bots
from ledger.models import Trade
from sandbox.testing import start
from strategies.models import StrategyHistory
from strategies.services.close_strategies import close_ended, settle_history
from tests.fixtures import Cast
from tests.strategies.desk import StrategyDesk

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def trading(cast: Cast, settings: Any, request: Any) -> Iterator[StrategyDesk]:
    """Bots that trade three times a second; with a parameter, every so many seconds of the sandbox."""
    with start(speed=6, mean_interval_s=getattr(request, "param", 2)) as sandbox:
        settings.HUMMINGBOT_API_URL = sandbox.hummingbot_url
        settings.HUMMINGBOT_API_USERNAME, settings.HUMMINGBOT_API_PASSWORD = "admin", "admin"
        sandbox.add_key("kucoin", "key-of-acme-0123456789", "secret-of-acme", passphrase="memo-of-acme")
        yield StrategyDesk(sandbox, cast)


def test_profit_fees_and_trades_equal_the_exchanges_tape_though_the_last_came_after_the_last_check(
    trading: StrategyDesk,
) -> None:
    bot = trading.start(mode="bull").body["bot_id"]  # on a spot market, what it sells it has bought
    instance = trading.deployment(bot).instance_name
    trading.sandbox.wait_until(lambda: len(_tape(trading, instance)) >= 6, timeout_s=60)
    _check(trading, bot)
    seen = Trade.objects.filter(bot_id=bot).count()
    trading.sandbox.wait_until(lambda: len(_tape(trading, instance)) >= seen + 3, timeout_s=60)
    trading.poll()
    trading.stop()
    trading.work_until(StrategyHistory.objects.exists)
    tape = _tape(trading, instance)
    past = StrategyHistory.objects.get()
    assert past.trades_count < len(tape), "the last trades were not read before it stopped"
    while read_last_trades(scope=system_scope("tests"), now=timezone.now()):
        _answer_requests(trading)
    assert settle_history(now=timezone.now()) == 1
    assert settle_history(now=timezone.now()) == 0, "nothing is left to correct"
    past.refresh_from_db()
    pnl, fees = _account(tape)
    assert (past.trades_count, past.fees, past.pnl) == (len(tape), fees, pnl)
    assert past.currency == "USDT" and past.performance
    shown = trading.history()[0]
    assert (Decimal(shown["pnl"]), Decimal(shown["fees"]), shown["trades_count"]) == (pnl, fees, len(tape))
    paid_in_another_coin = Trade.objects.filter(bot_id=bot).latest("executed_at").id
    Trade.objects.filter(id=paid_in_another_coin).update(fee_quote=None)
    settle_history(now=timezone.now())
    past.refresh_from_db()
    assert (past.fees, past.trades_count) == (None, len(tape)), "a sum that leaves a fee out is not the fees"


def test_a_run_has_only_its_own_trades(trading: StrategyDesk) -> None:
    bot = trading.start().body["bot_id"]
    trading.sandbox.wait_until(lambda: len(_tape(trading, trading.deployment(bot).instance_name)) >= 3, timeout_s=60)
    trading.stop()
    trading.work_until(lambda: trading.deployment(bot).status == "ended")
    assert trading.start().body["bot_id"] == bot, "the same strategy has the same bot"
    trading.sandbox.wait_until(lambda: len(_tape(trading, trading.deployment(bot).instance_name)) >= 3, timeout_s=60)
    _check(trading, bot)
    trading.stop()
    trading.work_until(lambda: StrategyHistory.objects.count() == 2)
    _check(trading, bot)
    settle_history(now=timezone.now())
    counts = list(StrategyHistory.objects.order_by("started_at").values_list("trades_count", flat=True))
    assert min(counts) >= 3 and sum(counts) == Trade.objects.filter(bot_id=bot).count() == len(_tape(trading, ""))


@pytest.mark.parametrize("trading", [10_000_000], indirect=True)
def test_a_run_without_trades_came_to_nothing_once_that_was_read_and_ends_once(trading: StrategyDesk) -> None:
    bot = trading.start(interval="1d").body["bot_id"]
    trading.stop(reason="  ")
    trading.work_until(StrategyHistory.objects.exists)
    assert close_ended(now=timezone.now()) == 0
    past = StrategyHistory.objects.get()
    assert (past.pnl, past.fees, past.trades_count, past.reason) == (None, None, None, "user_stopped")
    trading.sandbox.fault("exchange:kucoin", "html")
    _check(trading, bot)
    assert settle_history(now=timezone.now()) == 0, "nobody could read what it traded, so that is not known"
    trading.sandbox.clear_faults()
    _check(trading, bot)
    assert settle_history(now=timezone.now()) == 1
    past.refresh_from_db()
    assert (past.pnl, past.fees, past.trades_count) == (0, 0, 0)
    StrategyHistory.objects.update(stopped_at=timezone.now() - timedelta(days=2), started_at="2026-01-01T00:00Z")
    assert settle_history(now=timezone.now()) == 0, "what is older than a day stands"
    assert Bot.objects.get(id=bot).desired_status == "stopped" and BotRuntime.objects.filter(bot_id=bot).exists()


def _tape(desk: StrategyDesk, instance: str) -> list[dict[str, Any]]:
    trades: list[dict[str, Any]] = desk.sandbox.tape(**({"bot": instance} if instance else {}))["trades"]
    return trades


def _check(desk: StrategyDesk, bot: Any) -> None:
    gateways = GatewayPool({"kucoin": desk.sandbox.exchange_base}, timeout_s=5.0)
    check_bots(bot_ids=[bot], gateways=gateways, clock=timezone.now, is_scheduled=False)


def _answer_requests(desk: StrategyDesk) -> None:
    for request in CheckRequest.objects.filter(finished_at=None):
        claimed = claim_request(request_id=request.id, now=timezone.now())
        _check(desk, request.bot_id)
        finish_requests(request_ids=[one for one, _ in claimed], now=timezone.now())


def _account(tape: list[dict[str, Any]]) -> tuple[Decimal, Decimal]:
    """Realised profit after fees at average cost, to the last digit of each position, and all fees, of the tape alone."""
    held = cost = entry_fees = of_position = pnl = fees = Decimal(0)
    with localcontext() as context:
        context.prec = 80
        for trade in tape:
            price, quantity, fee = (Decimal(trade[name]) for name in ("price", "quantity", "fee"))
            fees += fee
            signed = quantity if trade["side"] == "buy" else -quantity
            closing = min(quantity, abs(held)) if held * signed < 0 else Decimal(0)
            if closing:
                share = closing / abs(held)
                gain = (price * closing - cost * share) * (1 if held > 0 else -1)
                of_position += gain - fee * closing / quantity - entry_fees * share
                cost, entry_fees = cost * (1 - share), entry_fees * (1 - share)
            opening = quantity - closing
            cost += price * opening
            entry_fees += fee * opening / quantity
            held += signed
            if not held:
                pnl, of_position = pnl + of_position.quantize(Decimal("1e-18")), Decimal(0)
    return pnl + of_position.quantize(Decimal("1e-18")), fees
