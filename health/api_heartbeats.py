"""The HTTP surface of heartbeats: pings, which need only their address, a bot's plan, and its history."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from bots.selectors import resolve_bot
from clients.api import LIST_PARAMETERS, read_body
from clients.authentication import ping_scope
from clients.views import ScopedView
from ground.errors import NotFound
from ground.http import MAX_BODY_BYTES, TooLarge, json_response
from ground.keyset import Page
from health import serializers_heartbeats as shapes
from health.heartbeat_selectors import heartbeat_history, heartbeat_plan
from health.rules.heartbeats import read_plan
from health.services import receive_ping
from health.services.heartbeat_plans import remove_heartbeat_plan, set_heartbeat_plan

RUN_ID = OpenApiParameter("rid", str, description="Names the run, so that its end finds its start: up to 64 letters.")
SIGNAL = OpenApiParameter(
    "signal", str, OpenApiParameter.PATH,
    description="`start`: a run began. `fail`, or an exit code other than 0: an error. 0: it ended well. `log`: only words.",
)  # fmt: skip
WORDS = {"text/plain": OpenApiTypes.STR}
TEXT = {(200, "text/plain"): str}


class PingView(ScopedView):
    """The key in the address is the whole proof, so nobody is looked up before it."""

    authentication_classes = ()
    permission_classes = ()
    parser_classes = ()
    http_method_names = ["get", "post", "head", "options"]

    def check_permissions(self, request: Request) -> None:
        return

    @extend_schema(operation_id="ping", auth=[], parameters=[RUN_ID], responses=TEXT)
    def get(self, request: Request, key: str) -> HttpResponse:
        """Say that a bot runs, with nothing but its ping key."""
        return self.answer(request, key, "")

    @extend_schema(operation_id="post_ping", auth=[], parameters=[RUN_ID], request=WORDS, responses=TEXT)
    def post(self, request: Request, key: str) -> HttpResponse:
        """The same as GET; the body is kept, up to 10 kB."""
        return self.answer(request, key, "")

    def answer(self, request: Request, key: str, signal: str) -> HttpResponse:
        scope = ping_scope(key)
        if scope is None:
            raise NotFound("There is no such ping key, or its client is suspended.")
        ping = receive_ping.read_ping(signal=signal, run_id=request.query_params.get("rid", ""), body=_body(request))
        receive_ping.receive_ping(scope=scope, ping=ping, now=timezone.now())
        return HttpResponse("OK", content_type="text/plain", headers={"Cache-Control": "no-store"})


class PingSignalView(PingView):
    @extend_schema(operation_id="ping_signal", auth=[], parameters=[RUN_ID, SIGNAL], responses=TEXT)
    def get(self, request: Request, key: str, signal: str) -> HttpResponse:  # type: ignore[override]
        """Say how a bot or a run of it is, with nothing but its ping key."""
        return self.answer(request, key, signal)

    @extend_schema(operation_id="post_ping_signal", auth=[], parameters=[RUN_ID, SIGNAL], request=WORDS, responses=TEXT)
    def post(self, request: Request, key: str, signal: str) -> HttpResponse:  # type: ignore[override]
        """The same as GET; the body is kept, up to 10 kB."""
        return self.answer(request, key, signal)


class HeartbeatPlanView(ScopedView):
    @extend_schema(operation_id="get_heartbeat_plan", responses=shapes.HeartbeatPlanShown)
    def get(self, request: Request, bot: str) -> HttpResponse:
        """When the bot should be heard of, by its own plan or the common time-out, and whether it is late."""
        with self.scope.transaction():
            return json_response(heartbeat_plan(self.scope, resolve_bot(self.scope, bot), now=timezone.now()))

    @extend_schema(
        operation_id="set_heartbeat_plan", request=shapes.HeartbeatPlanInput, responses=shapes.HeartbeatPlanShown
    )
    def put(self, request: Request, bot: str) -> HttpResponse:
        """Give the bot a plan of its own, an interval or a cron expression in a time zone. Replaces the one it had."""
        now = timezone.now()
        with self.scope.transaction():
            bot_id = resolve_bot(self.scope, bot)
            body = read_body(shapes.HeartbeatPlanInput, request)
            plan = read_plan(
                period_s=body.get("period_s"),
                cron=body.get("cron", ""),
                timezone=body.get("timezone", "UTC"),
                grace_s=body.get("grace_s"),
            )
            set_heartbeat_plan(scope=self.scope, bot_id=bot_id, plan=plan, now=now)
            return json_response(heartbeat_plan(self.scope, bot_id, now=now))

    @extend_schema(operation_id="delete_heartbeat_plan", responses={200: shapes.HeartbeatPlanDeletedShown})
    def delete(self, request: Request, bot: str) -> HttpResponse:
        """Let the common time-out hold again; 404 where the bot has no plan of its own."""
        with self.scope.transaction():
            bot_id = resolve_bot(self.scope, bot)
            remove_heartbeat_plan(scope=self.scope, bot_id=bot_id, now=timezone.now())
        return json_response({"status": "deleted", "bot_id": bot_id})


class HeartbeatsView(ScopedView):
    @extend_schema(operation_id="list_heartbeats", responses=shapes.HeartbeatsShown, parameters=LIST_PARAMETERS)
    def get(self, request: Request, bot: str) -> HttpResponse:
        """Every heartbeat that is still kept, newest first."""
        page = Page.read(request.query_params, key_length=2)
        with self.scope.transaction():
            return json_response(heartbeat_history(self.scope, resolve_bot(self.scope, bot), page))


def _body(request: Request) -> bytes:
    """What came along, all of it read so that the caller can hear the answer. Raises TooLarge."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > MAX_BODY_BYTES:
        raise TooLarge("The body is larger than 1 MB.")
    return request._request.read(MAX_BODY_BYTES) if int(length) else b""
