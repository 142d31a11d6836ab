"""Section 5 of the API, on the sandbox's Hummingbot: start, stop, status and history of strategies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from bots.models import Bot, BotRuntime
from bots.services.start_bot import start_bot
from bots.services.stop_bot import stop_bot
from clients.models import Client
from strategies.models import ActiveStrategy, StrategyHistory, StrategyVersion
from tests.fixtures import OPERATOR, Cast
from tests.strategies.desk import HISTORY, START, STATUS, STOP, StrategyDesk, add_key

pytestmark = pytest.mark.usefixtures("database")


def test_a_strategy_starts_shows_and_stops_in_the_old_words(desk: StrategyDesk) -> None:
    started = desk.start(interval="5m", config={"order_amount": 250})
    assert started.status == 200, started.body
    body = started.body
    assert {name: body[name] for name in ("started", "symbol", "mode", "interval", "active_strategies")} == {
        "started": True, "symbol": "BTCUSDT", "mode": "spread", "interval": "5m", "active_strategies": 1,
    }  # fmt: skip
    assert [row["symbol"] for row in body["all_strategies"]] == ["BTCUSDT"]
    one = desk.status("?symbol=btc-usdt")
    assert (one["running"], one["symbol"], one["mode"], one["interval"]) == (True, "BTCUSDT", "spread", "5m")
    assert (one["exchange"], one["status"], one["account"]) == ("kucoin", "active", "client_acme")
    desk.work_until(lambda: desk.status("?symbol=BTCUSDT")["bot_status"] == "running")
    bot = Bot.objects.get(id=one["bot_id"])
    assert (bot.name, bot.pair, bot.desired_status, bot.runtime_kind) == (
        "spread BTCUSDT", "BTC/USDT", "running", "hummingbot",
    )  # fmt: skip
    again = desk.start("BTC/USDT")
    assert again.status == 200
    assert again.body == {"started": False, "reason": "strategy already running for BTCUSDT", "symbol": "BTCUSDT"}
    assert desk.deploys() == 1
    stopped = desk.stop("BTC_USDT")
    assert stopped.body["stopped"] is True and stopped.body["symbol"] == "BTCUSDT"
    assert (stopped.body["remaining_strategies"], stopped.body["active_symbols"]) == (0, [])
    desk.work_until(desk.history)
    (past,) = desk.history()
    assert (past["symbol"], past["strategy_type"], past["exchange"]) == ("BTCUSDT", "spread", "kucoin")
    assert past["reason"] == "user_stopped" and past["started_at"] < past["stopped_at"]
    assert {"pnl", "fees", "trades_count"} <= set(past)
    assert desk.status() == {"running": False, "active_count": 0, "strategies": []}
    nothing = desk.stop("BTCUSDT").body
    assert (nothing["stopped"], nothing["symbol"]) == (False, "BTCUSDT") and nothing["reason"]
    assert desk.status("?symbol=BTCUSDT")["running"] is False


def test_what_cannot_be_started_says_why_and_leaves_nothing(desk: StrategyDesk, settings: Any) -> None:
    acme = desk.cast.acme_manages
    for body in ({}, {"symbol": ""}, {"symbol": None}, {"mode": "spread"}):
        refused = acme.post(START, body)
        assert (refused.status, refused.body["detail"]) == (400, "symbol required")
    good = {"symbol": "BTCUSDT", "mode": "spread", "exchange": "kucoin"}
    for wrong in (
        {"mode": "nobody_knows_it"}, {"symbol": "///"}, {"symbol": 5}, {"interval": "often"}, {"exchange": "no good!"},
        {"account": "client_nobody"}, {"account": "client_globex"}, {"config": {"leverage": "high"}}, {"config": []},
    ):  # fmt: skip
        refused = acme.post(START, good | wrong)
        assert refused.status == 400 and refused.body["errors"], (wrong, refused.body)
    assert desk.cast.acme_reads.post(START, good).status == 403
    assert desk.cast.nobody.post(START, good).status == 401
    settings.HUMMINGBOT_API_URL = None
    away = desk.cast.operator.post(START, good)
    assert (away.status, away.body["code"]) == (503, "hummingbot_not_configured") and away.headers["Retry-After"]
    assert not ActiveStrategy.objects.exists() and not StrategyVersion.objects.exists()
    assert Bot.objects.count() == 2 and not Client.objects.filter(account_identifier="desk").exists()


def test_an_operator_means_the_desk_and_a_client_itself(desk: StrategyDesk, settings: Any) -> None:
    settings.STRATEGY_DEFAULT_EXCHANGE = "okx"
    operator, body = desk.cast.operator, {"symbol": "ETHUSDT", "mode": "spread"}
    assert operator.get(STATUS).body["strategies"] == []
    assert not Client.objects.filter(account_identifier="desk").exists(), "a look makes no client"
    refused = desk.post(START, body, by=operator)
    assert (refused.status, refused.body["code"]) == (409, "deployment_failed"), "the desk has no key there yet"
    client = Client.objects.get(account_identifier="desk")
    assert operator.get(STATUS).body["strategies"][0]["exchange"] == "okx"
    assert desk.post(STOP, {}, by=operator).body["stopped_strategies"] == ["ETHUSDT"]
    add_key(desk.sandbox, desk.cast, client.id, "okx")
    from bots.services.find_connector import link_connectors

    link_connectors(scope=OPERATOR)
    started = desk.post(START, body | {"account": ""}, by=operator)
    assert started.body["started"] is True, started.body
    assert desk.cast.acme_reads.get(STATUS).body["strategies"] == []
    assert desk.cast.acme_reads.get(f"{STATUS}?account=desk").body["strategies"] == []
    assert desk.post(STOP, {"account": "desk"}).body == {"stopped": True, "stopped_strategies": [], "count": 0}
    assert desk.start("ETHUSDT", account="client_acme", by=operator).body["started"] is True
    assert [row["account"] for row in desk.status()["strategies"]] == ["client_acme"]
    assert desk.cast.acme_reads.get(f"{HISTORY}?account=desk").body["history"] == []
    assert [row["symbol"] for row in operator.get(HISTORY).body["history"]] == ["ETHUSDT"]


def test_two_starts_at_once_start_one(desk: StrategyDesk) -> None:
    body = {"symbol": "BTCUSDT", "mode": "spread", "exchange": "kucoin"}

    def start() -> Any:
        try:
            return desk.cast.acme_manages.post(START, body)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(start) for _ in range(4)]
        while not all(answer.done() for answer in answers):
            desk.work()
    told = [answer.result().body["started"] for answer in answers]
    assert sorted(told) == [False, False, False, True]
    assert (ActiveStrategy.objects.count(), desk.deploys()) == (1, 1)


def test_one_runs_for_each_exchange_and_a_symbol_stops_them_all(desk: StrategyDesk) -> None:
    add_key(desk.sandbox, desk.cast, desk.cast.acme, "okx")
    assert desk.start().body["started"] and desk.start(exchange="OKX").body["active_strategies"] == 2
    assert desk.start(exchange="okex").body["started"] is False, "another name of the same exchange"
    both = desk.status("?symbol=BTCUSDT")
    assert both["running"] and {row["exchange"] for row in both["strategies"]} == {"kucoin", "okx"}
    assert desk.status("?symbol=BTCUSDT&exchange=okx")["exchange"] == "okx"
    assert desk.stop(exchange="okx").body["active_symbols"] == ["BTCUSDT"]
    assert desk.stop().body["stopped"] is True
    desk.work_until(lambda: len(desk.history()) == 2)
    assert desk.history("?exchange=okx")[0]["exchange"] == "okx"


def test_a_bot_that_is_stopped_as_a_bot_ends_its_strategy(desk: StrategyDesk) -> None:
    bot = desk.start().body["bot_id"]
    stop_bot(scope=OPERATOR, bot_id=bot, now=timezone.now(), reason="maintenance", wait=False)
    desk.follow()
    assert desk.status("?symbol=BTCUSDT")["status"] == "stopping"
    desk.work_until(lambda: not desk.status()["strategies"])
    past = StrategyHistory.objects.get()
    assert (past.reason, past.stopped_by) == ("maintenance", OPERATOR.actor)


def test_a_strategy_starts_again_with_its_own_bot_while_it_is_still_being_stopped(
    desk: StrategyDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = desk.start().body["bot_id"]
    desk.sandbox.fault("hummingbot", "down")
    _stop_in_vain(desk, monkeypatch)
    assert desk.status("?symbol=BTCUSDT")["status"] == "stopping"
    desk.sandbox.clear_faults()
    started = desk.start(config={"order_amount": 7})
    assert started.body["started"] is True and started.body["bot_id"] == first
    desk.work_until(lambda: desk.status("?symbol=BTCUSDT")["bot_status"] == "running")
    assert (StrategyHistory.objects.get().reason, ActiveStrategy.objects.get().version) == ("a pause", 2)
    desk.work_until(lambda: len(desk.running()) == 1)
    assert desk.deployment(first).config["order_amount"] == 7


def test_a_start_with_another_config_replaces_what_a_stop_did_not_reach(desk: StrategyDesk, settings: Any) -> None:
    first = desk.start().body["bot_id"]
    settings.HUMMINGBOT_API_URL = "http://127.0.0.1:9"  # nobody listens there
    assert desk.cast.acme_manages.post(STOP, {"symbol": "BTCUSDT"}).body["stopped"] is True
    settings.HUMMINGBOT_API_URL = desk.sandbox.hummingbot_url
    assert (desk.deployment(first).status, desk.status("?symbol=BTCUSDT")["status"]) == ("live", "stopping")
    started = desk.start(config={"order_amount": 7})
    assert started.body["started"] is True and started.body["bot_id"] == first
    desk.work_until(lambda: desk.deployment(first).confirmed_at and len(desk.running()) == 1)
    assert (desk.deployment(first).config["order_amount"], desk.deploys()) == (7, 2)


def test_a_start_just_after_its_bot_was_stopped_starts_it(desk: StrategyDesk) -> None:
    bot = desk.start().body["bot_id"]
    stop_bot(scope=OPERATOR, bot_id=bot, now=timezone.now(), reason="maintenance", wait=False)
    assert desk.start().body["started"] is True, "the stop came first, though nobody has looked since"
    desk.work_until(lambda: desk.status("?symbol=BTCUSDT")["bot_status"] == "running")
    past = StrategyHistory.objects.get()
    assert (past.reason, past.stopped_by) == ("maintenance", OPERATOR.actor)


def test_a_bot_started_again_while_its_strategy_is_being_stopped_goes_on_as_a_new_run(
    desk: StrategyDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = desk.start().body["bot_id"]
    desk.sandbox.fault("hummingbot", "down")
    _stop_in_vain(desk, monkeypatch)
    start_bot(scope=OPERATOR, bot_id=bot, now=timezone.now(), reason="on again", wait=False)
    desk.sandbox.clear_faults()
    desk.work_until(lambda: desk.status("?symbol=BTCUSDT")["running"])
    assert (StrategyHistory.objects.get().reason, ActiveStrategy.objects.get().started_by) == (
        "a pause",
        OPERATOR.actor,
    )
    assert desk.stop().body["stopped"] is True


def test_another_mode_beside_what_is_quarantined_and_still_up_says_to_stop_it(desk: StrategyDesk) -> None:
    desk.start()
    ActiveStrategy.objects.update(status="quarantined", message="It failed 5 times.")
    refused = desk.start(mode="bull")
    assert (refused.status, refused.body["code"]) == (409, "strategy_quarantined") and "stop it" in refused.body[
        "detail"
    ]
    desk.stop()
    desk.work_until(desk.history)
    assert desk.start(mode="bull").body["started"] is True


def test_last_active_moves_with_evidence_alone(desk: StrategyDesk) -> None:
    bot = desk.start().body["bot_id"]
    desk.cast.acme_manages.post("/bots/heartbeat", {"bot_id": bot, "status": "running"})
    confirmed_at = desk.work_until(lambda: desk.deployment(bot).confirmed_at)
    ActiveStrategy.objects.update(last_active=None)
    BotRuntime.objects.update(performance_at=confirmed_at)
    desk.follow()
    assert desk.status("?symbol=BTCUSDT")["last_active"] is None, "what it reports at its start is no activity"
    BotRuntime.objects.update(performance_at=confirmed_at + timedelta(seconds=1))
    desk.follow()
    assert desk.status("?symbol=BTCUSDT")["last_active"] is not None


def test_history_comes_in_pages(cast: Cast) -> None:
    now = timezone.now()
    for number in range(5):
        StrategyHistory.objects.create(
            client_id=cast.acme, exchange="kucoin", symbol="BTC/USDT", symbol_shown="BTCUSDT", strategy_type="scalp",
            started_at=now, stopped_at=now + timezone.timedelta(seconds=number), reason=str(number),
        )  # fmt: skip
    seen, cursor = [], ""
    while cursor is not None:
        page = cast.acme_reads.get(f"{HISTORY}?limit=2&cursor={cursor}").body
        seen += [row["reason"] for row in page["history"]]
        cursor = page["next"]
    assert seen == ["4", "3", "2", "1", "0"]
    assert cast.acme_reads.get(f"{HISTORY}?limit=2&offset=4").body["pagination"]["total"] == 5
    assert cast.globex_manages.get(HISTORY).body["history"] == []
    assert cast.acme_reads.get(f"{HISTORY}?cursor=WyJ4IiwieSJd").status == 400


def _stop_in_vain(desk: StrategyDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop that waits a second, instead of eight, for a Hummingbot that is away."""
    with monkeypatch.context() as patched:
        patched.setattr("bots.services.ask_hummingbot.DEADLINE", timedelta(seconds=1))
        desk.stop(reason="a pause")
