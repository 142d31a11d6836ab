"""One request at ccxt's own host to one reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.exchange import binance, gate, kucoin, okx
from sandbox.exchange.venue import Desk, Refused, Venue
from sandbox.http import Call, Reply, answer

if TYPE_CHECKING:
    from sandbox.world import World

VENUES: dict[str, Venue] = kucoin.VENUES | binance.VENUES | gate.VENUES | okx.VENUES


def venue(call: Call) -> Venue | None:
    return VENUES.get(call.host)


async def serve(world: World, call: Call) -> Reply:
    """An address that is not played answers 404 in HTML, as a stranger's web server would."""
    if (found := venue(call)) is None:
        return Reply(status=404, text="<html><body>404 Not Found</body></html>", content_type="text/html")
    route, _ = found.routes.find(call)
    if route is None:
        return Reply({"code": "404", "msg": "Not Found"}, status=404)
    try:
        return await answer(route.handler, Desk(world, found.exchange), call)
    except Refused as refused:
        return refused.reply
