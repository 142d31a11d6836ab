"""A check end to end: real database, real HTTP of the sandbox's exchanges, unmodified ccxt."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import connections
from django.utils import timezone

from bots.models import Bot, BotHealth, BotRuntime, BotStats
from bots.services.stop_bot import stop_bot
from clients.models import Connector
from exchanges.gateways.ccxt_gateway import ExchangeGateway
from exchanges.types import Credentials
from ground.errors import NotReady
from health import tasks
from health.models import BotHealthLog, HealthSettings
from health.services import ask_check
from health.services.run_checks import check_bots, claim_due_bots
from health.services.thin_checks import thin_checks
from ledger.models import Trade
from tests.fixtures import OPERATOR, Cast, make_bot
from tests.health.conftest import ACME_KEY, Monitor, give_second_connector, health_of, hours_ago, logs_of


def claimed(now: datetime) -> dict[str, list[UUID]]:
    """The bots that a tick at ``now`` claims, by exchange."""
    return {exchange: claim.bot_ids for exchange, claim in claim_due_bots(now=now).items()}


@pytest.mark.parametrize(
    ("minutes_ago", "status"), [(5, "healthy"), (45, "stale"), (150, "stopped"), (9000, "stopped")]
)
def test_judges_a_bot_by_the_age_of_its_last_trade(monitor: Monitor, minutes_ago: float, status: str):
    monitor.traded(minutes_ago)
    bot = monitor.running_bot()
    health = monitor.check(bot)
    assert health.status == status
    assert abs(health.last_trade_at - (timezone.now() - timedelta(minutes=minutes_ago))) < timedelta(seconds=30)
    [started, checked] = logs_of(bot)
    assert (started.previous_status, started.new_status, started.actor) == ("unknown", "unknown", "operator:tests")
    assert (checked.previous_status, checked.new_status, checked.trade_count) == ("unknown", status, 1)
    assert checked.reason == health.message and checked.evidence[0]["probe"] == "trades"


def test_says_stopped_where_the_exchange_has_no_trade_at_all(monitor: Monitor):
    health = monitor.check(monitor.running_bot())
    assert health.status == "stopped"
    assert health.message == "No trade of its own was found on BTC/USDT at KuCoin. It has no open orders either."


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "html"},
        {"fault": "html", "status": 503},
        {"fault": "empty"},
        {"fault": "garbage"},
        {"fault": "cut"},
        {"fault": "server_error"},
        {"fault": "drop"},
        {"fault": "rate_limit", "retry_after_s": 1},
        {"fault": "latency", "seconds": 4},
    ],
    ids=lambda fault: "-".join(str(v) for v in fault.values()),
)
def test_says_unknown_with_the_last_known_when_no_readable_answer_comes(monitor: Monitor, fault: dict[str, object]):
    monitor.traded(5)
    bot = monitor.running_bot()
    assert monitor.check(bot).status == "healthy"
    monitor.sandbox.fault("exchange:kucoin", **fault)
    health = monitor.check(bot)
    assert health.status == "unknown" and "KuCoin" in health.message
    assert health.last_known_status == "healthy" and health.last_known_at is not None
    again = monitor.check(bot)
    assert (again.status, again.last_known_status) == ("unknown", "healthy")
    assert again.last_known_at == health.last_known_at
    monitor.sandbox.clear_faults()
    monitor.sandbox.wait_until(lambda: monitor.ask(bot).status == "healthy")
    assert health_of(bot).last_known_status is None


def test_says_error_when_the_key_is_refused(monitor: Monitor):
    monitor.traded(5)
    bot = monitor.running_bot()
    monitor.sandbox.fault(f"key:{ACME_KEY['api_key']}", "revoked")
    health = monitor.check(bot)
    assert health.status == "error" and "KuCoin refused" in health.message


def test_says_error_for_a_market_that_the_exchange_does_not_have(monitor: Monitor):
    health = monitor.check(monitor.running_bot(pair="NOSUCHCOIN/USDT"))
    assert (health.status, health.message) == ("error", "KuCoin has no spot market NOSUCHCOIN/USDT.")


def test_says_unknown_without_credentials_and_for_an_exchange_that_closed(monitor: Monitor):
    no_key = monitor.check(monitor.running_bot(connector="okx"))
    assert no_key.status == "unknown" and no_key.message.startswith("There are no credentials for OKX")
    closed = monitor.check(monitor.running_bot(connector="bitmart"))
    assert closed.status == "unknown" and closed.message.startswith("BitMart closed in 2026")


def test_keeps_a_remembered_trade_when_the_exchange_no_longer_lists_it(monitor: Monitor):
    monitor.traded(5)
    bot = monitor.running_bot()
    first = monitor.check(bot)
    monitor.sandbox.control("DELETE", "/trades", params={"api_key": ACME_KEY["api_key"]})
    second = monitor.check(bot)
    assert (second.status, second.last_trade_at) == ("healthy", first.last_trade_at)


def test_does_not_believe_trades_from_the_future(monitor: Monitor):
    monitor.traded(-60)
    health = monitor.check(monitor.running_bot())
    assert health.status == "unknown" and "in the future" in health.message and health.last_trade_at is None


def test_uses_a_bots_own_thresholds_before_the_settings_before_the_environment(monitor: Monitor):
    monitor.traded(45)
    plain, own = monitor.running_bot(), monitor.running_bot(pair="ETH/USDT", stale_minutes=Decimal(60))
    monitor.traded(45, pair="ETH/USDT")
    assert (monitor.check(plain).status, monitor.check(own).status) == ("stale", "healthy")
    HealthSettings.objects.create(stale_minutes=Decimal("20.5"), stopped_minutes=Decimal("40.5"))
    assert (monitor.check(plain).status, monitor.check(own).status) == ("stopped", "healthy")
    assert health_of(plain).thresholds["source"] == "settings"


def test_asks_each_connector_with_its_own_key(monitor: Monitor, cast: Cast):
    """A fault of the old system: one exchange client per account, so a second connector used the first one's key."""
    monitor.sandbox.add_key("kucoin", "second-key-0123456789", "second-secret", passphrase="second-memo")
    second = give_second_connector(cast, api_key="second-key-0123456789")
    first = Connector.objects.get(client_id=cast.acme, label="").id
    monitor.traded(3, api_key="second-key-0123456789")
    of_first, of_second = monitor.running_bot(connector_id=first), monitor.running_bot(connector_id=second)
    monitor.check(of_first, of_second)
    assert (health_of(of_first).status, health_of(of_second).status) == ("stopped", "healthy")


