"""The page of what a redeploy would mean. It asks no exchange itself: a worker does, when the operator asks for it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from bridge_project.use_cases.preflight import KeptPreflight, kept_preflight, note_asked
from clients.admin_base import ago
from ground.errors import BridgeError

FRESH = timedelta(minutes=5)
TASK = "bridge_project.preflight.now"


def preflight_page(request: HttpRequest) -> HttpResponse:
    return admin.site.admin_view(_page)(request)


def _page(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    if not user.has_perms(("bots.view_bot", "ledger.view_position")):
        raise PermissionDenied
    if request.method == "POST":
        _ask(request)
        return HttpResponseRedirect(reverse("preflight"))
    now = timezone.now()
    try:
        kept = kept_preflight()
    except BridgeError as error:
        messages.error(request, error.message)
        kept = KeptPreflight(None, None)
    asked_at = datetime.fromisoformat(kept.found["asked_at"]) if kept.found else None
    context = admin.site.each_context(request) | {
        "title": "Before a redeploy",
        "found": kept.found,
        "asked": ago(asked_at),
        "is_old": asked_at is not None and now - asked_at > FRESH,
        "awaited": kept.awaited,
    }
    return TemplateResponse(request, "admin/bridge/preflight.html", context)


def _ask(request: HttpRequest) -> None:
    with suppress(OperationalError, RedisError):
        note_asked(by=request.user.get_username(), now=timezone.now())
        current_app.send_task(TASK, expires=60, retry=False)
        return
    messages.error(request, "The broker does not answer, so no worker can be asked.")
