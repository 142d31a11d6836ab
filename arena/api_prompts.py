"""A bot's prompt versions and how each did, over HTTP."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from arena.api import ParticipantView
from arena.selectors.prompt_versions import prompt_figures, prompt_json
from ground.http import json_response


class PromptTurnsShown(serializers.Serializer[Any]):
    all = serializers.IntegerField()
    done = serializers.IntegerField(help_text="That came to a decision.")
    executed = serializers.IntegerField(help_text="Of them, those in which all that was asked for was done or held.")
    refused = serializers.IntegerField(help_text="Of them, those in which something was not.")
    unreadable = serializers.IntegerField(help_text="Answers that nobody could read.")
    failed = serializers.IntegerField(help_text="Without an answer.")
    skipped = serializers.IntegerField(help_text="Nobody was asked: stale prices, a spent budget, a stop.")


class PromptDecisionsShown(serializers.Serializer[Any]):
    LONG = serializers.IntegerField()
    SHORT = serializers.IntegerField()
    CLOSE = serializers.IntegerField()
    HOLD = serializers.IntegerField()


def _amount(help_text: str) -> serializers.CharField:
    return serializers.CharField(allow_null=True, help_text=help_text)


class PromptVersionShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    number = serializers.IntegerField()
    text = serializers.CharField()
    made_at = serializers.DateTimeField()
    made_by = serializers.CharField()
    note = serializers.CharField()
    is_current = serializers.BooleanField()
    first_turn_at = serializers.DateTimeField(allow_null=True)
    last_turn_at = serializers.DateTimeField(allow_null=True)
    turns = PromptTurnsShown()
    decisions = PromptDecisionsShown()
    executed_ratio = _amount("Of the turns that came to a decision; null: there are none.")
    closed_trades = serializers.IntegerField(help_text="Positions that its turns opened and that are closed.")
    open_positions = serializers.IntegerField(help_text="Positions that its turns opened and that are open.")
    win_ratio = _amount("Of closed_trades, those that gained after fees; null: there are none.")
    realized_pnl = _amount("Of closed_trades, after fees; null: there are none.")
    start_equity = _amount("When its first turn began.")
    end_equity = _amount("When the next version's first turn began, or now.")
    return_ratio = _amount("Of the bot's equity while this version was in force, whoever had opened what it held.")
    cost_usd = _amount("Of its turns' questions to models; null: not known, or nobody was asked.")
    input_tokens = serializers.IntegerField(allow_null=True)
    output_tokens = serializers.IntegerField(allow_null=True)


class PromptVersionsShown(serializers.Serializer[Any]):
    versions = PromptVersionShown(many=True)


class PromptVersionsView(ParticipantView):
    http_method_names = ["get", "options"]

    @extend_schema(operation_id="list_prompt_versions", responses=PromptVersionsShown)
    def get(self, request: Request, bot: str) -> HttpResponse:
        """Every version of a bot's prompt, the newest first, with what it did while it was in force.

        A turn counts for the version that it was opened with. A closed position counts for the version that opened it,
        whoever or whatever closed it.
        """
        bot_id = self.find(bot)
        found = prompt_figures(scope=self.scope, bot_id=bot_id)
        return json_response({"versions": [prompt_json(one) for one in found]})
