"""The page of what a redeploy would mean. It asks no exchange itself: a worker does, when the operator asks for it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

from celery import current_app
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from kombu.exceptions import OperationalError

from bridge_project.use_cases.preflight import kept_preflight
from clients.admin_base import ago

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
    found = kept_preflight()
    context = admin.site.each_context(request) | {
        "title": "Before a redeploy",
        "found": found,
        "asked": ago(datetime.fromisoformat(found["asked_at"])) if found else "",
    }
    return TemplateResponse(request, "admin/bridge/preflight.html", context)


def _ask(request: HttpRequest) -> None:
    with suppress(OperationalError):
        current_app.send_task(TASK, expires=60, retry=False)
        messages.success(request, "A worker reads the ledger and asks the exchanges; load the page again in a moment.")
        return
    messages.error(request, "The broker does not answer, so no worker can be asked.")