def test_does_not_let_a_bot_look_alive_by_anothers_trades(monitor: Monitor):
    monitor.traded(3)
    one, other = monitor.running_bot(name="one"), monitor.running_bot(name="other")
    monitor.check(one, other)
    for bot, rival in ((one, "other"), (other, "one")):
        assert health_of(bot).status == "unknown"
        assert f"that of {rival}: they share account and pair" in health_of(bot).message
        assert health_of(bot).last_trade_at is None
    assert BotStats.objects.get(bot_id=one).buys_24h is None


def test_finds_a_rival_that_holds_the_same_key_under_another_connector(monitor: Monitor, cast: Cast):
    give_second_connector(cast, api_key=ACME_KEY["api_key"])
    second = Connector.objects.get(client_id=cast.acme, label="second").id
    first = Connector.objects.get(client_id=cast.acme, label="").id
    monitor.traded(3)
    bot = monitor.running_bot(connector_id=first)
    monitor.running_bot(name="twin", connector_id=second)
    assert monitor.check(bot).status == "unknown"


def test_gives_a_trade_to_the_bot_that_still_ran_when_it_was_made(monitor: Monitor, cast: Cast):
    monitor.traded(3)
    bot, retired = monitor.running_bot(name="runs"), monitor.running_bot(name="stopped long ago")
    stop_bot(scope=OPERATOR, bot_id=retired, now=hours_ago(5))
    assert monitor.check(bot).status == "healthy"


def test_makes_one_call_for_all_bots_of_a_key_and_pair(monitor: Monitor):
    bots = [monitor.running_bot(name=f"bot {n}") for n in range(3)]
    monitor.check(*bots)
    monitor.sandbox.control("DELETE", "/calls")
    monitor.check(*bots)
    fills = [call for call in monitor.sandbox.calls() if "fills" in call["path"]]
    assert len(fills) <= 2  # plain and high-frequency fills


