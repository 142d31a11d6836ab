"""The Hummingbot API as one callable: find the route, ask for the password, let the router answer."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.http import Call, Reply, Routes, answer, plain
from sandbox.hummingbot import (
    accounts,
    archived,
    bot_runs,
    connector_routes,
    controllers,
    deploy,
    docker,
    orchestration,
    scripts,
)
from sandbox.hummingbot.engine import Hummingbot
from sandbox.hummingbot.validation import Invalid, PlainCrash, detail

if TYPE_CHECKING:
    from sandbox.world import World


def root(hummingbot: Hummingbot, call: Call) -> Reply:
    return Reply({"name": "Hummingbot API", "version": "1.0.1", "status": "running"})


ROUTES = Routes()
ROUTES.on("GET", "/")(root)
for _router in (bot_runs, orchestration, deploy, docker, accounts, connector_routes, controllers, scripts, archived):
    ROUTES.all += _router.ROUTES.all


@dataclass(frozen=True)
class Login:
    username: str = "admin"
    password: str = "admin"  # noqa: S105 - a local toy's default, overridable

    def refusal(self, header: str) -> Reply | None:
        """The 401, or None for the right name and password."""
        scheme, _, encoded = header.partition(" ")
        if scheme.lower() != "basic":
            return _unauthorized("Not authenticated")
        try:
            given = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return _unauthorized("Invalid authentication credentials")
        right = hmac.compare_digest(given.encode(), f"{self.username}:{self.password}".encode())
        return None if right else _unauthorized("Incorrect username or password")


def _unauthorized(text: str) -> Reply:
    return Reply({"detail": text}, status=401, headers={"WWW-Authenticate": "Basic"})


async def serve(world: World, login: Login, call: Call) -> Reply:
    """One request to one reply, faults aside."""
    # The original's framework decodes a path before it splits it, so an encoded slash never reaches a name.
    route, allowed = (None, []) if "%2f" in call.target.partition("?")[0].lower() else ROUTES.find(call)
    if route is None:
        if allowed:
            return Reply({"detail": "Method Not Allowed"}, status=405, headers={"Allow": ", ".join(allowed)})
        return detail(404, "Not Found")
    if route.template != "/" and (refusal := login.refusal(call.headers.get("authorization", ""))):
        return refusal
    try:
        return await answer(route.handler, world.hummingbot, call)
    except Invalid as invalid:
        return invalid.reply
    except PlainCrash:
        return plain("Internal Server Error", 500)
