"""A participant's prompt: writing it, every version with what changed, and going back to one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import action

from arena.admin.forms import PLACEHOLDERS
from arena.models import Participant, PromptVersion
from arena.rules.prompt import unknown_placeholders
from arena.services.participants import save_prompt
from clients.admin_base import BridgeAdmin, ago, line_difference
from ground.errors import BridgeError

MOST_VERSIONS = 100


class PromptPage(BridgeAdmin):
    """The button "Prompt" and the page behind it."""

    @action(description="Prompt", icon="edit_note")
    def prompt(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None or not self.has_view_permission(request, row):
            return HttpResponseRedirect(reverse("admin:arena_participant_changelist"))
        if request.method == "POST":
            return self._save_prompt(request, row)
        return self._prompt_page(request, row, text=row.prompt.text if row.prompt else "")

    def _save_prompt(self, request: HttpRequest, row: Participant) -> HttpResponse:
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        text, note = request.POST.get("text", "").replace("\r\n", "\n"), request.POST.get("note", "")
        number = request.POST.get("number", "")
        try:
            if number:
                text, note = _text_of(row, number), f"as version {number}"
            saved = save_prompt(scope=self.scope(request), bot_id=row.bot_id, text=text, note=note, now=timezone.now())
        except BridgeError as error:
            messages.error(request, error.message)
            return self._prompt_page(request, row, text=text)
        messages.success(request, f"Version {saved.number} is in force: the next turn goes by it.")
        tell_unknown(request, text)
        return HttpResponseRedirect(self.page(row.bot_id, "prompt"))

    def _prompt_page(self, request: HttpRequest, row: Participant, *, text: str) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": "Prompt", "opts": self.opts, "owner": row.bot.name, "back": self.page(row.bot_id), "text": text,
            "versions": shown_prompts(row), "may": self.has_change_permission(request, row), "placeholders": PLACEHOLDERS,
            "heading": "Prompt of", "current": "in force", "nothing": "The same text.", "back_to": "Back to the bot",
            "intro": "Every version, newest first, with what changed from the one before: + came, - went. Each turn names "
            "the one it was played with.",
            "going_back": "Its text becomes a new version, and the next turn goes by it.",
        }  # fmt: skip
        return TemplateResponse(request, "admin/bridge/arena_prompt.html", context)


def shown_prompts(row: Participant) -> list[dict[str, Any]]:
    """Its newest versions, the newest first, with what changed in each."""
    rows = list(PromptVersion.objects.filter(bot=row.bot_id).order_by("-number")[: MOST_VERSIONS + 1])[::-1]
    shown = [
        {"row": version, "is_current": version.pk == row.prompt_id, "runs": False, "made": ago(version.made_at),
         "lines": line_difference(earlier.text.splitlines() if earlier else [], version.text.splitlines())}
        for earlier, version in zip([None, *rows], rows, strict=False)
    ]  # fmt: skip
    return shown[-MOST_VERSIONS:][::-1]


def tell_unknown(request: HttpRequest, text: str) -> None:
    """Warn of placeholders that nothing fills in."""
    unknown = unknown_placeholders(text)
    if unknown:
        names = ", ".join("{{" + name + "}}" for name in unknown)
        messages.warning(request, f"Nothing fills in {names}: the model will read it as it stands there.")


def _text_of(row: Participant, number: str) -> str:
    """The text of one of its versions; nothing where it has none of that number."""
    wanted = int(number) if number.isdecimal() and len(number) < 9 else 0
    found = PromptVersion.objects.filter(bot=row.bot_id, number=wanted).values_list("text", flat=True).first()
    return found or ""
