"""The HTTP surface of bots."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from bots import selectors
from bots import serializers as shapes
from bots.services import manage_bots
from bots.services.define_bot import define_bot
from bots.services.start_bot import start_bot
from bots.services.stop_bot import stop_bot
from clients.api import LIST_PARAMETERS, MOST_UNASKED, list_body, read_body, text
from clients.authentication import ReadAlong
from clients.idempotency import idempotent, idempotent_start
from clients.views import ScopedView
from ground.errors import InvalidInput
from ground.http import json_response
from ground.keyset import Page

FILTERS = ("account", "status", "health", "search", "kind")
CLEARABLE = ("stale_minutes", "stopped_minutes", "connector_id")


class BotsView(ScopedView):
    """What every dashboard polls: with an API key, the whole list is one statement that also looks up the key."""

    def read_along(self, request: Request) -> ReadAlong | None:
        if "cursor" in request.query_params or "offset" in request.query_params:
            return None
        try:
            return ReadAlong(*selectors.whole_list_query(_page_of(request), **_filters_of(request)))
        except InvalidInput:
            return None  # ``get`` refuses it, after the key has been looked at

    @extend_schema(
        operation_id="list_bots",
        responses=shapes.BotsShown,
        parameters=[*LIST_PARAMETERS, *(OpenApiParameter(name, str) for name in FILTERS)],
    )
    def get(self, request: Request) -> HttpResponse:
        """The bots in the caller's scope, oldest first. Never asks Hummingbot: it shows what was last observed, with its age."""
        page = _page_of(request)
        found = selectors.whole_list(self.along.row, page) if self.along and self.along.row else None
        found = found or selectors.bots_page(self.scope, page, **_filters_of(request))
        return json_response(list_body("bots", found, page))


class CreateBotView(ScopedView):
    @extend_schema(operation_id="create_bot", request=shapes.BotInput, responses={201: shapes.BotShown})
    @idempotent
    def post(self, request: Request) -> HttpResponse:
        """Define a bot; it is not started."""
        body = read_body(shapes.BotInput, request)
        return json_response(define_bot(scope=self.scope, **body).json, status=201)


class BotView(ScopedView):
    """One bot. Deleting one with force stops it first, so that method is composed in bridge_project."""

    @extend_schema(operation_id="get_bot", responses=shapes.BotShown)
    def get(self, request: Request, bot: str) -> HttpResponse:
        with self.scope.transaction():
            return self.shown(selectors.resolve_bot(self.scope, bot))

    @extend_schema(operation_id="update_bot", request=shapes.BotChange, responses=shapes.BotShown)
    def put(self, request: Request, bot: str) -> HttpResponse:
        """Change what the body names; what it does not name stays. null clears a threshold of this bot's own."""
        bot_id = selectors.resolve_bot(self.scope, bot)
        changes = read_body(shapes.BotChange, request)
        given = cast(dict[str, Any], request.data)
        changes |= {name: None for name in CLEARABLE if name in given and given[name] is None}
        with self.scope.transaction():
            manage_bots.update_bot(scope=self.scope, bot_id=bot_id, changes=dict(changes))
            return self.shown(bot_id, pair_shown=changes.get("pair"))

    @extend_schema(operation_id="change_bot", request=shapes.BotChange, responses=shapes.BotShown)
    def patch(self, request: Request, bot: str) -> HttpResponse:
        """The same as PUT."""
        return self.put(request, bot)

    def shown(self, bot_id: UUID, *, pair_shown: str | None = None, status: int = 200) -> HttpResponse:
        return json_response(selectors.bot_json(self.scope, bot_id, pair_shown=pair_shown), status=status)


class CloneBotView(BotView):
    http_method_names = ["post", "options"]

    @extend_schema(operation_id="clone_bot", request=shapes.CloneInput, responses={201: shapes.BotShown})
    @idempotent
    def post(self, request: Request, bot: str) -> HttpResponse:
        """A new bot with the same definition, never started."""
        with self.scope.transaction():
            bot_id = selectors.resolve_bot(self.scope, bot)
            body = read_body(shapes.CloneInput, request)
            return self.shown(manage_bots.clone_bot(scope=self.scope, bot_id=bot_id, **body), status=201)


class StartBotView(ScopedView):
    @extend_schema(operation_id="start_bot", request=None, responses=shapes.StartedShown)
    @idempotent_start
    def post(self, request: Request, bot: str) -> HttpResponse:
        """Want the bot running. The wish is stored first; what is not confirmed within some seconds is `starting`."""
        bot_id = selectors.resolve_bot(self.scope, bot)
        return _told(bot_id, start_bot(scope=self.scope, bot_id=bot_id, now=timezone.now()))


class StopBotView(ScopedView):
    @extend_schema(operation_id="stop_bot", request=None, responses=shapes.StoppedShown)
    @idempotent_start
    def post(self, request: Request, bot: str) -> HttpResponse:
        """Want the bot stopped. The wish is stored first; what is not confirmed within some seconds is `stopping`."""
        bot_id = selectors.resolve_bot(self.scope, bot)
        return _told(bot_id, stop_bot(scope=self.scope, bot_id=bot_id, now=timezone.now()))


def _page_of(request: Request) -> Page:
    return Page.read(request.query_params, key_length=2, default=MOST_UNASKED)


def _filters_of(request: Request) -> dict[str, str]:
    return {name: text(request, name) for name in FILTERS}


def _told(bot_id: UUID, word: str) -> HttpResponse:
    body: dict[str, Any] = {"status": word, "bot_id": bot_id}
    return json_response(body)
