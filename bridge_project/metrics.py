"""``GET /metrics``: Prometheus text, read from the tables (the workers' counters never reach the web process)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from rest_framework.request import Request

from clients.views import ScopedView
from ground.scope import Scope
from ground.sql import fetch_all


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its labels are the statement's first columns, its value the last one. A null value is left out."""

    name: str
    text: str
    statement: str
    labels: tuple[str, ...] = ()
    counts: bool = False  # it only ever grows

    def read(self) -> Metric:
        kind = CounterMetricFamily if self.counts else GaugeMetricFamily
        family = kind(self.name, self.text, labels=self.labels)
        for *labels, value in fetch_all(self.statement):
            if value is not None:
                family.add_metric([str(label) for label in labels], float(value))
        return family


def _of_state(expression: str) -> str:
    return f"SELECT {expression} FROM health_state"  # noqa: S608 - made of constants


def _age(column: str) -> str:
    return f"greatest(0, extract(epoch FROM now() - {column}))"


_WATCHED = "b.retired_at IS NULL AND b.desired_status = 'running' AND b.runtime_kind <> 'arena'"
_LAST_ROUNDS = """
    SELECT DISTINCT ON (exchange) exchange, {} FROM health_rounds WHERE finished_at > now() - interval '1 day'
     ORDER BY exchange, finished_at DESC
"""

FAMILIES = (
    Family(
        "bridge_bots",
        "Bots by wish and verdict.",
        "SELECT b.desired_status, coalesce(h.status, 'unknown'), count(*) FROM bots b LEFT JOIN bot_health h "
        "ON h.bot_id = b.id WHERE b.retired_at IS NULL AND b.runtime_kind <> 'arena' GROUP BY 1, 2 ORDER BY 1, 2",
        ("desired", "health"),
    ),
    Family(
        "bridge_deployments_due",
        "Deployments that wait for a worker.",
        "SELECT count(*) FROM bot_deployments WHERE status NOT IN ('ended', 'failed') AND due_at < now()",
    ),
    Family(
        "bridge_health_checks_asked",
        "Checks that a person asked for and that are not finished.",
        "SELECT count(*) FROM health_check_requests WHERE finished_at IS NULL",
    ),
    Family(
        "bridge_health_lag_seconds",
        "How late the most overdue check of a running bot is; 0: none is.",
        f"SELECT coalesce(max({_age('h.due_at')}), 0) FROM bot_health h JOIN bots b ON b.id = h.bot_id "  # noqa: S608
        f"WHERE {_WATCHED} AND h.due_at < now()",
    ),
    Family(
        "bridge_health_oldest_check_seconds",
        "Since the running bot that was looked at longest ago was looked at.",
        f"SELECT max({_age('h.checked_at')}) FROM bot_health h JOIN bots b ON b.id = h.bot_id WHERE {_WATCHED}",  # noqa: S608
    ),
    Family("bridge_health_tick_age_seconds", "Since the schedule last looked.", _of_state(_age("last_tick_at"))),
    Family("bridge_health_cycle_age_seconds", "Since every bot had been looked at.", _of_state(_age("last_cycle_at"))),
    Family("bridge_health_cycle_seconds", "How long the last look at every bot took.", _of_state("last_cycle_s")),
    Family("bridge_health_cycle_bots", "How many bots that were.", _of_state("last_cycle_bots")),
    Family(
        "bridge_health_round_seconds",
        "How long the last round of checks took.",
        _LAST_ROUNDS.format("extract(epoch FROM finished_at - started_at)"),
        ("exchange",),
    ),
    Family(
        "bridge_health_round_late_seconds",
        "By how much the latest bot of the last round was overdue.",
        _LAST_ROUNDS.format("late_s"),
        ("exchange",),
    ),
    Family(
        "bridge_exchange_calls",
        "Calls to an exchange.",
        "SELECT exchange, calls FROM exchange_circuits WHERE fingerprint = '' ORDER BY 1",
        ("exchange",),
        counts=True,
    ),
    Family(
        "bridge_exchange_errors",
        "Calls to an exchange that failed.",
        "SELECT exchange, errors FROM exchange_circuits WHERE fingerprint = '' ORDER BY 1",
        ("exchange",),
        counts=True,
    ),
    Family(
        "bridge_exchange_circuits",
        "Circuits by what they are of and their state; one that is not closed keeps calls back.",
        "SELECT exchange, CASE fingerprint WHEN '' THEN 'exchange' ELSE 'key' END, state, count(*) "
        "FROM exchange_circuits GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        ("exchange", "of", "state"),
    ),
    Family(
        "bridge_exchange_clock_offset_seconds",
        "By how much an exchange's clock is ahead of ours.",
        "SELECT exchange, clock_offset_ms / 1000.0 FROM exchange_circuits WHERE fingerprint = '' ORDER BY 1",
        ("exchange",),
    ),
    Family(
        "bridge_incidents_open",
        "Open incidents by kind and severity.",
        "SELECT kind, severity, count(*) FROM incidents WHERE resolved_at IS NULL GROUP BY 1, 2 ORDER BY 1, 2",
        ("kind", "severity"),
    ),
    Family(
        "bridge_incidents_untaken",
        "Open incidents that nobody has taken on.",
        "SELECT count(*) FROM incidents WHERE resolved_at IS NULL AND acknowledged_at IS NULL",
    ),
    Family(
        "bridge_alert_deliveries",
        "Messages of the last day by how they stand.",
        "SELECT status, count(*) FROM alert_deliveries WHERE created_at > now() - interval '1 day' GROUP BY 1 ORDER BY 1",
        ("status",),
    ),
    Family(
        "bridge_alert_wait_seconds",
        "How overdue the oldest message is that has not left; 0: none is.",
        f"SELECT coalesce(max({_age('due_at')}), 0) FROM alert_deliveries WHERE status = 'waiting' AND due_at < now()",  # noqa: S608
    ),
    Family(
        "bridge_alerts_held",
        "1 while no message leaves because the bridge has just been started, else 0.",
        "SELECT coalesce(bool_or(awaits_cycle OR held_until > now()), false)::int FROM alerts_state",
    ),
    Family("bridge_dead_man_age_seconds", "Since the dead man's switch was told.", _of_state(_age("dead_man_at"))),
    Family(
        "bridge_hummingbot_age_seconds",
        "Since Hummingbot's last readable answer.",
        f"SELECT {_age('last_ok_at')} FROM hummingbot_state",  # noqa: S608
    ),
)


class MetricsView(ScopedView):
    operators_only = True

    @extend_schema(operation_id="metrics", responses={(200, "text/plain"): str})
    def get(self, request: Request) -> HttpResponse:
        """Prometheus text; operators only."""
        registry = CollectorRegistry()
        registry.register(_Tables(self.scope))
        return HttpResponse(generate_latest(registry), content_type="text/plain; version=0.0.4; charset=utf-8")


class _Tables(Collector):
    """Reads every family in one transaction, so that the figures of one scrape belong together."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def collect(self) -> Iterator[Metric]:
        with self.scope.transaction():
            found = [family.read() for family in FAMILIES]
        yield from found

    def describe(self) -> Iterator[Metric]:
        return iter(())
