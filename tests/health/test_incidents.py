"""What is wrong is told once: one incident for an outage of many, one for a bot by itself, none for what was wanted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.conf import LazySettings
from django.db import connections
from django.utils import timezone

from alerts.models import Incident, IncidentBot, IncidentEvent
from bots.models import Bot, BotHealth, HummingbotState
from bots.services.start_bot import start_bot
from bots.services.stop_bot import stop_bot
from ground.scope import system_scope
from ground.sql import run
from health.models import ExchangeCircuit
from health.services.raise_incidents import Outcome, look_for_incidents
from tests.fixtures import OPERATOR, Cast, make_bot
from tests.health.conftest import Monitor

HEALTH = system_scope("health")
MINUTE = timedelta(minutes=1)
KEY = "aaaaaaaaaaaaaaaa"


def look(at: datetime | None = None) -> Outcome:
    return look_for_incidents(scope=HEALTH, now=at or timezone.now())


def running(count: int = 1, account: str = "client_acme", **fields: Any) -> list[UUID]:
    """So many bots that are wanted running and healthy."""
    made = [make_bot(account, name=f"bot {number}", **fields) for number in range(count)]
    for bot_id in made:
        start_bot(scope=OPERATOR, bot_id=bot_id, now=timezone.now() - timedelta(hours=3))
    judged(made, "healthy", at=timezone.now() - timedelta(hours=2))
    return made


def judged(bot_ids: list[UUID], status: str, cause: str = "", *, at: datetime | None = None, **more: Any) -> None:
    """As a check writes it."""
    at = at or timezone.now()
    told = {"status": status, "cause": cause, "message": f"It is {status}.", "key_fingerprint": KEY} | more
    BotHealth.objects.filter(bot_id__in=bot_ids).update(status_updated_at=at, checked_at=at, **told)


def circuit(state: str, *, exchange: str = "kucoin", at: datetime | None = None, fingerprint: str = "") -> None:
    ExchangeCircuit.objects.update_or_create(
        exchange=exchange,
        fingerprint=fingerprint,
        defaults={"state": state, "opened_at": at or timezone.now(), "reason": "No answer within 8 s."},
    )


def open_ones() -> list[tuple[str, str, str]]:
    found = Incident.objects.filter(resolved_at=None).order_by("kind", "key")
    return list(found.values_list("kind", "key", "severity"))


def test_a_bot_that_stops_is_one_critical_incident_that_ends_when_it_is_healthy_again(cast: Cast) -> None:
    [bot] = running()
    assert look() == Outcome(0, 0, 0)
    judged([bot], "stopped", "balance", message="No trade for 3 h. It is out of USDT.")
    assert look() == look() == Outcome(1, 0, 0)
    incident = Incident.objects.get()
    assert (incident.kind, incident.key, incident.severity) == ("bot_health", str(bot), "critical")
    assert (incident.client_id, incident.bot_id, incident.times_seen) == (cast.acme, bot, 1)
    assert incident.title == (
        "bot 0 of client_acme (BTC/USDT at KuCoin) has stopped: No trade for 3 h. It is out of USDT."
    )
    judged([bot], "stale")
    assert look() == Outcome(0, 1, 0)
    incident.refresh_from_db()
    assert (incident.resolution, incident.resolved_by) == ("It is stale again.", "system:health")


def test_what_cannot_be_told_neither_raises_nor_ends_an_incident(cast: Cast) -> None:
    fallen, other = running(2)
    judged([fallen], "stopped")
    look()
    judged([fallen, other], "unknown", "exchange")
    assert look().ended == 0
    assert open_ones() == [("bot_health", str(fallen), "critical")]


def test_a_stop_on_purpose_ends_it_and_a_deleted_bot_has_none(cast: Cast) -> None:
    stopped, deleted = running(2)
    judged([stopped, deleted], "stopped")
    look()
    assert len(open_ones()) == 2
    stop_bot(scope=OPERATOR, bot_id=stopped, now=timezone.now())
    Bot.objects.filter(id=deleted).update(retired_at=timezone.now())
    assert look() == Outcome(0, 2, 0)
    ends = dict(Incident.objects.values_list("key", "resolution"))
    assert ends == {str(stopped): "It was stopped on purpose.", str(deleted): "The bot was deleted."}


@pytest.mark.parametrize("status", ["stopped", "error"])
def test_a_bot_that_nobody_wants_running_raises_none(cast: Cast, status: str) -> None:
    bot = make_bot("client_acme", name="resting")
    judged([bot], status)
    assert look() == Outcome(0, 0, 0)


def test_a_thousand_bots_behind_one_failing_exchange_are_one_incident(cast: Cast) -> None:
    [first] = running()
    copies = _copies(first, 999)
    judged([first, *copies], "unknown", "exchange")
    circuit("open")
    assert look() == Outcome(1, 0, 0)
    [incident] = Incident.objects.all()
    assert (incident.kind, incident.key, incident.severity, incident.client_id) == (
        "exchange_down", "kucoin", "warning", None,
    )  # fmt: skip
    assert incident.title == "KuCoin gives no readable answer; 1000 bots cannot be told. No answer within 8 s."
    assert incident.details["exchange"] == "kucoin"
    assert IncidentBot.objects.filter(incident=incident, until_at=None).count() == 1000
    later = timezone.now() + 11 * MINUTE
    look(later)
    assert open_ones() == [("exchange_down", "kucoin", "critical")]
    assert list(IncidentEvent.objects.values_list("kind", flat=True)) == ["opened", "worsened"]


def test_when_an_exchange_returns_its_bots_are_looked_at_again_with_a_spread(cast: Cast) -> None:
    [first] = running()
    bots = [first, *_copies(first, 59)]
    judged(bots, "unknown", "exchange")
    circuit("open")
    look()
    now = timezone.now() + MINUTE
    BotHealth.objects.update(due_at=now + 5 * MINUTE)
    circuit("closed")
    assert look(now) == Outcome(0, 1, 60)
    due = sorted(
        (at - now).total_seconds() for at in BotHealth.objects.filter(bot_id__in=bots).values_list("due_at", flat=True)
    )
    assert due == [float(second) for second in range(60)]


def test_a_bot_that_fell_during_an_outage_is_told_of_only_once_it_was_looked_at_after_it(
    cast: Cast, settings: LazySettings
) -> None:
    settings.HUMMINGBOT_API_URL = "http://hummingbot.test"
    [bot] = running()
    Bot.objects.filter(id=bot).update(runtime_kind="hummingbot")
    HummingbotState.objects.create(id=1, failures=3, last_ok_at=timezone.now() - MINUTE, error="Connection refused.")
    look()
    judged([bot], "stopped")
    look()
    assert [kind for kind, _, _ in open_ones()] == ["hummingbot_down"]
    HummingbotState.objects.update(failures=0)
    BotHealth.objects.update(due_at=timezone.now() + 5 * MINUTE)
    over = timezone.now()
    assert look(over).rechecked == 1
    assert look() == Outcome(0, 0, 0)
    judged([bot], "stopped", at=over + MINUTE)
    look()
    assert open_ones() == [("bot_health", str(bot), "critical")]


def test_hummingbot_away_is_one_incident_with_its_bots_and_none_where_it_is_not_configured(
    cast: Cast, settings: LazySettings
) -> None:
    bots = running(3)
    Bot.objects.filter(id__in=bots).update(runtime_kind="hummingbot")
    HummingbotState.objects.create(id=1, failures=9, last_ok_at=timezone.now() - MINUTE, error="Connection refused.")
    assert look() == Outcome(0, 0, 0)
    settings.HUMMINGBOT_API_URL = "http://hummingbot.test"
    HummingbotState.objects.update(last_ok_at=timezone.now() - timedelta(seconds=15))
    assert look() == Outcome(0, 0, 0), "while it is away it is asked often: their number alone says nothing"
    HummingbotState.objects.update(last_ok_at=timezone.now() - MINUTE)
    look()
    assert open_ones() == [("hummingbot_down", "hummingbot", "critical")]
    assert Incident.objects.get().title == "Hummingbot does not answer; 3 bots may be affected. Connection refused."
    assert set(IncidentBot.objects.values_list("bot_id", flat=True)) == set(bots)


def test_all_bots_of_hummingbot_silent_at_once_are_one_incident_of_its_broker(
    cast: Cast, settings: LazySettings
) -> None:
    settings.HUMMINGBOT_API_URL = "http://hummingbot.test"
    Bot.objects.filter(id__in=running(3)).update(runtime_kind="hummingbot")
    now = timezone.now()
    HummingbotState.objects.create(id=1, last_ok_at=now, broker_suspect_since=now)
    assert look(now) == Outcome(0, 0, 0)
    look(now + MINUTE)
    assert open_ones() == [("message_broker_down", "hummingbot", "critical")]
    HummingbotState.objects.update(broker_suspect_since=None)
    assert look(now + 2 * MINUTE).ended == 1


def test_a_refused_key_is_one_incident_of_its_client_until_the_key_is_changed(cast: Cast) -> None:
    bots = running(4)
    running(account="client_globex")
    judged(bots, "error", "key", message="KuCoin refused the API key.")
    assert look() == Outcome(1, 0, 0)
    incident = Incident.objects.get()
    assert (incident.kind, incident.key, incident.client_id) == ("key_rejected", f"kucoin:{KEY}", cast.acme)
    assert "4 bots" in incident.title and "key-of-acme" not in incident.title
    assert IncidentBot.objects.filter(until_at=None).count() == 4
    judged(bots[:2], "unknown", "exchange")  # it can no longer be told: the key is refused as far as anybody knows
    judged(bots[2:], "healthy")
    assert look().ended == 0
    assert set(IncidentBot.objects.filter(until_at=None).values_list("bot_id", flat=True)) == set(bots[:2])
    judged(bots, "healthy", key_fingerprint="bbbbbbbbbbbbbbbb")
    assert look().ended == 1


def test_a_key_that_alone_gets_no_readable_answer_is_told_of_after_a_while(cast: Cast) -> None:
    bots, now = running(2), timezone.now()
    judged(bots, "unknown", "exchange", at=now)
    assert look(now + 9 * MINUTE) == Outcome(0, 0, 0)
    look(now + 10 * MINUTE)
    assert open_ones() == [("key_unreadable", f"kucoin:{KEY}", "warning")]
    circuit("open", at=now + 10 * MINUTE)
    look(now + 11 * MINUTE)
    assert open_ones() == [("exchange_down", "kucoin", "warning")]


def test_a_check_that_breaks_for_every_bot_is_one_incident(cast: Cast) -> None:
    judged(running(3), "error", "bridge", message="The check itself broke (KeyError): this is a defect of the bridge.")
    look()
    assert open_ones() == [("check_broken", "kucoin", "critical")]
    assert Incident.objects.get().client_id is None


def test_a_bot_without_funds_that_still_trades_is_a_warning(cast: Cast) -> None:
    [bot] = running()
    judged([bot], "stale", shortage="USDT")
    look()
    assert open_ones() == [("out_of_funds", str(bot), "warning")]
    judged([bot], "stopped", "balance", shortage="USDT")
    look()
    assert [kind for kind, _, _ in open_ones()] == ["bot_health", "out_of_funds"]
    judged([bot], "healthy", shortage="")
    assert look() == Outcome(0, 2, 0)


def test_many_workers_at_once_raise_one_incident_and_tell_of_it_once(cast: Cast) -> None:
    bots = running(5)
    judged(bots[:4], "unknown", "exchange")
    judged(bots[4:], "stopped")
    circuit("open")

    def work(_: int) -> None:
        try:
            look()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as workers:
        list(workers.map(work, range(12)))
    assert sorted(kind for kind, _, _ in open_ones()) == ["bot_health", "exchange_down"]
    assert list(IncidentEvent.objects.values_list("kind", flat=True)) == ["opened", "opened"]
    assert set(Incident.objects.values_list("times_seen", flat=True)) == {1}
    circuit("closed")
    judged(bots, "healthy")
    with ThreadPoolExecutor(6) as workers:
        list(workers.map(work, range(12)))
    assert IncidentEvent.objects.filter(kind="resolved").count() == 2
    assert open_ones() == []


def test_a_thousand_checks_of_two_workers_at_a_failing_exchange_make_one_incident_and_one_message(
    monitor: Monitor,
) -> None:
    first = [monitor.running_bot(pair=pair) for pair in ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT")]
    bots = [*first, *(copy for bot in first for copy in _copies(bot, 249))]
    monitor.sandbox.fault("exchange:kucoin", "server_error")

    def work(half: list[UUID]) -> None:
        try:
            monitor.check(*half)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as workers:
        list(workers.map(work, (bots[::2], bots[1::2])))
    monitor.check(*bots)  # the bots of the key that was busy
    assert open_ones() == [("exchange_down", "kucoin", "warning")]
    assert IncidentBot.objects.filter(until_at=None).count() == len(bots) == 1000
    assert IncidentEvent.objects.count() == 1
    BotHealth.objects.update(due_at=timezone.now() + 5 * MINUTE)
    monitor.sandbox.clear_faults()
    for pair in ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT"):
        monitor.traded(1, pair=pair)
    ExchangeCircuit.objects.update(retry_at=timezone.now())
    monitor.check(*first)
    assert open_ones() == []
    due = BotHealth.objects.filter(bot_id__in=bots).values_list("due_at", flat=True)
    assert len(set(due)) > 900 and max(due) <= timezone.now() + MINUTE


def _copies(bot_id: UUID, count: int) -> list[UUID]:
    """The same bot many times over."""
    known = set(Bot.objects.values_list("id", flat=True))
    with HEALTH.transaction():
        run(
            "WITH b AS (INSERT INTO bots (id, client_id, connector_id, connector_name, name, pair, strategy, config, "
            "runtime_kind, desired_status, desired_at, desired_by, desired_reason, reported_by, source, source_id, "
            "deletion_requested_by) SELECT gen_random_uuid(), client_id, connector_id, connector_name, 'copy ' || n, pair, "
            "strategy, config, runtime_kind, desired_status, desired_at, desired_by, desired_reason, reported_by, '', '', '' "
            "FROM bots, generate_series(1, %s) n WHERE id = %s RETURNING id, client_id) "
            "INSERT INTO bot_health (bot_id, client_id, status, message, heartbeat_status, evidence, thresholds, "
            "status_updated_at) SELECT id, client_id, 'healthy', 'Traded.', '', '[]', '{}', now() FROM b",
            [count, bot_id],
        )
    return list(Bot.objects.filter(name__startswith="copy").exclude(id__in=known).values_list("id", flat=True))


@pytest.fixture(autouse=True)
def _not_configured(settings: LazySettings) -> None:
    settings.HUMMINGBOT_API_URL = None
