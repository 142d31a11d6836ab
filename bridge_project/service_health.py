"""``GET /health``, ``/livez``, ``/readyz``: is the service itself well? (A bot's health is another matter: health/.)"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from bots.models import HummingbotState
from bots.selectors import SILENT_POLLS, poll_seconds
from bridge_project import pulse
from ground.http import iso, json_response
from health.watching import cycle_seen

Check = dict[str, Any]


def health(request: HttpRequest) -> HttpResponse:
    """200 healthy or degraded, 503 unhealthy; says of each part how it is and when it was last seen."""
    now = timezone.now()
    checks = {"database": _timed(_ask_database), "broker": _timed(pulse.ping_broker)}
    checks |= _pulses(now) if checks["broker"]["status"] == "healthy" else {n: _unknown() for n in ("worker", "beat")}
    is_lost = checks["database"]["status"] != "healthy"
    checks["hummingbot"] = _unknown() if is_lost else _hummingbot(now)
    checks["health_cycle"] = _unknown() if is_lost else _health_cycle(now)
    fine = ("healthy", "not_configured", "waiting")
    word = "unhealthy" if is_lost else "healthy" if all(c["status"] in fine for c in checks.values()) else "degraded"
    body = {
        "status": word,
        "service": "Trading Bridge",
        "database": "postgresql",
        "version": settings.VERSION,
        "storage": settings.STORAGE,
        "demo": settings.DEMO,
        "checked_at": now,
        "checks": checks,
    }
    return json_response(body, status=503 if is_lost else 200)


def livez(request: HttpRequest) -> HttpResponse:
    """The process answers; nothing else is asked."""
    return json_response({"status": "alive"})


def readyz(request: HttpRequest) -> HttpResponse:
    """Whether this process can serve: the database answers and no migration waits."""
    try:
        executor = MigrationExecutor(connections["operator"])
        waiting = [str(m) for m, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]
    except DatabaseError:
        return json_response({"status": "not_ready", "detail": "The database cannot be reached."}, status=503)
    if waiting:
        detail = "Migrations have not been applied: run bin/manage migrate."
        return json_response({"status": "not_ready", "detail": detail, "unapplied_migrations": waiting}, status=503)
    return json_response({"status": "ready"})


def _timed(ask: Callable[[], None]) -> Check:
    began = time.perf_counter()
    try:
        ask()
    except (DatabaseError, redis.RedisError, OSError):
        return {"status": "unreachable"}
    return {"status": "healthy", "latency_ms": round((time.perf_counter() - began) * 1000, 2)}


def _ask_database() -> None:
    connection = connections["operator"]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        connection.close()  # the server may have been restarted: try once more with a fresh connection
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")


def _pulses(now: datetime) -> dict[str, Check]:
    found = pulse.last_pulses("worker", "beat")
    return {name: _seen(at, now, pulse.SILENT_AFTER_S) for name, at in found.items()}


def _seen(at: datetime | None, now: datetime, silent_after_s: float) -> Check:
    if at is None:
        return {"status": "silent", "last_seen_at": None}
    return {"status": "healthy" if (now - at).total_seconds() < silent_after_s else "silent", "last_seen_at": iso(at)}


def _hummingbot(now: datetime) -> Check:
    if not settings.HUMMINGBOT_API_URL:
        return {"status": "not_configured"}
    state = HummingbotState.objects.filter(id=1).first()
    if state is None or state.last_ok_at is None:
        return {"status": "unreachable", "last_seen_at": None}
    check = _seen(state.last_ok_at, now, SILENT_POLLS * poll_seconds() + 10)
    if state.failures or check["status"] == "silent":
        check["status"] = "unreachable"
    return check | {"latency_ms": state.latency_ms}


def _health_cycle(now: datetime) -> Check:
    """When every bot had last been looked at, how long that took, and by how much the next such look is late."""
    cycle = cycle_seen(now=now)
    return {
        "status": cycle.word,
        "last_seen_at": iso(cycle.last_at),
        "length_s": None if cycle.length_s is None else float(cycle.length_s),
        "bots": cycle.bots,
        "late_s": round(cycle.late_s, 1),
    }


def _unknown() -> Check:
    return {"status": "unknown"}
