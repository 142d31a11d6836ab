"""Restores: what was brought back, in which order, with what open, and asking for one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from clients.admin_base import NOTHING, FactsAdmin, ago, badge, confirmation
from ground.http import exact_json
from strategies.models import RestoreRun, RestoreStep
from strategies.rules.restore import RestoreOutcome, RestoreReason, RunStatus
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
    list_display = ("when", "reason", "state", "dry", "spacing_s", "counts", "requested_by", "message")
    list_display_links = ("when",)
    list_filter = ("status", "reason", "is_dry_run")
    ordering = ("-created_at", "-id")
    actions_list = ("restore_now",)
    actions_detail = ("end",)
    fields = ("state", "reason", "requested_by", "dry", "spacing_s", "message", "created_at", "started_at", "finished_at",
              "steps_shown")  # fmt: skip

    def has_handle_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("strategies.change_restorerun"))

    @action(
        description="Restore now",
        icon="restart_alt",
        permissions=["handle"],
        dialog={
            "title": "Bring back every strategy that should run?",
            "description": "What runs already is left alone. What was stopped on purpose stays stopped.",
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
            "End this restore?", "Nobody waits for a turn any more; each bot recovers by itself.", "End"
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

    @display(description="only shown", ordering="is_dry_run", boolean=True)
    def dry(self, row: RestoreRun) -> bool:
        return row.is_dry_run

    @display(description="steps")
    def counts(self, row: RestoreRun) -> str:
        outcomes: dict[str, int] = {}
        for outcome in row.steps.values_list("outcome", flat=True):
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        return ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())) or NOTHING

    @display(description="steps, in their order")
    def steps_shown(self, row: RestoreRun) -> SafeString | str:
        rows = row.steps.select_related("bot__client").order_by("position")[:500]
        body = format_html_join(
            "",
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            (
                (step.position, f"{step.symbol_shown} ({step.strategy_type}) of {step.bot.client.account_identifier}",
                 step.action, _outcome(step), ago(step.due_at), _carried(step), step.message)
                for step in rows
            ),
        )  # fmt: skip
        if not body:
            return NOTHING
        head = format_html_join("", "<th>{}</th>", ((name,) for name in COLUMNS))
        made = (
            '<div class="bridge-scroll"><table class="bridge-table"><thead><tr>{}</tr></thead>'
            "<tbody>{}</tbody></table></div>"
        )
        return format_html(made, head, body)


COLUMNS = ("no.", "strategy", "what", "outcome", "turn", "carried", "")


def _outcome(step: RestoreStep) -> SafeString:
    return badge(step.outcome, OUTCOME_COLORS[RestoreOutcome(step.outcome)])


def _carried(step: RestoreStep) -> str:
    """Positions and orders that were open when its turn came, in short."""
    if step.carried is None:
        return NOTHING
    text = exact_json(step.carried)
    return text if len(text) <= 200 else f"{text[:200]}…"
