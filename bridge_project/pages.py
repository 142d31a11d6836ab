"""The landing page, and what every page knows."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def demo_notice(request: HttpRequest) -> dict[str, Any]:
    """Tell every page whether this is the demo, whose short intervals must not be mistaken for the real ones."""
    return {"is_demo": settings.DEMO, "version": settings.VERSION}


def landing(request: HttpRequest) -> HttpResponse:
    """A page for whoever opens the address: what this is and where to go. Shows no data."""
    return render(request, "landing.html")
