"""One aiohttp process on loopback: faults first, then the system that the path names."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web

from sandbox import state
from sandbox.control import routes as control
from sandbox.exchange import serve as exchange
from sandbox.faults import Fault, faulty_reply
from sandbox.http import Call, Reply
from sandbox.hummingbot import api as hummingbot
from sandbox.model import serve as model
from sandbox.world import World

TICK_S = 0.05
SAVE_S = 15.0
Produce = Callable[[], Awaitable[Reply]]


def create_app(world: World, *, login: hummingbot.Login, state_file: Path | None = None) -> web.Application:
    """``/hummingbot``, ``/exchange/<host>``, ``/model`` and ``/control``; the world moves as long as the app runs."""

    async def serve_hummingbot(request: web.Request) -> web.StreamResponse:
        call = await _call(request, "/hummingbot")
        _remember(world, "hummingbot", call)
        if world.hummingbot.is_on("down"):
            return _drop(request)
        too_many = Reply({"detail": "Too Many Requests"}, status=429)
        return await _serve_faulty(
            world, request, call, ["hummingbot"], too_many, lambda: hummingbot.serve(world, login, call)
        )

    async def serve_exchange(request: web.Request) -> web.StreamResponse:
        host = request.match_info["host"]
        call = await _call(request, f"/exchange/{host}", host)
        venue = exchange.venue(call)
        name = venue.exchange if venue else host
        _remember(world, name, call, api_key=venue.identify(call) if venue else "")
        targets = [f"exchange:{name}"] + ([f"key:{venue.identify(call)}"] if venue else [])
        too_many = venue.too_many() if venue else Reply(status=429)
        return await _serve_faulty(world, request, call, targets, too_many, lambda: exchange.serve(world, call))

    async def serve_model(request: web.Request) -> web.StreamResponse:
        call = await _call(request, "/model")
        _remember(world, "model", call)
        too_many = model.too_many(call)
        return await _serve_faulty(
            world, request, call, model.targets(call), too_many, lambda: model.serve(world, call)
        )

    async def serve_control(request: web.Request) -> web.StreamResponse:
        return _response(await control.serve(world, await _call(request, "/control")))

    async def run_world(app: web.Application) -> AsyncIterator[None]:
        ticking = asyncio.create_task(_run(world, state_file))
        yield
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
        if state_file:
            state.save(world, state_file)

    app = web.Application(client_max_size=4 * 1024 * 1024)
    app.router.add_route("*", "/hummingbot{tail:/.*}", serve_hummingbot)
    app.router.add_route("*", "/exchange/{host}{tail:/.*}", serve_exchange)
    app.router.add_route("*", "/model{tail:/.*}", serve_model)
    app.router.add_route("*", "/control{tail:/.*}", serve_control)
    app.cleanup_ctx.append(run_world)
    return app


async def _run(world: World, state_file: Path | None) -> None:
    """Saves every few seconds, and at once when what must outlive a kill has changed."""
    saved_s, saved_shape = time.monotonic(), state.shape(world)
    while True:
        try:
            world.tick()
            if state_file and (time.monotonic() - saved_s > SAVE_S or state.shape(world) != saved_shape):
                saved_s, saved_shape = time.monotonic(), state.shape(world)
                state.save(world, state_file)
        except Exception:  # the outermost loop: one bot's odd config or a full disk must not stop the others
            logging.getLogger(__name__).exception("The world stumbled, and goes on.")
            await asyncio.sleep(1)
        await asyncio.sleep(TICK_S)


async def _call(request: web.Request, prefix: str, host: str = "") -> Call:
    return Call(
        method=request.method,
        target=request.raw_path.removeprefix(prefix),
        query=dict(request.query),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=await request.read(),
        host=host,
    )


def _remember(world: World, system: str, call: Call, api_key: str = "") -> None:
    """Without query and body: they can hold signatures and secrets."""
    row = {"system": system, "method": call.method, "path": call.path, "api_key": api_key}
    world.calls.append(row | {"at_ms": world.clock.wall_ms()})


async def _serve_faulty(
    world: World, request: web.Request, call: Call, targets: list[str], too_many: Reply, produce: Produce
) -> web.StreamResponse:
    struck = world.faults.hit(targets, call)
    for fault in struck:
        if fault.name == "latency":
            await asyncio.sleep(fault.number("seconds", 5))
    for fault in struck:
        if fault.name == "drop":
            return _drop(request)
        if (instead := faulty_reply(fault, too_many=too_many)) is not None:
            return _response(instead)
    reply = await produce()
    for fault in struck:
        if fault.name in ("lost_answer", "cut", "cut_connection", "drip"):
            return await _spoil(request, reply, fault)
    return _response(reply)


async def _spoil(request: web.Request, reply: Reply, fault: Fault) -> web.StreamResponse:
    """The request was carried out; its answer is what breaks."""
    if fault.name == "lost_answer":
        return _drop(request)
    whole = reply.encoded()
    half = whole[: len(whole) // 2]
    if fault.name == "cut":
        return web.Response(status=reply.status, body=half, headers=_headers(reply))
    response = web.StreamResponse(status=reply.status, headers=_headers(reply) | {"Content-Length": str(len(whole))})
    await response.prepare(request)
    if fault.name == "drip":
        return await _drip(response, whole, seconds=fault.number("seconds", 1))
    await response.write(half)
    return _drop(request)


async def _drip(response: web.StreamResponse, whole: bytes, *, seconds: float) -> web.StreamResponse:
    """A few bytes at a time, until they are all gone or nobody listens any more."""
    with contextlib.suppress(ConnectionError):
        for start in range(0, len(whole), 8):
            await response.write(whole[start : start + 8])
            await asyncio.sleep(seconds)
    return response


def _drop(request: web.Request) -> web.StreamResponse:
    """Close the connection under the caller's feet."""
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=502)


def _response(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.encoded(), headers=_headers(reply))


def _headers(reply: Reply) -> dict[str, str]:
    return {"Content-Type": reply.content_type} | reply.headers
