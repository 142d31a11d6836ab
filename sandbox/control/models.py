"""/control/model: keys, style, scripted replies, and what models were asked."""

from __future__ import annotations

from dataclasses import fields as fields_of
from typing import TYPE_CHECKING, Any

from sandbox.control.requests import BadRequest, above_zero, body, number, required
from sandbox.http import Call, Reply, Routes
from sandbox.model.models import Scripted
from sandbox.model.trader import STYLES

if TYPE_CHECKING:
    from sandbox.world import World

ROUTES = Routes()
_FINISHES = ("stop", "length", "refused")


@ROUTES.on("GET", "/model")
def model(world: World, call: Call) -> Reply:
    return Reply(world.models.to_json())


@ROUTES.on("POST", "/model")
def set_model(world: World, call: Call) -> Reply:
    """How the trader answers from now on."""
    fields = body(call)
    style = str(fields.get("style", world.models.style))
    if style not in STYLES:
        raise BadRequest(f"style must be one of {', '.join(STYLES)}.")
    world.models.style = style
    world.models.seed = int(number(fields, "seed", world.models.seed))
    world.models.context_tokens = int(above_zero(fields, "context_tokens", world.models.context_tokens))
    return Reply(world.models.to_json())


@ROUTES.on("POST", "/model/keys")
def put_key(world: World, call: Call) -> Reply:
    fields = body(call)
    [key] = required(fields, "key")
    world.models.keys[key] = str(fields.get("account", ""))
    return Reply({"keys": len(world.models.keys)}, status=201)


@ROUTES.on("DELETE", "/model/keys")
def delete_keys(world: World, call: Call) -> Reply:
    """One key, or all."""
    wanted = call.query.get("key")
    gone = [key for key in world.models.keys if wanted in (None, key)]
    for key in gone:
        del world.models.keys[key]
    return Reply({"deleted": len(gone)})


@ROUTES.on("POST", "/model/script")
def put_script(world: World, call: Call) -> Reply:
    """Replies that come next, in this order, behind those that wait already."""
    replies = body(call).get("replies")
    if not isinstance(replies, list) or not replies:
        raise BadRequest("replies must be a list of texts or objects.")
    world.models.script.extend([_scripted(reply) for reply in replies])
    return Reply({"waiting": len(world.models.script)}, status=201)


@ROUTES.on("DELETE", "/model/script")
def delete_script(world: World, call: Call) -> Reply:
    world.models.script.clear()
    return Reply({"waiting": 0})


@ROUTES.on("GET", "/model/calls")
def calls(world: World, call: Call) -> Reply:
    """The last 2,000 requests that had a good key, with their whole bodies, oldest first."""
    wanted = {name: call.query[name] for name in ("api", "model", "account") if name in call.query}
    rows = [row for row in world.models.calls if all(row.get(name) == value for name, value in wanted.items())]
    return Reply(rows[-int(number(dict(call.query), "limit", 2000)) :])


@ROUTES.on("DELETE", "/model/calls")
def clear_calls(world: World, call: Call) -> Reply:
    world.models.calls.clear()
    return Reply({"calls": 0})


def _scripted(reply: Any) -> Scripted:
    if isinstance(reply, str):
        return Scripted(text=reply)
    known = {one.name for one in fields_of(Scripted)}
    if not isinstance(reply, dict) or set(reply) - known:
        raise BadRequest(f"A reply is a text, or an object with some of {', '.join(sorted(known))}.")
    if reply.get("finish", "stop") not in _FINISHES:
        raise BadRequest(f"finish must be one of {', '.join(_FINISHES)}.")
    if any(not isinstance(one, dict) or "name" not in one for one in reply.get("calls", [])):
        raise BadRequest('calls must be a list like [{"name": "rsi", "arguments": {}}].')
    return Scripted(**reply)
