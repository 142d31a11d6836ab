"""A bot's summary of its own history, over HTTP."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from arena.models import HistorySummary
from arena.rules.statuses import SummaryStatus
from arena.services.want_summary import NotEnoughHistory, ask_for_summary, await_summary
from bots.models import Bot
from bots.selectors import resolve_bot
from clients.idempotency import idempotent_start
from clients.views import ScopedView
from ground.http import json_response
from ground.scope import Scope

SUMMARY_WAIT_S = 20.0


class BotSummaryShown(serializers.Serializer[None]):
    summary = serializers.CharField(help_text="What the bot is shown: a line for each claim that the ledger bears out.")
    summarizedCount = serializers.IntegerField(help_text="Decisions that it stands for.")
    summarizedFrom = serializers.DateTimeField(help_text="Of the first of them.")
    summarizedTo = serializers.DateTimeField(help_text="Of the last of them.")
    generatedAt = serializers.DateTimeField()
    tokenCount = serializers.IntegerField(help_text="Estimated, of the summary.")


class HistorySummaryShown(serializers.Serializer[None]):
    botId = serializers.UUIDField()
    botName = serializers.CharField()
    hasSummary = serializers.BooleanField()
    summary = BotSummaryShown(allow_null=True)


class SummaryForcedShown(serializers.Serializer[None]):
    success = serializers.BooleanField()
    message = serializers.CharField()
    summary = BotSummaryShown(allow_null=True)


class NotEnoughShown(serializers.Serializer[None]):
    error = serializers.CharField(help_text='"Not enough trading history"')
    message = serializers.CharField()
    detail = serializers.CharField()
    code = serializers.CharField(help_text='"not_enough_history"')


class HistorySummaryView(ScopedView):
    @extend_schema(operation_id="get_history_summary", responses=HistorySummaryShown)
    def get(self, request: Request, bot: str) -> HttpResponse:
        """What a bot's model made of its older decisions, as it is shown to the bot now."""
        with self.scope.transaction():
            bot_id = resolve_bot(self.scope, bot)
            name = Bot.objects.values_list("name", flat=True).get(pk=bot_id)
            found = summary_shown(bot_id)
        return json_response({"botId": bot_id, "botName": name, "hasSummary": found is not None, "summary": found})


class ForceSummarizeView(ScopedView):
    http_method_names = ["post", "options"]

    @extend_schema(
        operation_id="force_summarize", request=None, responses={200: SummaryForcedShown, 400: NotEnoughShown}
    )
    @idempotent_start
    def post(self, request: Request, bot: str) -> HttpResponse:
        """Have a bot's decisions summarised now, from five on, by its own provider and within its budget.

        A worker does it; 503 with Retry-After when that takes longer than 20 s, and it goes on. 409 with the reason where
        it came to nothing: the summary before then stays in force.
        """
        bot_id = resolve_bot(self.scope, bot)
        try:
            summary_id = ask_for_summary(scope=self.scope, bot_id=bot_id, now=timezone.now())
        except NotEnoughHistory as error:
            told = {"error": "Not enough trading history", "message": error.message}
            return json_response(told | {"detail": error.message, "code": error.code}, status=400)
        return self._awaited(self.scope, bot_id, summary_id)

    def _awaited(self, scope: Scope, bot_id: UUID, summary_id: UUID) -> HttpResponse:
        await_summary(scope=scope, summary_id=summary_id, until_s=time.monotonic() + SUMMARY_WAIT_S)
        with scope.transaction():
            found = summary_shown(bot_id)
        count = found["summarizedCount"] if found else 0
        return json_response({"success": True, "message": f"{count} decisions are summarised.", "summary": found})


def summary_shown(bot_id: UUID) -> dict[str, Any] | None:
    """The summary in force under the old names; None: there is none. Within the caller's transaction."""
    rows = HistorySummary.objects.filter(bot_id=bot_id, status=SummaryStatus.DONE, cleared_at=None)
    row = rows.order_by("-number").first()
    if row is None:
        return None
    return {
        "summary": row.summary,
        "summarizedCount": row.summarized_count,
        "summarizedFrom": row.summarized_from,
        "summarizedTo": row.summarized_to,
        "generatedAt": row.generated_at,
        "tokenCount": row.token_count,
    }
