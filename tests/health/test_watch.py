"""The watcher is watched: rounds add up to cycles, a start holds the alarms, and a switch elsewhere hears of each cycle."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from uuid import UUID

from django.db import connections
from django.utils import timezone

from alerts.models import AlertsState, Incident
from bots.models import Bot, BotHealth
from bots.services.start_bot import start_bot
from ground.scope import system_scope
from health import tasks
from health.models import BotHealthLog, ExchangeCircuit, HealthRound, HealthState, UptimeDay
from health.services.dead_man import tell_dead_man
from health.services.thin_checks import thin_checks
from health.services.watch import after_round, before_tick, finish_cycle, note_boot
from tests.fixtures import OPERATOR, Cast, make_bot

HEALTH = system_scope("health")
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def running(count: int) -> list[UUID]:
    made = [make_bot("client_acme", name=f"bot {n}") for n in range(count)]
    for bot in made:
        start_bot(scope=OPERATOR, bot_id=bot, now=timezone.now() - timedelta(hours=1))
    return made


def round_of(
    bots: list[UUID], began: datetime, ended: datetime, *, exchange: str = "kucoin", late_s: float = 0
) -> None:
    """As a worker's round goes: each bot is looked at, then the round is noted."""
    BotHealth.objects.filter(bot_id__in=bots).update(checked_at=began + (ended - began) / 2)
    after_round(
        scope=HEALTH, exchange=exchange, started_at=began, finished_at=ended, bots=len(bots), written=len(bots),
        late_s=late_s, now=ended,
    )  # fmt: skip


def state() -> HealthState:
    return HealthState.objects.get()


def test_a_cycle_ends_with_the_round_after_which_every_bot_was_looked_at(cast: Cast) -> None:
    bots, now = running(3), timezone.now()
    round_of(bots[:2], now, now + 2 * SECOND)
    assert (state().last_cycle_at, state().cycle_began_at) == (None, now)
    # It began first and ends last: its bots were looked at before the other round began, and still count.
    round_of(bots[2:], now - SECOND, now + 3 * SECOND, exchange="gate", late_s=1.5)
    assert (state().last_cycle_at, state().last_cycle_bots, state().cycle_began_at) == (now + 3 * SECOND, 3, None)
    assert state().last_cycle_s == 4
    assert list(HealthRound.objects.order_by("id").values_list("exchange", "bots", "written", "late_s")) == [
        ("kucoin", 2, 2, 0), ("gate", 1, 1, 1.5),
    ]  # fmt: skip


def test_a_bot_that_is_started_during_a_cycle_belongs_to_the_next_one(cast: Cast) -> None:
    bots, now = running(1), timezone.now()
    late = make_bot("client_acme", name="late")
    start_bot(scope=OPERATOR, bot_id=late, now=now + SECOND)
    round_of(bots, now, now + 2 * SECOND)
    assert (state().last_cycle_at, state().last_cycle_bots) == (now + 2 * SECOND, 1)
    round_of(bots, now + MINUTE, now + MINUTE + SECOND)
    assert state().cycle_began_at == now + MINUTE


def test_many_rounds_that_end_at_once_end_one_cycle(cast: Cast) -> None:
    bots, now = running(8), timezone.now()

    def work(place: int) -> None:
        try:
            round_of([bots[place]], now + place * SECOND / 10, now + 2 * SECOND, exchange=f"exchange{place}")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(work, range(8)))
    finish_cycle(scope=HEALTH, now=now + 2 * SECOND)
    assert (state().last_cycle_at, state().last_cycle_bots, state().cycle_began_at) == (now + 2 * SECOND, 8, None)
    assert 0 < state().last_cycle_s <= 2


def test_where_there_is_nothing_to_watch_a_cycle_is_done_each_interval(cast: Cast) -> None:
    now = timezone.now()
    before_tick(scope=HEALTH, now=now)
    assert (state().last_cycle_at, state().last_cycle_bots, state().last_tick_at) == (now, 0, now)
    before_tick(scope=HEALTH, now=now + MINUTE)
    assert (state().last_cycle_at, state().last_tick_at) == (now, now + MINUTE)
    before_tick(scope=HEALTH, now=now + 6 * MINUTE)
    assert state().last_cycle_at == now + 6 * MINUTE


def test_after_a_start_alerts_wait_for_a_cycle_that_began_after_it(cast: Cast) -> None:
    bots, now = running(2), timezone.now()
    round_of(bots[:1], now, now + SECOND)
    note_boot(scope=HEALTH, now=now + 2 * SECOND)
    held = AlertsState.objects.get()
    assert (held.awaits_cycle, held.held_until) == (True, now + 2 * SECOND + 15 * MINUTE)
    round_of(bots[1:], now + 3 * SECOND, now + 4 * SECOND)
    assert AlertsState.objects.get().awaits_cycle, "one bot was last looked at before the start"
    round_of(bots, now + 5 * SECOND, now + 6 * SECOND)
    assert not AlertsState.objects.get().awaits_cycle


def test_a_schedule_that_was_away_for_minutes_holds_the_alerts_as_a_start_does(cast: Cast) -> None:
    running(1)
    now = timezone.now()
    before_tick(scope=HEALTH, now=now)
    AlertsState.objects.update(awaits_cycle=False)
    before_tick(scope=HEALTH, now=now + 2 * MINUTE)
    assert not AlertsState.objects.get().awaits_cycle
    before_tick(scope=HEALTH, now=now + 4 * MINUTE + SECOND)
    assert AlertsState.objects.get().awaits_cycle


