"""What an operator does with a participant: each asks in a dialog and goes through the arena's services."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from arena.admin.forms import NameForm, ReasonForm
from arena.admin.participant_panel import positions_of
from arena.admin.prompt_page import PromptPage
from arena.admin.shadow_page import ShadowPage
from arena.admin.shown import IS_HALTED, uuid_of
from arena.models import Halt, Participant
from arena.pages import arena_is_public
from arena.rules.statuses import HaltScope
from arena.services.halts import halt, lift_halt
from arena.services.participants import clone_participant
from arena.services.reset_participant import reset_participant
from arena.services.steer_participant import clear_learning, close_position, force_turn, pause_participant
from bots.services.start_bot import start_bot
from bots.services.stop_bot import stop_bot
from clients.admin_base import BridgeAdmin, confirmation
from ground.errors import BridgeError, Conflict


class ParticipantActions(PromptPage, ShadowPage, BridgeAdmin):
    """The buttons of a participant's page and of its row."""

    actions = ("pause_selected", "go_on_selected")
    actions_row = ("force",)
    actions_detail = (
        "start",
        "go_on",
        "force",
        "pause",
        "prompt",
        {
            "title": "More",
            "items": [
                "replay",
                "prompt_results",
                "positions",
                "halt_it",
                "lift_it",
                "clone",
                "clear_learning",
                "reset",
                "stop",
                "its_bot",
                "public_page",
            ],
        },
    )

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        """Only what does something now; the services refuse what does not all the same."""
        row = Participant.objects.filter(bot_id=uuid_of(str(object_id))).select_related("bot").annotate(h=IS_HALTED)
        one = row.first()
        shown: list[UnfoldAction] = super().get_actions_detail(request, object_id)
        if one is None:
            return shown
        runs = one.bot.desired_status == "running"
        hidden = {"start": runs, "stop": not runs, "force": not runs, "pause": one.is_paused or not runs,
                  "go_on": not one.is_paused, "halt_it": one.h, "lift_it": not one.h,
                  "public_page": not (one.is_public and arena_is_public())}  # fmt: skip
        gone = {f"arena_participant_{name}" for name, is_hidden in hidden.items() if is_hidden}
        return [item for item in shown if item.action_name not in gone]

    @action(
        description="Start", icon="play_arrow", permissions=["change"], variant=ActionVariant.SUCCESS,
        dialog=confirmation("Start this bot?", "It takes its turns from now on.", "Start"),
    )  # fmt: skip
    def start(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            start_bot(scope=self.scope(request), bot_id=uuid_of(object_id), now=timezone.now())
            return "The bot is started: it takes its turns from now on."

        return self.act(request, call)

    @action(
        description="Stop", icon="stop", permissions=["change"],
        dialog=confirmation("Stop this bot?", "It takes no more turns; what it holds is still guarded.", "Stop"),
    )  # fmt: skip
    def stop(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            stop_bot(scope=self.scope(request), bot_id=uuid_of(object_id), now=timezone.now())
            return "The bot is stopped; its stops and liquidations go on working."

        return self.act(request, call)

    @action(
        description="Take a turn now", icon="bolt", permissions=["change"], variant=ActionVariant.PRIMARY,
        dialog=confirmation("Have it take a turn now?", "It comes before its time; the next ones stay as planned.", "Go"),
    )  # fmt: skip
    def force(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            force_turn(scope=self.scope(request), bot_id=uuid_of(object_id), now=timezone.now())
            return "It takes a turn as soon as a worker is free; it is shown here in a moment."

        return self.act(request, call)

    @action(
        description="Pause", icon="pause", permissions=["change"],
        dialog=confirmation("Pause this bot?", "It takes no turns; what it holds is still guarded.", "Pause"),
    )  # fmt: skip
    def pause(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.act(request, lambda: self._pause(request, object_id, paused=True))

    @action(
        description="Go on", icon="resume", permissions=["change"], variant=ActionVariant.SUCCESS,
        dialog=confirmation("Let this bot go on?", "Turns that it missed are not caught up.", "Go on"),
    )  # fmt: skip
    def go_on(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.act(request, lambda: self._pause(request, object_id, paused=False))

    def _pause(self, request: HttpRequest, object_id: Any, *, paused: bool) -> str:
        pause_participant(scope=self.scope(request), bot_id=uuid_of(str(object_id)), paused=paused, now=timezone.now())
        return "The bot is paused." if paused else "The bot goes on."

    @action(
        description="Halt", icon="front_hand", permissions=["change"], variant=ActionVariant.DANGER,
        dialog={
            "title": "Pull this bot's switch?", "form_class": ReasonForm, "form_submit_text": "Halt",
            "description": "No turns and nothing opened until somebody lifts it; what a model is still thinking is not "
            "carried out. Stops and liquidations go on.",
        },
    )  # fmt: skip
    def halt_it(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            halt(
                scope=self.scope(request), halt_scope=HaltScope.BOT, bot_id=uuid_of(object_id),
                reason=form.cleaned_data["reason"], now=timezone.now(),
            )  # fmt: skip
            return "The bot is halted."

        return self.act(request, call)

    @action(
        description="Lift its halt", icon="lock_open", permissions=["change"], variant=ActionVariant.SUCCESS,
        dialog=confirmation("Lift this bot's halt?", "It goes on with its next turn.", "Lift"),
    )  # fmt: skip
    def lift_it(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            found = Halt.objects.filter(scope=HaltScope.BOT, bot_id=uuid_of(object_id), lifted_at=None).first()
            if found is None:
                raise Conflict("A switch for its client or for all holds it: lift that one, under Kill switch.")
            lift_halt(scope=self.scope(request), halt_id=found.id, now=timezone.now())
            return "Its own halt is lifted."

        return self.act(request, call)

    @action(
        description="Clone", icon="content_copy", permissions=["add"],
        dialog={
            "title": "Clone this bot", "form_class": NameForm, "form_submit_text": "Clone",
            "description": "The same prompt, provider and limits with a fresh balance; the clone is not started.",
        },
    )  # fmt: skip
    def clone(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        try:
            made = clone_participant(
                scope=self.scope(request), bot_id=uuid_of(object_id), now=timezone.now(),
                name=form.cleaned_data["name"].strip(),
            )  # fmt: skip
        except BridgeError as error:
            messages.error(request, error.message)
            return HttpResponse(headers={"HX-Redirect": self.page(object_id)})
        messages.success(request, "Cloned. This is the clone; change what differs, then start it.")
        return HttpResponse(headers={"HX-Redirect": self.page(made)})

    @action(
        description="Reset", icon="restart_alt", permissions=["change"], variant=ActionVariant.DANGER,
        dialog=confirmation(
            "Start this bot over?",
            "Its positions are closed now, and everything it did moves to an archive of this client; nothing is erased. "
            "It begins again with its starting balance and the same prompt. No other bot is touched.",
            "Reset",
        ),
    )  # fmt: skip
    def reset(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            reset_participant(scope=self.scope(request), bot_id=uuid_of(object_id), now=timezone.now())
            return "The bot begins anew; what it did until now is archived."

        return self.act(request, call)

    @action(
        description="Clear what it learned", icon="psychology_alt", permissions=["change"],
        dialog=confirmation("Clear its summaries?", "It is shown none of them again; they stay on record.", "Clear"),
    )  # fmt: skip
    def clear_learning(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            count = clear_learning(scope=self.scope(request), bot_id=uuid_of(object_id), now=timezone.now())
            return f"{count} summaries are cleared." if count != 1 else "1 summary is cleared."

        return self.act(request, call)

    @action(description="Close a position", icon="logout", permissions=["change"])
    def positions(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What it holds, each with a button that closes it at the price of now."""
        row = self.get_object(request, object_id)
        if row is None:
            return HttpResponseRedirect(reverse("admin:arena_participant_changelist"))
        if request.method == "POST":
            return self._close(request, row)
        context = self.admin_site.each_context(request) | {
            "title": "Close a position", "opts": self.opts, "bot": row.bot, "rows": positions_of(row.bot_id),
            "back": self.page(object_id),
        }  # fmt: skip
        return TemplateResponse(request, "admin/bridge/arena_positions.html", context)

    def _close(self, request: HttpRequest, row: Participant) -> HttpResponse:
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        try:
            close_position(
                scope=self.scope(request),
                bot_id=row.bot_id,
                position=request.POST.get("position", ""),
                now=timezone.now(),
            )
            messages.success(request, "The position is closed.")
        except BridgeError as error:
            messages.error(request, error.message)
        return HttpResponseRedirect(self.page(row.bot_id, "positions"))

    @action(description="Its page under Bots", icon="smart_toy")
    def its_bot(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:bots_bot_change", args=[object_id]))

    @action(description="Its public page", icon="public")
    def public_page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(f"/arena/{uuid_of(object_id)}/")

    @admin.action(description="Pause", permissions=["change"])
    def pause_selected(self, request: HttpRequest, queryset: QuerySet[Participant]) -> HttpResponse | None:
        return self._pause_all(request, queryset, paused=True)

    @admin.action(description="Let go on", permissions=["change"])
    def go_on_selected(self, request: HttpRequest, queryset: QuerySet[Participant]) -> HttpResponse | None:
        return self._pause_all(request, queryset, paused=False)

    def _pause_all(self, request: HttpRequest, rows: QuerySet[Participant], *, paused: bool) -> HttpResponse | None:
        if not request.POST.get("confirmed"):
            name, title = ("pause_selected", "Pause these bots?") if paused else ("go_on_selected", "Let these go on?")
            says = (
                "They take no turns; what they hold is still guarded." if paused else "Missed turns are not caught up."
            )
            return self.confirm(request, rows, action=name, title=title, says=says)
        self.act_on_all(
            request, list(rows), lambda row: self._pause(request, row.bot_id, paused=paused),
            done="paused" if paused else "told to go on",
        )  # fmt: skip
        return None
