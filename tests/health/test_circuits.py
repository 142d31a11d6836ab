"""When an exchange or a key is asked again: the rule by itself, and circuits shared by workers through the database."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from clients.models import Connector
from clients.services.manage_accounts import put_connector
from exchanges.gateways.ccxt_gateway import ExchangeGateway
from exchanges.gateways.errors import NoTurn
from exchanges.types import Credentials
from ground.errors import Unavailable
from health.models import ExchangeCircuit
from health.rules import circuits as rule
from health.rules.circuits import Admission, Circuit, Failure
from health.rules.words import CircuitState
from health.services.circuits import open_breakers, store_circuits
from tests.fixtures import OPERATOR, Cast
from tests.health.conftest import ACME_KEY, Monitor, give_second_connector, health_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = Credentials(ACME_KEY["api_key"], ACME_KEY["secret"], ACME_KEY["passphrase"]).fingerprint


def fail(circuit: Circuit, failure: Failure = Failure.UNAVAILABLE, *, at: datetime = NOW, **more: float) -> Circuit:
    return rule.failed(circuit, failure=failure, reason="No answer.", now=at, luck=0.5, **more)


def seconds_to_try(circuit: Circuit, at: datetime = NOW) -> float:
    return (rule.tried_next(circuit) - at).total_seconds()


def test_opens_after_three_failures_in_a_row_and_waits_longer_each_time():
    circuit = Circuit("kucoin")
    for _ in range(2):
        circuit = fail(circuit)
        assert rule.admission(circuit, now=NOW) == Admission.ASK
    assert fail(rule.succeeded(circuit, now=NOW)).state == CircuitState.CLOSED, "an answer ends the row"
    waits = []
    for _ in range(7):
        circuit = fail(circuit)
        waits.append(seconds_to_try(circuit))
        circuit = rule.trying(circuit, now=NOW)
    assert waits == [30, 60, 120, 240, 480, 600, 600]
    assert rule.succeeded(circuit, now=NOW).state == CircuitState.CLOSED


def test_late_failures_of_calls_under_way_do_not_lengthen_the_wait():
    circuit = fail(fail(fail(Circuit("kucoin"))))
    assert (fail(circuit).retry_at, fail(circuit).errors) == (circuit.retry_at, 4)


def test_a_request_for_fewer_calls_opens_at_once_for_as_long_as_it_says():
    assert seconds_to_try(fail(Circuit("kucoin", "k"), Failure.LIMITED, retry_after_s=90)) == 90
    assert seconds_to_try(fail(Circuit("kucoin", "k"), Failure.LIMITED)) == 30


def test_a_refused_key_waits_for_a_change_and_is_tried_once_a_day():
    circuit = Circuit("kucoin", "k")
    for _ in range(3):
        circuit = fail(circuit, Failure.REFUSED)
    assert (circuit.state, circuit.retry_at) == (CircuitState.OPEN, None)
    assert rule.admission(circuit, now=NOW + timedelta(hours=23)) == Admission.WAIT
    assert rule.admission(circuit, now=NOW + timedelta(hours=24)) == Admission.TRY
    tried = fail(rule.trying(circuit, now=NOW), Failure.REFUSED, at=NOW + timedelta(hours=24))
    assert rule.admission(tried, now=NOW + timedelta(hours=47)) == Admission.WAIT


@given(
    st.lists(st.sampled_from([*Failure, "answer", "try"]), max_size=40),
    st.floats(0, 1),
    st.one_of(st.none(), st.floats(0, 3600)),
)
def test_every_row_of_events_leaves_a_circuit_that_is_tried_some_day(
    events: list[str], luck: float, retry: float | None
):
    circuit = Circuit("kucoin", "k")
    for event in events:
        if event == "answer":
            circuit = rule.succeeded(circuit, now=NOW)
        elif event == "try":
            if rule.admission(circuit, now=NOW + timedelta(days=2)) == Admission.TRY:
                circuit = rule.trying(circuit, now=NOW)
        else:
            circuit = rule.failed(circuit, failure=Failure(event), reason="x", now=NOW, luck=luck, retry_after_s=retry)
    assert rule.admission(circuit, now=NOW + timedelta(days=2)) != Admission.WAIT
    assert (circuit.state == CircuitState.CLOSED) == (circuit.opened_at is None)
    assert circuit.state == CircuitState.CLOSED or seconds_to_try(circuit) >= 22.5


def test_of_many_workers_that_see_a_wait_end_one_tries(database: None):
    past = timezone.now() - timedelta(minutes=1)
    ExchangeCircuit.objects.create(exchange="kucoin", state="open", opened_at=past, retry_at=past, failures=3)
    tries, together = [], threading.Barrier(6)

    def work():
        together.wait(5)
        breaker = open_breakers({("kucoin", "k")}, now=timezone.now())["kucoin"]
        tries.append(breaker.tries_exchange)
        if breaker.shut("k") is None:
            breaker.answered("k", now=timezone.now())
        store_circuits([breaker], now=timezone.now())
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(tries)[-1] is True and tries.count(True) == 1
    assert ExchangeCircuit.objects.get(fingerprint="").state == "closed"


def test_counts_of_two_rounds_add_up_and_the_later_word_stands(database: None):
    earlier, later = timezone.now() - timedelta(seconds=5), timezone.now()
    one = open_breakers({("kucoin", "k")}, now=earlier)["kucoin"]
    other = open_breakers({("kucoin", "k")}, now=earlier)["kucoin"]
    other.answered("k", now=later)
    for _ in range(3):
        one.failed("k", Failure.UNAVAILABLE, reason="No answer.", now=earlier)
    store_circuits([other], now=later)
    store_circuits([one], now=later)
    row = ExchangeCircuit.objects.get(exchange="kucoin", fingerprint="")
    assert (row.state, row.calls, row.errors, row.last_failed_at) == ("closed", 4, 3, earlier)


def test_an_open_exchange_costs_no_call_and_one_bot_is_due_when_it_may_be_tried(monitor: Monitor):
    pairs = ["BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT"]
    bots = [monitor.running_bot(pair=pair) for pair in pairs]
    for bot in bots:
        health = health_of(bot)
        health.due_at = timezone.now() + timedelta(minutes=5)
        health.save(update_fields=["due_at"])
    monitor.sandbox.fault("exchange:kucoin", "server_error")
    monitor.check(*bots)
    circuit = ExchangeCircuit.objects.get(exchange="kucoin", fingerprint="")
    assert (circuit.state, circuit.failures) == ("open", 3)
    assert [health_of(bot).due_at == circuit.retry_at for bot in bots].count(True) == 1
    monitor.sandbox.control("DELETE", "/calls")
    monitor.check(*bots)
    assert monitor.sandbox.calls() == []
    assert "asked again in" in health_of(bots[0]).message
    monitor.sandbox.clear_faults()
    assert monitor.ask(bots[0]).status == "stopped", "what a person asks for is always asked"
    assert ExchangeCircuit.objects.get(exchange="kucoin", fingerprint="").state == "closed"


def test_one_call_alone_tries_an_exchange_that_was_away(monitor: Monitor):
    bots = [monitor.running_bot(pair=pair) for pair in ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT")]
    monitor.sandbox.fault("exchange:kucoin", "server_error")
    monitor.check(*bots)
    ExchangeCircuit.objects.update(retry_at=timezone.now())
    monitor.sandbox.control("DELETE", "/calls")
    monitor.check(*bots)
    assert len(monitor.sandbox.calls()) == 1
    assert ExchangeCircuit.objects.get(exchange="kucoin", fingerprint="").failures == 4


def test_a_changed_key_is_asked_at_once(monitor: Monitor, cast: Cast):
    bots = [monitor.running_bot(pair=pair) for pair in ("BTC/USDT", "ETH/USDT", "SOL/USDT")]
    monitor.sandbox.fault(f"key:{ACME_KEY['api_key']}", "revoked")
    monitor.check(*bots)
    assert ExchangeCircuit.objects.get(fingerprint=KEY).state == "open"
    monitor.sandbox.add_key("kucoin", "second-key-0123456789", "second-secret", passphrase="second-memo")
    put_connector(
        scope=OPERATOR, client_id=cast.acme, name="kucoin", api_key="second-key-0123456789",
        api_secret="second-secret", memo="second-memo",
    )  # fmt: skip
    monitor.traded(5, api_key="second-key-0123456789")
    assert monitor.check(*bots).status == "healthy"
    assert ExchangeCircuit.objects.get(fingerprint=KEY).state == "open", "the old key is not asked again"


def test_a_key_that_fails_alone_is_left_alone_and_the_others_are_asked(monitor: Monitor, cast: Cast):
    second = give_second_connector(cast, api_key="second-key-0123456789")
    monitor.sandbox.add_key("kucoin", "second-key-0123456789", "second-secret", passphrase="second-memo")
    monitor.traded(5, api_key="second-key-0123456789")
    first = Connector.objects.get(client_id=cast.acme, label="").id
    ailing = [monitor.running_bot(pair=pair, connector_id=first) for pair in ("BTC/USDT", "ETH/USDT", "SOL/USDT")]
    well = monitor.running_bot(connector_id=second, name="well")
    monitor.sandbox.fault(f"key:{ACME_KEY['api_key']}", "server_error")
    for bot in ailing:
        monitor.check(bot, well)
    states = {row.fingerprint: row.state for row in ExchangeCircuit.objects.all()}
    assert (states[KEY], states[""]) == ("open", "closed")
    assert monitor.check(well, *ailing).status == "healthy"


def test_repeats_a_call_that_failed_by_chance_and_not_one_that_hangs(monitor: Monitor):
    monitor.traded(5)
    bot = monitor.running_bot()
    monitor.check(bot)
    monitor.sandbox.fault("exchange:kucoin", "server_error", path="fills", count=2)
    assert monitor.check(bot).status == "healthy"
    monitor.sandbox.fault("exchange:kucoin", "latency", seconds=4, path="fills")
    monitor.sandbox.control("DELETE", "/calls")
    assert monitor.check(bot).status == "unknown"
    assert len([call for call in monitor.sandbox.calls() if "fills" in call["path"]]) == 1


@pytest.mark.parametrize("is_turn", [False, True])
def test_a_call_whose_turn_did_not_come_leaves_the_verdict_and_is_made_soon(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch, is_turn: bool
):
    monitor.traded(5)
    bot = monitor.running_bot()
    monitor.check(bot)
    error = (
        Unavailable("No answer.", system="kucoin") if is_turn else NoTurn("Busy.", system="kucoin", retry_after_s=60)
    )

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(ExchangeGateway, "fetch_own_trades", refuse)
    assert monitor.check(bot).status == ("unknown" if is_turn else "healthy")
    assert is_turn or health_of(bot).due_at <= timezone.now()
    assert ExchangeCircuit.objects.filter(state="open").count() == 0
