"""API views that need several apps at once."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from bots.api import BotView
from bots.selectors import resolve_bot
from bots.serializers import BotDeletedShown
from bots.services.find_connector import link_connectors
from bridge_project.use_cases.delete import DELETING, delete_bot_or_stop_first, delete_client
from bridge_project.use_cases.timeline import bot_timeline
from clients.api import ClientView, ConnectorsView
from clients.selectors import resolve_client
from clients.serializers import ClientShown, ConnectorInput, DeletedShown
from clients.views import ScopedView
from ground.errors import InvalidInput
from ground.http import dump, json_response
from ground.keyset import Page

FORCE = OpenApiParameter(
    "force", bool, description="Operators only: stop what runs, then delete; answers 202 `deleting`."
)


class DeletableClientView(ClientView):
    operators_only = ("DELETE",)

    @extend_schema(operation_id="delete_client", parameters=[FORCE], responses={200: DeletedShown, 202: DeletedShown})
    def delete(self, request: Request, client: str) -> HttpResponse:
        """Remove a client with its wallets, connectors and bots; 409 while one of its bots runs."""
        client_id = resolve_client(self.scope, client)
        word = delete_client(scope=self.scope, client_id=client_id, force=_force(request), now=timezone.now())
        return json_response({"status": word, "client_id": client_id}, status=202 if word == DELETING else 200)


class LinkingConnectorsView(ConnectorsView):
    @extend_schema(operation_id="add_connector", request=ConnectorInput, responses=ClientShown)
    def put(self, request: Request, client: str) -> HttpResponse:
        """Add a connector, or give the one of this name and label new credentials. Answers the whole client."""
        response = super().put(request, client)
        link_connectors(scope=self.scope)  # bots that were made before their connector find it now
        return response


class DeletableBotView(BotView):
    @extend_schema(
        operation_id="delete_bot", parameters=[FORCE], responses={200: BotDeletedShown, 202: BotDeletedShown}
    )
    def delete(self, request: Request, bot: str) -> HttpResponse:
        """Remove a bot; 409 while it runs."""
        bot_id = resolve_bot(self.scope, bot)
        word = delete_bot_or_stop_first(scope=self.scope, bot_id=bot_id, force=_force(request), now=timezone.now())
        return json_response({"status": word, "bot_id": bot_id}, status=202 if word == DELETING else 200)


class BotTimelineView(ScopedView):
    @extend_schema(
        operation_id="get_bot_timeline",
        responses={200: dict},
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor", str)],
    )
    def get(self, request: Request, bot: str) -> HttpResponse:
        """Everything that happened to the bot, newest first."""
        page = Page.read(request.query_params, key_length=2)
        with self.scope.transaction():
            bot_id = resolve_bot(self.scope, bot)
            found = bot_timeline(scope=self.scope, bot_id=bot_id, page=page)
        body = b'{"bot_id":%b,"timeline":%b,"next":%b}' % (dump(bot_id), found["rows"].encode(), dump(found["next"]))
        return json_response(body)


def _force(request: Request) -> bool:
    raw = request.query_params.get("force", "").lower()
    if raw not in ("", "true", "false", "1", "0"):
        raise InvalidInput("force must be true or false.", fields={"force": ["true or false"]})
    return raw in ("true", "1")
