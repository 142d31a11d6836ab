"""The watcher can be watched: /health tells of the cycle, /metrics of everything, and the dashboard of what is there."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from alerts.models import AlertChannel, AlertDelivery, AlertsState, Incident
from bots.models import BotHealth, HummingbotState
from bots.services.start_bot import start_bot
from bridge_project import pulse
from bridge_project.metrics import FAMILIES
from health.models import ExchangeCircuit, HealthRound, HealthState
from tests.fixtures import OPERATOR, Cast

DASHBOARD = Path(__file__).resolve().parents[2] / "docs" / "grafana" / "trading-bridge.json"
MINUTE = timedelta(minutes=1)


def scraped(cast: Cast) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = cast.operator.get("/metrics")
    assert answer.status == 200, answer.body
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.body)
        for sample in family.samples
    }


def everything_is_there(cast: Cast, now: datetime) -> None:
    """Rows of every kind, so that no metric lacks a value."""
    start_bot(scope=OPERATOR, bot_id=cast.acme_bot, now=now)
    BotHealth.objects.filter(bot_id=cast.acme_bot).update(
        status="stopped", checked_at=now - 2 * MINUTE, due_at=now - MINUTE
    )
    HealthState.objects.create(
        last_tick_at=now, last_cycle_at=now - MINUTE, last_cycle_s=Decimal("9.5"), last_cycle_bots=1, dead_man_at=now
    )
    HealthRound.objects.create(
        exchange="kucoin", started_at=now - MINUTE, finished_at=now, bots=1, written=1, late_s=Decimal("1.25")
    )
    ExchangeCircuit.objects.create(exchange="kucoin", calls=100, errors=7, clock_offset_ms=-250)
    ExchangeCircuit.objects.create(exchange="kucoin", fingerprint="a" * 16, state="open", opened_at=now, calls=9)
    Incident.objects.create(kind="bot_health", key="1", severity="critical", title="it fell", raised_by="tests")
    channel = AlertChannel.objects.create(name="mail", kind="email", address="a@example.org", address_hint="a…")
    AlertDelivery.objects.create(channel=channel, kind="test", severity="info", title="hello", body="hello")
    AlertsState.objects.create(held_until=now + MINUTE)
    HummingbotState.objects.create(id=1, last_ok_at=now)


def test_every_figure_of_the_watcher_is_exported(cast: Cast) -> None:
    now = timezone.now()
    everything_is_there(cast, now)
    found = scraped(cast)
    kucoin = (("exchange", "kucoin"),)
    assert found["bridge_bots", (("desired", "running"), ("health", "stopped"))] == 1
    assert found["bridge_health_cycle_seconds", ()] == 9.5
    assert 60 <= found["bridge_health_lag_seconds", ()] < 120
    assert found["bridge_health_round_seconds", kucoin] == 60
    assert found["bridge_health_round_late_seconds", kucoin] == 1.25
    assert (found["bridge_exchange_calls_total", kucoin], found["bridge_exchange_errors_total", kucoin]) == (100, 7)
    assert found["bridge_exchange_clock_offset_seconds", kucoin] == -0.25
    assert found["bridge_exchange_circuits", (*kucoin, ("of", "key"), ("state", "open"))] == 1
    assert found["bridge_incidents_open", (("kind", "bot_health"), ("severity", "critical"))] == 1
    assert found["bridge_alert_deliveries", (("status", "waiting"),)] == 1
    assert found["bridge_alerts_held", ()] == 1
    names = {name.removesuffix("_total") for name, _ in found}
    assert names == {family.name for family in FAMILIES}


def test_an_empty_bridge_is_scraped_without_a_word_of_what_is_not_there(cast: Cast) -> None:
    found = scraped(cast)
    assert (found["bridge_health_lag_seconds", ()], found["bridge_alerts_held", ()]) == (0, 0)
    assert ("bridge_health_cycle_seconds", ()) not in found


def test_metrics_are_for_operators_alone(cast: Cast) -> None:
    assert [who.get("/metrics").status for who in (cast.nobody, cast.acme_manages, cast.operator)] == [401, 403, 200]


def _expressions(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["expr"]] if isinstance(part.get("expr"), str) else []
        return own + [found for value in part.values() for found in _expressions(value)]
    return [found for item in part for found in _expressions(item)] if isinstance(part, list) else []


def test_the_dashboard_shows_what_is_exported_and_leaves_nothing_out() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    named = {name for text in _expressions(dashboard) for name in re.findall(r"\bbridge_[a-z_]+", text)}
    exported = {family.name + ("_total" if family.counts else "") for family in FAMILIES}
    assert named == exported
    labels = {label for family in FAMILIES for label in family.labels}
    for text in _expressions(dashboard):
        used = re.findall(r"by \(([a-z, ]+)\)", text) + re.findall(r"([a-z]+)(?:!=|=)\"", text)
        assert {label for part in used for label in part.split(", ")} <= labels, text


def test_the_panels_of_the_dashboard_lie_beside_each_other_on_its_own_data_source() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    assert [variable["name"] for variable in dashboard["templating"]["list"]] == ["datasource"]
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or panel["datasource"]["uid"] == "${datasource}"
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


@pytest.fixture
def alive(broker: redis.Redis) -> None:
    pulse.beat_pulse("worker")
    pulse.beat_pulse("beat")


def cycle_of(cast: Cast) -> tuple[str, dict[str, Any]]:
    answer = cast.nobody.get("/health")
    assert answer.status == 200
    return answer.body["status"], answer.body["checks"]["health_cycle"]


def test_health_waits_for_the_first_cycle_and_then_tells_when_it_was(cast: Cast, alive: None) -> None:
    now = timezone.now()
    waiting = {"status": "waiting", "last_seen_at": None, "length_s": None, "bots": None, "late_s": 0.0}
    assert cycle_of(cast) == ("healthy", waiting)
    HealthState.objects.create(
        last_tick_at=now, last_cycle_at=now - MINUTE, last_cycle_s=Decimal("9.5"), last_cycle_bots=7
    )
    status, cycle = cycle_of(cast)
    assert (status, cycle["status"], cycle["length_s"], cycle["bots"], cycle["late_s"]) == (
        "healthy", "healthy", 9.5, 7, 0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ticked", "cycle", "booted", "word"),
    [
        (0, 9, None, "healthy"),  # the interval is 5 min, and one more is allowed for
        (0, 11, None, "late"),
        (2, 1, None, "late"),  # nobody looks any more
        (0, 60, 1, "waiting"),  # it was away, and has just been started
        (60, 60, 0, "waiting"),
        (0, 60, 12, "late"),
    ],
)
def test_a_cycle_is_late_after_two_intervals(
    cast: Cast, alive: None, ticked: float, cycle: float, booted: float | None, word: str
) -> None:
    now = timezone.now()
    HealthState.objects.create(last_tick_at=now - ticked * MINUTE, last_cycle_at=now - cycle * MINUTE, last_cycle_s=2)
    if booted is not None:
        AlertsState.objects.create(booted_at=now - booted * MINUTE)
    status, seen = cycle_of(cast)
    assert (seen["status"], status) == (word, "degraded" if word == "late" else "healthy")