def test_stops_asking_with_a_key_that_fails_again_and_again(monitor: Monitor):
    monitor.check(monitor.running_bot())
    pairs = ["BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT", "SHARP/USDT", "DOGE/USDT"]
    bots = [monitor.running_bot(pair=pair) for pair in pairs]
    monitor.sandbox.fault("exchange:kucoin", "server_error")
    monitor.sandbox.control("DELETE", "/calls")
    monitor.check(*bots)
    assert {health_of(bot).status for bot in bots} == {"unknown"}
    assert len(monitor.sandbox.calls()) <= 6


def test_asks_for_every_pair_though_the_exchange_lacks_some_of_them(monitor: Monitor):
    monitor.traded(5, pair="BTC/USDT")
    lacking = [monitor.running_bot(pair=f"NOSUCHCOIN{n}/USDT") for n in range(4)]
    good = monitor.running_bot(pair="BTC/USDT")
    monitor.check(*lacking, good)
    assert health_of(good).status == "healthy"
    assert [health_of(bot).message for bot in lacking] == [
        f"KuCoin has no spot market NOSUCHCOIN{n}/USDT." for n in range(4)
    ]


def test_lets_a_stop_during_a_check_win(monitor: Monitor):
    monitor.traded(5)
    bot = monitor.running_bot()
    before = len(logs_of(bot))

    def clock():
        stop_bot(scope=OPERATOR, bot_id=bot, now=timezone.now())  # while the check is under way
        return timezone.now()

    stopper = threading.Event()

    def clock_once():
        if not stopper.is_set():
            stopper.set()
            return timezone.now()
        return clock()

    written = check_bots(bot_ids=[bot], gateways=monitor.gateways, clock=clock_once)
    health = health_of(bot)
    assert written == set()
    assert (health.status, health.message) == ("stopped", "stopped by operator:tests")
    assert [log.new_status for log in logs_of(bot)[before:]] == ["stopped"]


def test_waits_for_a_stop_that_is_being_written(monitor: Monitor):
    """The stop holds the bot's row and has not committed when the verdict arrives: that must not be stored after it."""
    monitor.traded(5)
    bot = monitor.running_bot()
    holding, checked = threading.Event(), threading.Event()

    def stop_slowly():
        try:
            with OPERATOR.transaction(reason="slow stop"):
                stop_bot(scope=OPERATOR, bot_id=bot, now=timezone.now())
                holding.set()
                checked.wait(1.0)  # long enough for the check below to reach the lock
        finally:
            connections.close_all()

    def check():
        holding.wait(5)
        try:
            check_bots(bot_ids=[bot], gateways=monitor.gateways, clock=timezone.now)
        finally:
            checked.set()
            connections.close_all()

    threads = [threading.Thread(target=target) for target in (stop_slowly, check)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (health_of(bot).status, health_of(bot).message) == ("stopped", "stopped by operator:tests")


def test_tells_a_manual_stop_from_a_crash(monitor: Monitor):
    monitor.traded(300)
    crashed, stopped = monitor.running_bot(), monitor.running_bot(pair="ETH/USDT")
    stop_bot(scope=OPERATOR, bot_id=stopped, now=timezone.now())
    monitor.check(crashed, stopped)
    assert health_of(crashed).message.startswith("No trade for 5 h (stopped after 2 h).")
    assert health_of(stopped).message == "stopped by operator:tests"


def test_claims_each_due_bot_once_and_only_those_that_run(monitor: Monitor, cast: Cast):
    running, at_rest = monitor.running_bot(), make_bot("client_acme", name="at rest")
    arena = make_bot("client_acme", name="on paper", runtime_kind="arena")
    closed = monitor.running_bot(connector="bitmart")
    now = timezone.now()
    assert claimed(now=now) == {"kucoin": [running], "bitmart": [closed]}
    assert claimed(now=now) == {}
    HealthSettings.objects.create(check_interval_seconds=10)
    assert claimed(now=now) == {}, "a shorter interval is due in ten seconds, not at once"
    assert sorted(b for group in claimed(now=now + timedelta(seconds=11)).values() for b in group) == sorted(
        [running, closed]
    )
    assert at_rest and arena


def test_settles_a_bot_that_is_no_longer_wanted(monitor: Monitor):
    """Whatever left a living word behind, the next tick ends it."""
    bot = monitor.running_bot()
    stop_bot(scope=OPERATOR, bot_id=bot, now=timezone.now())
    BotHealth.objects.filter(bot_id=bot).update(status="healthy", due_at=timezone.now())
    assert claimed(now=timezone.now()) == {"kucoin": [bot]}
    assert monitor.check(bot).status == "stopped"


def test_puts_a_bot_off_whose_key_is_in_use_by_another_worker(monitor: Monitor, cast: Cast):
    monitor.traded(5)
    bot = monitor.running_bot()
    BotHealth.objects.filter(bot_id=bot).update(due_at=timezone.now() + timedelta(minutes=5))
    key = Credentials(ACME_KEY["api_key"], ACME_KEY["secret"], ACME_KEY["passphrase"]).fingerprint
    lock = int.from_bytes(bytes.fromhex(key), signed=True)
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [lock])
        try:
            assert check_bots(bot_ids=[bot], gateways=monitor.gateways, clock=timezone.now) == set()
            assert health_of(bot).due_at < timezone.now() + timedelta(seconds=6)
            asked = check_bots(bot_ids=[bot], gateways=monitor.gateways, clock=timezone.now, is_scheduled=False)
            assert asked == {bot}
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [lock])
    assert check_bots(bot_ids=[bot], gateways=monitor.gateways, clock=timezone.now) == {bot}


