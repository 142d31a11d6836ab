"""A participant's replays in shadow: choosing one with its cost told first; and its prompts held against each other."""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import action

from arena.admin.shadow_forms import OtherModelForm, OtherRulesForm, TurnsForm
from arena.admin.shown import dollars, percent_gain
from arena.models import Participant
from arena.selectors.prompt_versions import PromptFigures, prompt_figures
from arena.services.want_shadow import Estimate, Wanted, estimate_shadow, request_shadow
from clients.admin_base import NOTHING, BridgeAdmin, ago
from ground.errors import BridgeError, InvalidInput
from ledger.admin.shown import figure, linked, percent

FORMS: tuple[tuple[str, type[TurnsForm]], ...] = (("model", OtherModelForm), ("rules", OtherRulesForm))


class ShadowPage(BridgeAdmin):
    """The buttons "Replay in shadow" and "Prompts compared", and the pages behind them."""

    @action(description="Replay in shadow", icon="compare")
    def replay(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Forms on GET; on POST what it would cost, and once that was seen, the replay."""
        row = self._participant(request, object_id)
        if row is None:
            return HttpResponseRedirect(reverse("admin:arena_participant_changelist"))
        made = {name: kind(participant=row, prefix=name) for name, kind in FORMS}
        if request.method != "POST":
            return self._replay_page(request, row, made)
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        chosen = request.POST.get("kind", "")
        kind = dict(FORMS).get(chosen)
        if kind is None:
            return self._replay_page(request, row, made)
        form = made[chosen] = kind(request.POST, participant=row, prefix=chosen)
        if not form.is_valid():
            return self._replay_page(request, row, made)
        return self._wanted(request, row, made, form)

    def _wanted(
        self, request: HttpRequest, row: Participant, made: dict[str, TurnsForm], form: TurnsForm
    ) -> HttpResponse:
        scope = self.scope(request)
        try:
            wanted = form.wanted(scope)
            told = estimate_shadow(scope=scope, bot_id=row.bot_id, wanted=wanted)
            seen = _seal(wanted, told)
            if request.POST.get("seen") == seen:
                run_id = request_shadow(scope=scope, bot_id=row.bot_id, wanted=wanted, now=timezone.now())
                messages.success(request, "The replay waits for a worker; this page tells how far it is.")
                return HttpResponseRedirect(reverse("admin:arena_shadowrun_change", args=[run_id]))
        except InvalidInput as error:
            form.refuse(error)
            return self._replay_page(request, row, made)
        except BridgeError as error:
            messages.error(request, error.message)
            return self._replay_page(request, row, made)
        return self._replay_page(request, row, made, told=_told(wanted, told) | {"seen": seen, "kind": form.prefix})

    def _replay_page(
        self, request: HttpRequest, row: Participant, made: dict[str, TurnsForm], told: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": "Replay in shadow", "opts": self.opts, "owner": row.bot.name, "back": self.page(row.bot_id),
            "model": made["model"], "rules": made["rules"], "told": told, "turns": row.turns,
            "may": self.has_change_permission(request, row),
            "runs": f"{reverse('admin:arena_shadowrun_changelist')}?q={row.bot_id}",
        }  # fmt: skip
        return TemplateResponse(request, "admin/bridge/arena_replay.html", context)

    @action(description="Prompts compared", icon="leaderboard")
    def prompt_results(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self._participant(request, object_id)
        if row is None:
            return HttpResponseRedirect(reverse("admin:arena_participant_changelist"))
        found = prompt_figures(scope=self.scope(request), bot_id=row.bot_id)
        context = self.admin_site.each_context(request) | {
            "title": "Prompts compared", "opts": self.opts, "owner": row.bot.name, "back": self.page(row.bot_id),
            "rows": [_shown(one) for one in found], "prompt_page": self.page(row.bot_id, "prompt"),
            "replay_page": self.page(row.bot_id, "replay"),
        }  # fmt: skip
        return TemplateResponse(request, "admin/bridge/arena_prompts_compared.html", context)

    def _participant(self, request: HttpRequest, object_id: str) -> Participant | None:
        row = self.get_object(request, object_id)
        return row if row is not None and self.has_view_permission(request, row) else None


def _seal(wanted: Wanted, told: Estimate) -> str:
    """Of exactly this wish at this cost: what was changed after the cost was told is told anew."""
    return hashlib.sha256(f"{wanted} {told}".encode()).hexdigest()


def _told(wanted: Wanted, told: Estimate) -> dict[str, Any]:
    return {
        "turns": told.turns, "ahead": told.ahead, "first": wanted.first_turn, "last": wanted.last_turn,
        "likely": dollars(told.likely_cost), "most": dollars(told.most_cost),
        "is_free": wanted.rules is not None, "is_unknown": told.likely_cost is None,
    }  # fmt: skip


def _shown(one: PromptFigures) -> dict[str, Any]:
    """A version as the table shows it."""
    return {
        "version": linked("arena_promptversion", one.id, f"version {one.number}"), "is_current": one.is_current,
        "note": one.note, "made": ago(one.made_at), "turns": f"{one.turns:,}", "begins": ago(one.begins),
        "ends": ago(one.ends), "executed": percent(one.executed_ratio), "refused": one.refused,
        "unreadable": one.unreadable, "decisions": f"{one.longs} / {one.shorts} / {one.closes} / {one.holds}",
        "closed": one.closed_trades, "open": one.open_positions, "wins": percent(one.win_ratio),
        "pnl": figure(one.realized_pnl, gain=True), "gain": percent_gain(one.return_ratio), "cost": dollars(one.cost),
        "tokens": f"{one.input_tokens:,} / {one.output_tokens or 0:,}" if one.input_tokens is not None else NOTHING,
    }  # fmt: skip
