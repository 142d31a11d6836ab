"""The base of every API view: it knows the caller's scope and what the caller may do."""

from __future__ import annotations

from typing import Any, cast

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from clients.authentication import ReadAlong
from ground.errors import Forbidden
from ground.http import ExactJSONRenderer
from ground.scope import Scope

READS = ("GET", "HEAD", "OPTIONS")


class ScopedView(APIView):
    """A view for people with credentials.

    Reads need any key but a ping key, writes one that may manage; ``operators_only`` keeps clients out of all methods,
    or of those named. A view that ping keys may call says so.
    """

    operators_only: bool | tuple[str, ...] = False
    allows_ping_keys = False
    along: ReadAlong | None = None

    @property
    def scope(self) -> Scope:
        return cast(Scope, self.request.user)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method == "OPTIONS":
            return  # a browser asks what it may send before it sends a key
        if request.method == "GET":
            self.along = self.read_along(request)
        super().initial(request, *args, **kwargs)

    def read_along(self, request: Request) -> ReadAlong | None:
        """What a hot GET reads in one statement with the look-up of its key. It is kept back until permission is given.

        None where the request is not of the common kind; ``get`` then reads by itself, and refuses what is malformed.
        """
        return None

    def check_permissions(self, request: Request) -> None:
        super().check_permissions(request)
        method = cast(str, request.method)
        scope = self.scope
        if scope.bot_id is not None:
            if not self.allows_ping_keys:
                raise Forbidden("A ping key may only send heartbeats.")
            return
        closed = self.operators_only if isinstance(self.operators_only, bool) else method in self.operators_only
        if closed and not scope.is_operator:
            raise Forbidden("Only operators may do this.")
        if method not in READS and not scope.can_manage:
            raise Forbidden("This key may only read.")

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        return _RENDERER  # every answer is JSON, whatever was asked for

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return HttpResponse(status=204, headers={"Allow": ", ".join(self.allowed_methods)})


_RENDERER = (ExactJSONRenderer(), "application/json")