def test_hands_tasks_ids_and_never_credentials(monitor: Monitor, monkeypatch: pytest.MonkeyPatch):
    bot = monitor.running_bot()
    sent = []
    monkeypatch.setattr(tasks.check_exchange, "apply_async", lambda **given: sent.append(given["args"]))
    tasks.start_due_checks()
    [[exchange, bots, late_s]] = sent
    assert (exchange, bots) == ("kucoin", [str(bot)]) and late_s < 5


def test_checks_twice_without_harm_when_a_task_comes_again(monitor: Monitor, monkeypatch: pytest.MonkeyPatch):
    monitor.traded(5)
    bot = monitor.running_bot()
    monkeypatch.setattr(tasks, "configured_gateways", lambda: monitor.gateways)
    tasks.check_exchange("kucoin", [str(bot)])
    tasks.check_exchange("kucoin", [str(bot)])
    assert [(log.previous_status, log.new_status) for log in logs_of(bot)[1:]] == [
        ("unknown", "healthy"),
        ("healthy", "healthy"),
    ]


def test_forgets_old_checks_and_keeps_old_changes(monitor: Monitor):
    monitor.traded(5)
    bot = monitor.running_bot()
    monitor.check(bot)
    monitor.check(bot)
    BotHealthLog.objects.filter(bot_id=bot).update(checked_at=timezone.now() - timedelta(days=31))
    monitor.check(bot)
    thin_checks(scope=OPERATOR, now=timezone.now())
    assert [(log.previous_status, log.new_status) for log in logs_of(bot)] == [
        ("unknown", "healthy"),
        ("healthy", "healthy"),
    ]


def test_stores_the_others_when_one_verdict_cannot_be_stored(monitor: Monitor, monkeypatch: pytest.MonkeyPatch):
    """An exchange may send anything: here an order id with a NUL, and an amount that no column holds."""
    monitor.traded(5)
    monitor.traded(5, pair="ETH/USDT")
    good, bad = monitor.running_bot(), monitor.running_bot(pair="ETH/USDT")
    read = ExchangeGateway.fetch_own_trades

    def invent(gateway: ExchangeGateway, symbol: str, limit: int = 50):
        trades = read(gateway, symbol, limit)
        if symbol == "ETH/USDT":
            return [replace(t, order_id="a\x00b", price=Decimal("1e30"), notional=Decimal("1e30")) for t in trades]
        return trades

    monkeypatch.setattr(ExchangeGateway, "fetch_own_trades", invent)
    monitor.check(good, bad)
    assert (health_of(good).status, health_of(bad).status) == ("healthy", "healthy")
    assert Trade.objects.filter(bot_id=good).exists() and not Trade.objects.filter(bot_id=bad).exists()


