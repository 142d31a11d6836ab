"""One call to a model: key, request, then a scripted reply or the trader's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from sandbox.http import Call, Reply, Routes, answer
from sandbox.model import analyst, anthropic, google, openai, trader
from sandbox.model.models import APIS
from sandbox.model.words import Asked, Refused, Said

if TYPE_CHECKING:
    from sandbox.world import World


class Api(Protocol):
    """What each of the three modules has."""

    key_of: Callable[[Call], str]
    bad_key: Callable[[str], Reply]
    no_model: Callable[[str], Reply]
    too_many: Callable[[], Reply]
    overloaded: Callable[[], Reply]
    no_money: Callable[[], Reply]
    too_long: Callable[[Asked, int], Reply]
    read: Callable[[Call], Asked]
    write: Callable[..., Reply]


MODULES: dict[str, Any] = {"openai": openai, "anthropic": anthropic, "google": google}
ROUTES = Routes()


def api_of(call: Call) -> str:
    """``/openai/v1/...``: the first part of the path; "" for none that is known."""
    name = call.path.lstrip("/").partition("/")[0]
    return name if name in APIS else ""


def targets(call: Call) -> list[str]:
    """What faults may be aimed at: all models, the API, the model's name, the key."""
    api = api_of(call)
    if not api:
        return ["model:all"]
    return ["model:all", f"model:{api}", f"model:{_model_named(call)}", f"key:{MODULES[api].key_of(call)}"]


def too_many(call: Call) -> Reply:
    return MODULES[api_of(call) or "openai"].too_many()


async def serve(world: World, call: Call) -> Reply:
    route, allowed = ROUTES.find(call)
    if route is None:
        return Reply({"error": {"message": f"Invalid URL ({call.method} {call.path})"}}, status=405 if allowed else 404)
    return await answer(route.handler, world, call)


@ROUTES.on("POST", "/openai/v1/chat/completions")
def chat_completions(world: World, call: Call) -> Reply:
    return _serve(world, call, "openai")


@ROUTES.on("POST", "/anthropic/v1/messages")
def messages(world: World, call: Call) -> Reply:
    return _serve(world, call, "anthropic")


@ROUTES.on("POST", "/google/v1beta/models/{model}:generateContent")
def generate_content(world: World, call: Call) -> Reply:
    return _serve(world, call, "google")


def _serve(world: World, call: Call, name: str) -> Reply:
    api, models = MODULES[name], world.models
    key = api.key_of(call)
    if key not in models.keys or world.faults.find(f"key:{key}", "revoked"):
        return api.bad_key(key)
    try:
        asked = api.read(call)
    except Refused as refused:
        _remember(world, call, name, refused=refused.reply)
        return refused.reply
    if not models.knows(name, asked.model):
        return api.no_model(asked.model)
    if asked.prompt_tokens > models.context_tokens:
        return api.too_long(asked, models.context_tokens)
    struck = [fault.name for fault in world.faults.hit_models(targets(call), call)]
    if "overloaded" in struck:
        return api.overloaded()
    if "no_money" in struck:
        return api.no_money()
    return _answer(world, call, asked, struck)


def _answer(world: World, call: Call, asked: Asked, struck: list[str]) -> Reply:
    models, api = world.models, MODULES[asked.api]
    number, scripted = models.next_number(), models.scripted(asked)
    models.answered += 1
    if scripted is not None and scripted.body is not None:
        _remember(world, call, asked.api, asked=asked, text=scripted.body)
        return Reply(status=scripted.status, text=scripted.body, content_type=scripted.content_type)
    said = scripted.said() if scripted else _decided(world, asked, struck)
    if "giant" not in struck:
        said = said.within(asked.limit)
    _remember(world, call, asked.api, asked=asked, text=said.text)
    return api.write(asked, said, number=number)


def _decided(world: World, asked: Asked, struck: list[str]) -> Said:
    if "refuses" in struck:
        return Said("I cannot help with trading decisions.", finish="refused")
    if "giant" in struck:
        return Said(
            "[" + '{"action": "HOLD", "reasoning": "so it goes"}, ' * 100_000 + "]",
            usage=(asked.prompt_tokens, 900_000),
        )
    named = asked.model.removeprefix("sandbox-")
    style = named if named in trader.STYLES else world.models.style
    if style == "analyst" and analyst.can_look(asked):
        return analyst.decide(asked, seed=world.models.seed)
    said = trader.decide(
        asked, seed=world.models.seed, style=next((one for one in struck if one in trader.STYLES), style)
    )
    if "truncated" in struck or style == "truncated":
        said.finish = "length"
    return said


def _model_named(call: Call) -> str:
    """As far as it can be told without checking anything."""
    if api_of(call) == "google":
        return call.path.rpartition("/")[2].partition(":")[0]
    try:
        body = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        return ""
    return str(body.get("model", "")) if isinstance(body, dict) else ""


def _remember(
    world: World, call: Call, api: str, *, asked: Asked | None = None, text: str = "", refused: Reply | None = None
) -> None:
    """What was asked, word for word, and what came of it; never the key."""
    try:
        body = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        body = call.body.decode(errors="replace")
    row: dict[str, Any] = {"api": api, "path": call.path, "request": body, "at_ms": world.clock.wall_ms()}
    row["account"] = world.models.keys.get(MODULES[api].key_of(call), "")
    if asked is not None:
        row |= {"model": asked.model, "turns": [list(turn) for turn in asked.turns], "reply": text[:20_000]}
    if refused is not None:
        row["refused"] = refused.body
    world.models.calls.append(row)
