"""``GET /metrics``: Prometheus text, read from the tables (the workers' counters never reach the web process)."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from rest_framework.request import Request

from clients.views import ScopedView
from ground.scope import Scope
from ground.sql import fetch_all, fetch_one

_BOTS = """
    SELECT b.desired_status, coalesce(h.status, 'unknown'), count(*) FROM bots b LEFT JOIN bot_health h ON h.bot_id = b.id
     WHERE b.retired_at IS NULL AND b.runtime_kind <> 'arena' GROUP BY 1, 2
"""
_QUEUES = """
    SELECT (SELECT count(*) FROM bot_deployments WHERE status NOT IN ('ended', 'failed') AND due_at < now()),
           (SELECT count(*) FROM health_check_requests WHERE finished_at IS NULL),
           (SELECT extract(epoch FROM now() - min(h.due_at)) FROM bot_health h JOIN bots b ON b.id = h.bot_id
             WHERE b.retired_at IS NULL AND b.desired_status = 'running' AND h.due_at < now()),
           (SELECT extract(epoch FROM now() - last_ok_at) FROM hummingbot_state)
"""


class MetricsView(ScopedView):
    operators_only = True

    @extend_schema(operation_id="metrics", responses={(200, "text/plain"): str})
    def get(self, request: Request) -> HttpResponse:
        """Prometheus text; operators only."""
        registry = CollectorRegistry()
        registry.register(_Tables(self.scope))
        return HttpResponse(generate_latest(registry), content_type="text/plain; version=0.0.4; charset=utf-8")


class _Tables(Collector):
    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def collect(self) -> Iterator[Metric]:
        with self.scope.transaction():
            counts = fetch_all(_BOTS)
            queues = fetch_one(_QUEUES)
        bots = GaugeMetricFamily("bridge_bots", "Bots by wish and verdict.", labels=["desired", "health"])
        for desired, health, count in counts:
            bots.add_metric([desired, health], count)
        yield bots
        names = (
            ("bridge_deployments_due", "Deployments that wait for a worker."),
            ("bridge_health_checks_asked", "Checks that a person asked for and that are not finished."),
            ("bridge_health_lag_seconds", "How late the most overdue check of a running bot is."),
            ("bridge_hummingbot_age_seconds", "Since Hummingbot's last readable answer."),
        )
        for (name, text), value in zip(names, queues or (), strict=False):
            if value is not None:
                yield GaugeMetricFamily(name, text, value=float(value))

    def describe(self) -> Iterator[Metric]:
        return iter(())