def test_tells_who_waits_when_a_check_breaks(monitor: Monitor, cast: Cast, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ask_check.current_app, "send_task", lambda *_, **__: None)
    monkeypatch.setattr(tasks.run_checks, "check_bots", lambda **_: 1 / 0)
    request = ask_check.request_check(scope=OPERATOR, bot_id=cast.acme_bot)
    with pytest.raises(ZeroDivisionError):
        tasks.check_now(str(request))
    with pytest.raises(NotReady, match="The check broke"):
        ask_check.await_check(scope=OPERATOR, request_id=request, until_s=0)


def test_calls_a_defect_of_its_own_an_error(monitor: Monitor, monkeypatch: pytest.MonkeyPatch):
    bot = monitor.running_bot()
    monkeypatch.setattr(ExchangeGateway, "fetch_own_trades", lambda *_: 1 / 0)
    health = monitor.check(bot)
    assert (health.status, "ZeroDivisionError" in health.message) == ("error", True)


def test_judges_a_hummingbot_bot_from_its_confirmed_start(monitor: Monitor, cast: Cast):
    monitor.traded(150)
    bot = make_bot("client_acme", name="deployed", runtime_kind="hummingbot", stale_minutes=Decimal(10))
    Bot.objects.filter(id=bot).update(desired_status="running", desired_at=hours_ago(3), desired_by="operator:tests")
    spoken = []
    for confirmed in (timezone.now() - timedelta(minutes=2), hours_ago(0.5), hours_ago(2.2), hours_ago(2.7)):
        BotHealth.objects.filter(bot_id=bot).update(confirmed_start_at=confirmed)
        spoken.append((monitor.check(bot).status, health_of(bot).message.split(" (")[0]))
    assert spoken == [
        ("unknown", "Started 2 min ago, no trade yet."),
        ("stale", "No trade since its start 30 min ago"),
        ("stopped", "No trade since its start 2 h 12 min ago"),
        ("stopped", "No trade for 2 h 30 min"),
    ]


def test_checks_a_bot_that_is_seen_running_though_nobody_wants_it(monitor: Monitor, cast: Cast):
    bot = make_bot("client_acme", name="left over", runtime_kind="hummingbot")
    Bot.objects.filter(id=bot).update(desired_status="stopped", desired_at=hours_ago(1), desired_by="operator:tests")
    now = timezone.now()
    BotRuntime.objects.create(bot_id=bot, client_id=cast.acme, status="running", observed_at=now, changed_at=now)
    BotHealth.objects.filter(bot_id=bot).update(status="stopped")
    assert claimed(now=now) == {"kucoin": [bot]}
    monitor.traded(3)
    health = monitor.check(bot)
    assert health.status == "healthy"
    assert health.message == "stopped by operator:tests, yet it still runs. Traded 3 min ago."


def test_survives_an_exchange_whose_clock_is_off(monitor: Monitor):
    monitor.traded(5)
    bot = monitor.running_bot()
    monitor.sandbox.fault("exchange:kucoin", "clock_skew", skew_ms=600_000)
    assert monitor.check(bot).status in ("healthy", "unknown")
    assert health_of(bot).last_trade_at is None or health_of(bot).last_trade_at <= timezone.now()


def test_claims_no_bot_twice_when_two_ticks_run_at_once(monitor: Monitor):
    bots = {monitor.running_bot(pair=pair) for pair in ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT")}
    now, taken, together = timezone.now(), [], threading.Barrier(4)

    def tick():
        together.wait(5)
        taken.extend(bot for group in claimed(now=now).values() for bot in group)
        connections.close_all()

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(taken) == sorted(bots)


def test_leaves_no_secret_behind(monitor: Monitor, caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG")
    bot = monitor.running_bot()
    for fault in ("html", "server_error", "drop"):
        monitor.sandbox.fault("exchange:kucoin", fault)
        monitor.check(bot)
        monitor.sandbox.clear_faults()
    rows = json.dumps([[log.reason, log.evidence] for log in logs_of(bot)])
    for secret in ACME_KEY.values():
        assert secret not in rows and secret not in caplog.text