def test_the_sweep_does_what_a_worker_that_died_could_not(cast: Cast, settings: Any) -> None:
    [bot], now = running(1), timezone.now()
    BotHealth.objects.filter(bot_id=bot).update(status="stopped", checked_at=now)
    HealthState.objects.create(last_tick_at=now, cycle_began_at=now - SECOND)
    with dead_mans_switch() as switch:
        settings.DEAD_MAN_URL = switch.url
        tasks.sweep()
        tasks.sweep()
        assert switch.heard == ["/secret"]
    assert (state().cycle_began_at, state().last_cycle_bots) == (None, 1)
    assert Incident.objects.values_list("kind", "times_seen").get() == ("bot_health", 1)
    tasks.count_every_uptime()
    assert UptimeDay.objects.filter(bot_id=bot).exists() and state().uptime_counted_at


def test_rounds_and_checks_are_forgotten_and_changes_are_kept(cast: Cast) -> None:
    [bot], now = running(1), timezone.now()
    old = now - timedelta(days=31)
    client_id = Bot.objects.get(id=bot).client_id
    for before, after in (("healthy", "healthy"), ("healthy", "stale"), (None, "unknown")):
        BotHealthLog.objects.create(
            bot_id=bot, client_id=client_id, checked_at=old, previous_status=before, new_status=after, reason="told"
        )
    round_of([bot], old, old + SECOND)
    round_of([bot], now - 6 * timedelta(days=1), now)
    ExchangeCircuit.objects.create(exchange="kucoin", fingerprint="a" * 16, updated_at=now - timedelta(days=91))
    ExchangeCircuit.objects.create(exchange="kucoin", updated_at=now - timedelta(days=91))
    assert thin_checks(scope=HEALTH, now=now) == 1
    assert set(BotHealthLog.objects.filter(reason="told").values_list("new_status", flat=True)) == {"stale", "unknown"}
    assert HealthRound.objects.count() == 1
    assert ExchangeCircuit.objects.values_list("fingerprint", flat=True).get() == ""


@dataclass
class Switch:
    """A dead man's switch that answers ``status``; ``hangs`` makes it say nothing."""

    url: str = ""
    status: int = 200
    heard: list[str] = field(default_factory=list)
    hangs: Event | None = None


@contextmanager
def dead_mans_switch() -> Iterator[Switch]:
    switch = Switch()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            switch.heard.append(self.path)
            if switch.hangs:
                switch.hangs.wait()
            self.send_response(switch.status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    switch.url = f"http://127.0.0.1:{server.server_port}/secret"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield switch
    finally:
        if switch.hangs:
            switch.hangs.set()
        server.shutdown()
        server.server_close()
        thread.join()


def tell(url: str, at: datetime) -> bool:
    return tell_dead_man(scope=HEALTH, url=url, now=at)


def test_the_switch_hears_once_of_each_full_cycle(cast: Cast) -> None:
    now = timezone.now()
    with dead_mans_switch() as switch:
        assert not tell(switch.url, now), "there was no cycle yet"
        before_tick(scope=HEALTH, now=now)
        assert not tell_dead_man(scope=HEALTH, url=None, now=now + SECOND)

        def work(_: int) -> bool:
            try:
                return tell(switch.url, now + SECOND)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(4) as workers:
            assert sorted(workers.map(work, range(8))) == [False] * 7 + [True]
        assert switch.heard == ["/secret"]
        before_tick(scope=HEALTH, now=now + 6 * MINUTE)
        assert tell(switch.url, now + 6 * MINUTE)
        assert switch.heard == ["/secret"] * 2


def test_a_switch_that_cannot_be_told_is_tried_again_and_its_address_stays_a_secret(cast: Cast) -> None:
    now = timezone.now()
    before_tick(scope=HEALTH, now=now)
    with dead_mans_switch() as switch:
        for status, sentence in (
            (404, "It answered 404."),
            (301, "It answered 301: give the address that it leads to."),
        ):
            now += MINUTE
            switch.status = status
            assert not tell(switch.url, now)
            assert (state().dead_man_at, state().dead_man_error) == (None, sentence)
        assert not tell(switch.url, now + SECOND)
        assert len(switch.heard) == 2, "half a minute passes between two tries"
        switch.status = 204
        assert tell(switch.url, now + MINUTE)
        assert (state().dead_man_at, state().dead_man_error) == (now + MINUTE, "")
    before_tick(scope=HEALTH, now=now + 6 * MINUTE)
    assert not tell(switch.url, now + 6 * MINUTE)
    assert state().dead_man_error.startswith("It cannot be reached") and "secret" not in state().dead_man_error


def test_a_switch_that_hangs_is_given_up(cast: Cast, monkeypatch: Any) -> None:
    monkeypatch.setattr("health.services.dead_man.TIMEOUT_S", 0.2)
    now = timezone.now()
    before_tick(scope=HEALTH, now=now)
    with dead_mans_switch() as switch:
        switch.hangs = Event()
        assert not tell(switch.url, now + SECOND)
        assert state().dead_man_error == "It did not answer within 0.2 s."
