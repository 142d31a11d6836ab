"""The wizard that rebuilds lost definitions, and the list of what runs unmanaged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from bots.models_lost import RecoverySurvey, UnmanagedInstance
from bots.rules.lost_facts import Action, Proposal
from bots.services.recovery_surveys import ask_for_survey, carry_out, proposals_of
from clients.admin_base import FactsAdmin, ago, badge
from clients.models import Client
from ground.errors import BridgeError
from ground.http import exact_json

COLORS = {Action.CREATE: "green", Action.ADOPT: "blue", Action.LINK: "blue", Action.SKIP: "grey"}
_OWNER = "owner:"


@admin.register(UnmanagedInstance)
class UnmanagedInstanceAdmin(FactsAdmin):
    list_display = ("instance_name", "whose", "what_to_do", "container", "status", "since", "seen")
    search_fields = ("instance_name", "image")
    list_filter = ("is_ours", "has_container")

    @display(description="deployed by", ordering="is_ours")
    def whose(self, row: UnmanagedInstance) -> SafeString:
        return badge("this bridge", "orange") if row.is_ours else badge("somebody else", "grey")

    @display(description="what to do", ordering="advice")
    def what_to_do(self, row: UnmanagedInstance) -> SafeString | str:
        wizard = reverse("admin:bots_recoverysurvey_changelist")
        short, _, rest = row.advice.partition(":")
        return format_html('<a class="bridge-link" href="{}" title="{}">{}</a>', wizard, rest.strip(), short)

    @display(description="container", ordering="has_container")
    def container(self, row: UnmanagedInstance) -> str:
        return "up" if row.has_container else "none: only heard of"

    @display(description="since", ordering="first_seen_at")
    def since(self, row: UnmanagedInstance) -> SafeString | str:
        return ago(row.first_seen_at)

    @display(description="seen", ordering="last_seen_at")
    def seen(self, row: UnmanagedInstance) -> SafeString | str:
        return ago(row.last_seen_at)


@admin.register(RecoverySurvey)
class RecoverySurveyAdmin(FactsAdmin):
    """The list is the wizard: the newest look, what would be done with it, and what was."""

    list_display = ("__str__", "requested_at", "taken_at", "error")
    fields = ("requested_by", "requested_at", "taken_at", "error", "report")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return self._wizard(request, owners={})
        if not request.user.has_perm("bots.add_bot"):
            raise PermissionDenied
        owners = {
            name.removeprefix(_OWNER): str(value)
            for name, value in request.POST.items()
            if name.startswith(_OWNER) and value
        }
        if request.POST.get("do") == "show":
            return self._wizard(request, owners=owners)
        try:
            self._act(request, owners)
        except BridgeError as error:
            messages.error(request, error.message)
        return HttpResponseRedirect(reverse("admin:bots_recoverysurvey_changelist"))

    def _act(self, request: HttpRequest, owners: dict[str, str]) -> None:
        if request.POST.get("do") == "look":
            ask_for_survey(scope=self.scope(request), now=timezone.now())
            return
        keys = set(request.POST.getlist("key"))
        done = carry_out(
            scope=self.scope(request), survey_id=UUID(request.POST.get("survey", "")), keys=keys, owners=owners,
            now=timezone.now(),
        )  # fmt: skip
        for key in sorted(owners.keys() - keys):
            messages.warning(request, f"{key}: nothing was done. Say whose it is, have that shown, and tick it.")
        refused = [one for one in done if one.was_refused or one.action == Action.SKIP]
        for one in refused:
            messages.error(request, f"{one.key}: {one.says}")
        if len(done) > len(refused):
            messages.success(request, f"Recovered: {len(done) - len(refused)}. What became of each stands below.")
        if not done and keys >= owners.keys():
            messages.warning(request, "Nothing was ticked.")

    def _wizard(self, request: HttpRequest, *, owners: dict[str, str]) -> HttpResponse:
        survey = RecoverySurvey.objects.order_by("-requested_at").first()
        proposals: list[Proposal] = []
        if survey and survey.taken_at:
            try:
                proposals = proposals_of(scope=self.scope(request), survey=survey, owners=owners)
            except BridgeError as error:
                messages.error(request, error.message)
        accounts = Client.objects.filter(retired_at=None).order_by("account_identifier")
        context = self.admin_site.each_context(request) | {
            "title": "Recover lost definitions",
            "opts": self.opts,
            "survey": survey,
            "is_waiting": survey is not None and survey.taken_at is None and not survey.error,
            "looked": ago(survey.taken_at) if survey else "",
            "rows": [_row(one, owners) for one in sorted(proposals, key=_order) if one.action != Action.SKIP],
            "left": [_row(one, owners) for one in proposals if one.action == Action.SKIP and not one.is_managed],
            "managed": sum(one.is_managed for one in proposals),
            "report": [line | {"origins": _origins(line["from"])} for line in survey.report] if survey else [],
            "accounts": list(accounts.values_list("account_identifier", flat=True)),
            "unmanaged": UnmanagedInstance.objects.count(),
            "may": request.user.has_perm("bots.add_bot"),
        }
        return TemplateResponse(request, "admin/bridge/recover.html", context)


def _order(proposal: Proposal) -> tuple[str, str]:
    return _text(proposal, "client"), _text(proposal, "name")


def _text(proposal: Proposal, name: str) -> str:
    return str(proposal.value(name)) if name in proposal.fields else ""


def _row(proposal: Proposal, owners: dict[str, str]) -> dict[str, Any]:
    where = " on ".join(filter(None, (_text(proposal, "pair"), _text(proposal, "connector"))))
    return {
        "proposal": proposal,
        "badge": badge(proposal.action, COLORS[proposal.action]),
        "name": _text(proposal, "name") or proposal.key,
        "about": ", ".join(filter(None, (where, _text(proposal, "client")))),
        "fields": [(name, _shown(one.value), one.source) for name, one in proposal.fields.items()],
        "wants_owner": proposal.needs_owner or proposal.key in owners,
        "owner": owners.get(proposal.key, ""),
    }


def _shown(value: Any) -> str:
    """A config as a person reads it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_shown(one)}" for name, one in value.items()) or "as the template has it"
    return value if isinstance(value, str) else exact_json(value)


def _origins(sources: Mapping[str, str]) -> str:
    """Which fields came from where, each place once."""
    fields: dict[str, list[str]] = {}
    for name, source in sources.items():
        fields.setdefault(source, []).append(name)
    return "; ".join(f"{', '.join(names)}: {source}" for source, names in fields.items())
