"""The landing page, and what every page knows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from arena.pages import arena_is_public
from health.rules.words import BADGES


def demo_notice(request: HttpRequest) -> dict[str, Any]:
    """Tell every page whether this is the demo, whose short intervals must not be mistaken for the real ones."""
    if not settings.DEMO:
        return {"is_demo": False, "version": settings.VERSION}
    return {
        "is_demo": True,
        "version": settings.VERSION,
        "demo_interval": settings.HEALTH_CHECK_INTERVAL_SECONDS,
        "demo_stale": _span(settings.STALE_THRESHOLD_MINUTES),
        "demo_stopped": _span(settings.STOPPED_THRESHOLD_MINUTES),
    }


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """A page for whoever opens the address: what this is and where to go. Shows no data."""
    return render(request, "landing.html", {"badges": BADGES.values(), "is_arena_public": arena_is_public()})


def _span(minutes: Decimal) -> str:
    """Minutes as people say them: "45 s", "2 min"."""
    seconds = int(minutes * 60)
    return f"{seconds} s" if seconds < 120 else f"{minutes.normalize():f} min"
