"""When each bot should be heard of."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import display

from clients.admin_base import BridgeAdmin, RefusableForm
from health.models import HeartbeatPlan
from health.rules.heartbeats import read_plan
from health.rules.words import span
from health.services.heartbeat_plans import remove_heartbeat_plan, set_heartbeat_plan


class PlanForm(RefusableForm):
    class Meta:
        model = HeartbeatPlan
        fields = ("bot", "period_s", "cron", "timezone", "grace_s")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        helps = {
            "period_s": "Seconds between two heartbeats. Give this or a cron expression.",
            "cron": "*/5 8-18 * * mon-fri: when heartbeats are expected. Give this or a period.",
            "timezone": "In which the cron expression is meant: Europe/Berlin.",
            "grace_s": "Seconds by which it may be late.",
        }
        for name, text in helps.items():
            if name in self.fields:
                self.fields[name].help_text = text


@admin.register(HeartbeatPlan)
class HeartbeatPlanAdmin(BridgeAdmin):
    form = PlanForm
    list_display = ("bot", "expected", "timezone", "late")
    list_select_related = ("bot",)
    search_fields = ("bot__name",)
    search_help_text = "a bot's name"
    autocomplete_fields = ("bot",)
    fieldsets = ((None, {"fields": ("bot", "period_s", ("cron", "timezone"), "grace_s")}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("bot",) if obj else ()

    def save_model(self, request: HttpRequest, obj: HeartbeatPlan, form: Any, change: bool) -> None:
        data = form.cleaned_data
        plan = read_plan(
            period_s=data["period_s"], cron=data["cron"], timezone=data["timezone"], grace_s=data["grace_s"]
        )
        set_heartbeat_plan(scope=self.scope(request), bot_id=obj.bot_id, plan=plan, now=timezone.now())

    def delete_model(self, request: HttpRequest, obj: HeartbeatPlan) -> None:
        remove_heartbeat_plan(scope=self.scope(request), bot_id=obj.bot_id, now=timezone.now())

    @display(description="expected")
    def expected(self, row: HeartbeatPlan) -> str:
        return row.cron or f"every {span(timedelta(seconds=row.period_s or 0))}"

    @display(description="may be late by")
    def late(self, row: HeartbeatPlan) -> str:
        return span(timedelta(seconds=row.grace_s))
