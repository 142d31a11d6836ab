"""Watching the arena over HTTP: its state, and the way to the stream, which another process serves."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request

from arena import serializers_watching as shapes
from arena.selectors.state import MOST_BOTS, state_json
from clients.api import text
from clients.services.tickets import GOOD_FOR, issue_ticket
from clients.views import ScopedView
from ground.errors import NotFound
from ground.http import json_response
from ground.keyset import read_limit

NO_STREAM = (
    "No stream runs beside this server (STREAM_PUBLIC_URL is not set): ask /api/state?since=<cursor> again and again."
)


class StateView(ScopedView):
    @extend_schema(
        operation_id="get_arena_state",
        responses=shapes.StateShown,
        parameters=[
            OpenApiParameter(
                "since", str, description="`cursor` of an answer before, or an event's id: what changed since."
            ),
            OpenApiParameter("limit", int, description=f"Bots in one answer: 1..{MOST_BOTS}, by default {MOST_BOTS}."),
            OpenApiParameter("after", str, description="`next` of the page before; keep that page's since."),
        ],
    )
    def get(self, request: Request) -> HttpResponse:
        """Everything that the arena's page shows of the bots in scope. Amounts are numbers and times milliseconds here, as
        that page expects. With `since` only what changed; a cursor from too long ago gets everything, and says so."""
        found = state_json(
            self.scope,
            since=text(request, "since"),
            after=text(request, "after"),
            limit=read_limit(request.query_params.get("limit"), default=MOST_BOTS, most=MOST_BOTS),
            now=timezone.now(),
        )
        return _unstored(json_response(found))


class StreamView(ScopedView):
    @extend_schema(
        operation_id="watch_arena",
        parameters=[
            OpenApiParameter("lastEventId", str, description="Where to go on; so does the header Last-Event-ID.")
        ],
        responses={
            307: OpenApiResponse(description="To the stream, with a ticket: server-sent events."),
            404: OpenApiResponse(description="No stream runs; ask /api/state with since."),
        },
    )
    def get(self, request: Request) -> HttpResponse:
        """Sends a browser's EventSource on to the process that serves the stream, with a ticket in the address."""
        known = request.headers.get("Last-Event-ID") or text(request, "lastEventId")
        answer = HttpResponse(status=307)
        answer["Location"] = _stream_url(issue_ticket(self.scope), **({"lastEventId": known} if known else {}))
        return _unstored(answer)


class TicketView(ScopedView):
    @extend_schema(operation_id="get_stream_ticket", responses=shapes.TicketShown)
    def get(self, request: Request) -> HttpResponse:
        """A ticket for the stream and its WebSocket, good for a minute, for what the caller may see."""
        ticket = issue_ticket(self.scope)
        body = {"ticket": ticket, "url": _stream_url(ticket), "expires_in_s": int(GOOD_FOR.total_seconds())}
        return _unstored(json_response(body))


def _stream_url(ticket: str, **query: Any) -> str:
    """Raises NotFound where no stream runs."""
    if not settings.STREAM_PUBLIC_URL:
        raise NotFound(NO_STREAM, code="no_stream")
    return f"{settings.STREAM_PUBLIC_URL}/api/stream?{urlencode({'ticket': ticket, **query})}"


def _unstored(answer: HttpResponse) -> HttpResponse:
    answer["Cache-Control"] = "no-store"
    return answer
