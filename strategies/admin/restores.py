"""Restores: what was brought back, in which order, with what open, and asking for one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from clients.admin_base import NOTHING, FactsAdmin, badge, confirmation
from strategies.models import RestoreRun, RestoreStep
from strategies.rules.restore import RestoreAction, RestoreOutcome, RestoreReason, RunStatus
from strategies.services.restore_requests import request_restore, stop_restore

RUN_COLORS = {
    RunStatus.PLANNED: "blue", RunStatus.RUNNING: "blue", RunStatus.DONE: "green", RunStatus.STOPPED: "grey",
}  # fmt: skip
OUTCOME_COLORS = {
    RestoreOutcome.PENDING: "grey", RestoreOutcome.RELEASED: "blue", RestoreOutcome.RESTORED: "green",
    RestoreOutcome.QUARANTINED: "orange", RestoreOutcome.STOPPED: "grey", RestoreOutcome.UNFINISHED: "yellow",
}  # fmt: skip


class RestoreForm(BaseDialogForm):
    spacing_s = forms.DecimalField(
        min_value=Decimal(0), max_value=Decimal(3600), initial=2, widget=UnfoldAdminTextInputWidget,
        label="Seconds between two",
    )  # fmt: skip
    is_dry_run = forms.BooleanField(
        required=False, initial=True, widget=UnfoldBooleanWidget, label="Only show what it would do"
    )


@admin.register(RestoreRun)
class RestoreRunAdmin(FactsAdmin):
    list_display = ("when", "cause", "dry", "state", "counts", "spacing", "who")
    list_display_links = ("when",)
    list_filter = ("status", "reason", "is_dry_run")
    ordering = ("-created_at", "-id")
    change_form_after_template = "admin/bridge/restore_steps.html"
    list_before_template = "admin/bridge/restores_note.html"
    actions_list = ("restore_now",)
    actions_detail = ("end",)
    fieldsets = ((None, {"fields": (("state", "dry"), ("cause", "who"), ("when", "took", "spacing"), "says")}),)

    def has_handle_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("strategies.change_restorerun"))

    @action(
        description="Restore now",
        icon="restart_alt",
        permissions=["handle"],
        dialog={
            "title": "Bring back every strategy that should run?",
            "description": "What runs is left alone; what was stopped on purpose stays stopped. Shown first: the order, and "
            "the positions and orders that are open.",
            "form_class": RestoreForm,
            "form_submit_text": "Go",
        },
    )
    def restore_now(self, request: HttpRequest, form: BaseDialogForm) -> HttpResponse:
        def call() -> str:
            data = form.cleaned_data
            request_restore(
                scope=self.scope(request), reason=RestoreReason.OPERATOR, spacing_s=data["spacing_s"],
                is_dry_run=data["is_dry_run"], now=timezone.now(),
            )  # fmt: skip
            return "A worker makes the plan; it is shown here in a moment."

        return self.act(request, call)

    @action(
        description="End",
        icon="stop_circle",
        permissions=["handle"],
        dialog=confirmation(
            "End this restore?", "Nobody waits for a turn any more; each bot comes back by itself.", "End"
        ),
    )
    def end(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            stop_restore(scope=self.scope(request), run_id=UUID(object_id), now=timezone.now())
            return "The restore is ended."

        return self.act(request, call)

    @display(description="asked for (UTC)", ordering="created_at")
    def when(self, row: RestoreRun) -> str:
        return f"{row.created_at:%Y-%m-%d %H:%M:%S}"

    @display(description="status", ordering="status")
    def state(self, row: RestoreRun) -> SafeString:
        return badge(row.status, RUN_COLORS[RunStatus(row.status)], says=row.message)

    @display(description="kind", ordering="is_dry_run")
    def dry(self, row: RestoreRun) -> SafeString:
        return badge("dry run", "yellow", says="Nothing was sent.") if row.is_dry_run else badge("real", "grey")

    @display(description="why", ordering="reason")
    def cause(self, row: RestoreRun) -> str:
        return WHY[RestoreReason(row.reason)]

    @display(description="seconds apart", ordering="spacing_s")
    def spacing(self, row: RestoreRun) -> str:
        return f"{row.spacing_s.normalize():f}"

    @display(description="by", ordering="requested_by")
    def who(self, row: RestoreRun) -> str:
        return row.requested_by

    @display(description="took")
    def took(self, row: RestoreRun) -> str:
        if row.finished_at is None or row.started_at is None:
            return NOTHING
        return f"{(row.finished_at - row.started_at).total_seconds():.0f} s"

    @display(description="says")
    def says(self, row: RestoreRun) -> str:
        return row.message or NOTHING

    @display(description="strategies")
    def counts(self, row: RestoreRun) -> str:
        outcomes: dict[str, int] = {}
        found = row.steps.order_by().values_list("outcome", "action").annotate(n=Count("id"))
        for outcome, planned, count in found:
            word = WHAT[RestoreAction(planned)] if row.is_dry_run else OUTCOMES[RestoreOutcome(outcome)]
            outcomes[word] = outcomes.get(word, 0) + count
        return ", ".join(f"{count} {word}" for word, count in sorted(outcomes.items())) or "none"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        return super().change_view(
            request, object_id, form_url, {**(extra_context or {}), **(_steps(row) if row else {})}
        )


def _steps(run: RestoreRun) -> dict[str, Any]:
    """What its page shows below the facts."""
    steps = run.steps.select_related("bot__client").order_by("position")
    shown = [
        {"step": step, "plan": _plan(step), "outcome": _outcome(step, run), "carried": carried_lines(step.carried),
         "says": "" if run.is_dry_run and step.carried else step.message}
        for step in steps[:SHOWN]
    ]  # fmt: skip
    return {"steps": shown, "more": max(0, steps.count() - SHOWN), "is_dry_run": run.is_dry_run}


SHOWN = 500
WHY = {
    RestoreReason.BOOT: "the bridge was started", RestoreReason.HUMMINGBOT_RETURNED: "Hummingbot answers again",
    RestoreReason.SEVERAL_DOWN: "several were down at once", RestoreReason.OPERATOR: "somebody asked for it",
}  # fmt: skip
WHAT = {
    RestoreAction.DEPLOY: "deploy", RestoreAction.WATCH: "wait for it", RestoreAction.ADOPT: "runs already",
    RestoreAction.SKIP: "quarantined",
}  # fmt: skip
OUTCOMES = {
    RestoreOutcome.PENDING: "waiting", RestoreOutcome.RELEASED: "being deployed", RestoreOutcome.RESTORED: "restored",
    RestoreOutcome.QUARANTINED: "quarantined", RestoreOutcome.STOPPED: "stopped",
    RestoreOutcome.UNFINISHED: "not back yet",
}  # fmt: skip
MATCHES = {
    "covered": "the account holds it",
    "short": "the account holds less",
    "unknown": "not checked at the exchange",
}
WHOSE = {"own": "", "other": ", not this bot's", "shared": ", perhaps another bot's"}


def _outcome(step: RestoreStep, run: RestoreRun) -> SafeString:
    if run.is_dry_run:
        return badge("only shown", "grey")
    outcome = RestoreOutcome(step.outcome)
    return badge(OUTCOMES[outcome], OUTCOME_COLORS[outcome])


def _plan(step: RestoreStep) -> str:
    action = RestoreAction(step.action)
    turn = f", its turn at {step.due_at:%H:%M:%S} UTC" if action == RestoreAction.DEPLOY else ""
    return f"{WHAT[action]}{turn}"


def carried_lines(carried: dict[str, Any] | None) -> list[tuple[str, str]]:
    """``(colour, sentence)`` of what was open before its turn: each position and order, and what could not be read."""
    if carried is None:
        return []
    match = str(carried.get("positions_match") or "")
    lines = [
        ("orange" if match == "short" else "blue",
         f"{p['position_type']} {p['quantity']} {p['symbol']} from {p['entry_price']}: {MATCHES.get(match, match)}")
        for p in carried["positions"]
    ]  # fmt: skip
    if carried["orders"] is None:
        return [*lines, ("grey", f"open orders could not be read: {carried['orders_problem']}")]
    orders = [
        ("grey", f"{order['side']} order of {order['quantity']} at {order['price']}{WHOSE.get(order['whose'], '')}")
        for order in carried["orders"][:5]
    ]
    more = len(carried["orders"]) - len(orders)
    lines += [*orders, *([("grey", f"and {more} more orders")] if more > 0 else [])]
    return lines or [("grey", "nothing open")]
