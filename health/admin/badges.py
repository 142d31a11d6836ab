"""Verdicts as the admin shows them everywhere."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from bots.models import Bot
from bots.rules.words import HealthStatus
from clients.admin_base import badge
from health.rules.words import BADGES


def health_badge(status: str | None, message: str = "") -> SafeString:
    """A verdict in the one map of words and colours."""
    shown = BADGES[HealthStatus(status or HealthStatus.UNKNOWN)]
    return badge(shown.label, shown.color, says=message or shown.meaning)


class HealthFilter(admin.SimpleListFilter):
    title = "health"
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(word, f"{word}: {shown.label}") for word, shown in BADGES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Bot]) -> QuerySet[Bot]:
        return queryset.filter(health__status=self.value()) if self.value() else queryset
