"""/control: everything a test or the demo asks of the sandbox. docs/sandbox.md shows each call with curl."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from sandbox.control import models, seeding, views
from sandbox.control.requests import BadRequest, above_zero, body, mapping, number, required
from sandbox.faults import BOT_FAULTS, EXCHANGE_FAULTS, HTTP_FAULTS, HUMMINGBOT_FAULTS, KEY_FAULTS, MODEL_FAULTS
from sandbox.http import Call, Reply, Routes, answer
from sandbox.lives import STEPS, Life, switch_bot
from sandbox.market import MAKER_FEE_RATES, Market

if TYPE_CHECKING:
    from sandbox.world import World

ROUTES = Routes()
ROUTES.all += models.ROUTES.all


async def serve(world: World, call: Call) -> Reply:
    route, allowed = ROUTES.find(call)
    if route is None:
        return Reply({"error": "Not found." if not allowed else "Method not allowed."}, status=405 if allowed else 404)
    try:
        return await answer(route.handler, world, call)
    except BadRequest as bad:
        return bad.reply()


@ROUTES.on("GET", "/state")
def state(world: World, call: Call) -> Reply:
    return Reply(views.state(world))


@ROUTES.on("GET", "/markets")
def markets(world: World, call: Call) -> Reply:
    return Reply([market.to_json() | {"symbol": market.symbol} for market in world.markets.values()])


@ROUTES.on("POST", "/markets")
def put_market(world: World, call: Call) -> Reply:
    """A new market, or another price for one that exists."""
    fields = body(call)
    exchange, pair, _ = required(fields, "exchange", "pair", "price")
    if exchange not in MAKER_FEE_RATES:
        raise BadRequest(f"No exchange {exchange!r} here; there are {', '.join(MAKER_FEE_RATES)}.")
    base, _, quote = pair.replace("-", "/").upper().partition("/")
    if not base or not quote:
        raise BadRequest(f"pair must read like BTC/USDT, not {pair!r}.")
    known = world.market(exchange, f"{base}/{quote}")
    market = Market(
        exchange=exchange,
        base=base,
        quote=quote,
        price=above_zero(fields, "price", 1),
        tick=above_zero(fields, "tick", known.tick if known else Decimal("0.0001")),
        step=above_zero(fields, "step", known.step if known else Decimal("0.001")),
        volatility=number(fields, "volatility", known.volatility if known else 0.0004),
    )
    if known:
        known.price, known.volatility = market.price, market.volatility
        return Reply(known.to_json())
    world.markets[exchange, market.pair] = market
    return Reply(market.to_json(), status=201)


@ROUTES.on("GET", "/keys")
def keys(world: World, call: Call) -> Reply:
    return Reply([key.to_json(with_secret=False) for key in world.keys.all()])


@ROUTES.on("POST", "/keys")
def put_key(world: World, call: Call) -> Reply:
    return Reply(seeding.put_key(world, body(call)).to_json(with_secret=False), status=201)


@ROUTES.on("GET", "/bots")
def bots(world: World, call: Call) -> Reply:
    return Reply(views.bots(world))


@ROUTES.on("POST", "/bots")
def put_bot(world: World, call: Call) -> Reply:
    """An external bot: it has no container, it only trades on an exchange with a key."""
    return Reply(views.trader(seeding.put_external(world, body(call))), status=201)


@ROUTES.on("GET", "/journal")
def journal(world: World, call: Call) -> Reply:
    """When each deployed bot's strategy began and ended to run, and Hummingbot's own log of deploys."""
    return Reply({"moves": list(world.hummingbot.journal.rows), "runs": views.runs(world)})


@ROUTES.on("PATCH", "/bots/{name}")
def change_bot(world: World, call: Call) -> Reply:
    """Another cadence for every trader of a bot, external or deployed."""
    name, fields = call.params["name"], body(call)
    traders = [trader for trader in world.traders() if trader.bot == name]
    if not traders:
        raise BadRequest(f"No bot {name!r} trades here.")
    for trader in traders:
        trader.mean_interval_s = float(above_zero(fields, "mean_interval_s", trader.mean_interval_s))
        trader.schedule(world.rng, world.clock.world())
    return Reply([views.trader(trader) for trader in traders])


@ROUTES.on("DELETE", "/bots/{name}")
def delete_bot(world: World, call: Call) -> Reply:
    if (trader := world.externals.pop(call.params["name"], None)) is None:
        raise BadRequest(f"No external bot {call.params['name']!r}.")
    trader.cancel(world)
    return Reply({"deleted": trader.bot})


@ROUTES.on("POST", "/lives")
def put_life(world: World, call: Call) -> Reply:
    """A life script for the bot of that name, or for bots whose names begin with it, now or later."""
    fields = body(call)
    [bot] = required(fields, "bot")
    return Reply(seeding.put_life(world, bot, fields).to_json(), status=201)


@ROUTES.on("GET", "/lives")
def lives(world: World, call: Call) -> Reply:
    return Reply({"steps": STEPS, "lives": [life.to_json() for life in world.lives.all]})


@ROUTES.on("DELETE", "/lives")
def delete_lives(world: World, call: Call) -> Reply:
    bot = call.query.get("bot")
    before: list[Life] = world.lives.all
    world.lives.all = [life for life in before if bot not in (None, life.bot)]
    return Reply({"deleted": len(before) - len(world.lives.all)})


_FAULTS_OF = {
    "exchange": HTTP_FAULTS | EXCHANGE_FAULTS,
    "key": HTTP_FAULTS | KEY_FAULTS,
    "model": HTTP_FAULTS | MODEL_FAULTS,
    "hummingbot": HTTP_FAULTS | HUMMINGBOT_FAULTS,
    "bot": BOT_FAULTS,
}


@ROUTES.on("GET", "/faults")
def faults(world: World, call: Call) -> Reply:
    return Reply({"active": [fault.to_json() for fault in world.faults.active], "known": _FAULTS_OF})


@ROUTES.on("POST", "/faults")
def switch_fault(world: World, call: Call) -> Reply:
    """On, or with ``"on": false`` off. Everything beyond the known words is an option of the fault."""
    fields = body(call)
    target, name = required(fields, "target", "fault")
    kind, _, which = target.partition(":")
    if name not in _FAULTS_OF.get(kind, {}) or bool(which) == (kind == "hummingbot"):
        raise BadRequest(f"No fault {name!r} for {target!r}. GET /control/faults lists what there is.")
    on = fields.get("on", True)
    options = {k: v for k, v in fields.items() if k not in ("target", "fault", "on", "path", "method", "count")}
    for option in set(options) & {"seconds", "retry_after_s", "status", "skew_ms", "factor"}:
        number(options, option, 0)
    count = int(number(fields, "count", 0)) or None
    if kind == "bot":
        if which not in {trader.bot for trader in world.traders()} | set(world.hummingbot.bots):
            raise BadRequest(f"No bot {which!r} here.")
        switch_bot(world, target, name, on=on, options=options)
    elif name == "api_restart":
        world.hummingbot.restart_api()
    elif on:
        narrowing = {"path": str(fields.get("path", "")), "method": str(fields.get("method", "")).upper()}
        world.faults.switch_on(target, name, **narrowing, remaining=count, options=options)
    else:
        world.faults.switch_off(target, name, path=fields.get("path"))
    return Reply({"active": [fault.to_json() for fault in world.faults.active]})


@ROUTES.on("DELETE", "/faults")
def clear_faults(world: World, call: Call) -> Reply:
    """All of them, or those of ``?target=``; bots come back."""
    target = call.query.get("target")
    for fault in [fault for fault in world.faults.active if target in (None, fault.target)]:
        if fault.target.startswith("bot:"):
            switch_bot(world, fault.target, fault.name, on=False)
        world.faults.switch_off(fault.target, fault.name)
    return Reply({"active": [fault.to_json() for fault in world.faults.active]})


@ROUTES.on("GET", "/tape")
def tape(world: World, call: Call) -> Reply:
    return Reply(views.tape(world, call.query))


@ROUTES.on("POST", "/trades")
def put_trade(world: World, call: Call) -> Reply:
    """A trade of the past (``age_s`` or ``at_ms``) or of now, by a key, without waiting for a bot."""
    return Reply(views.trade(seeding.put_trade(world, body(call))), status=201)


@ROUTES.on("DELETE", "/trades")
def delete_trades(world: World, call: Call) -> Reply:
    if "api_key" not in call.query:
        raise BadRequest("Which key? Say ?api_key=...")
    world.tape.forget(call.query["api_key"])
    return Reply({"forgotten": call.query["api_key"]})


@ROUTES.on("GET", "/calls")
def calls(world: World, call: Call) -> Reply:
    """The last requests that came in: what a test counts."""
    system, path = call.query.get("system"), call.query.get("path", "")
    method = call.query.get("method")
    return Reply(
        [
            row
            for row in world.calls
            if system in (None, row["system"]) and method in (None, row["method"]) and path in row["path"]
        ]
    )


@ROUTES.on("DELETE", "/calls")
def clear_calls(world: World, call: Call) -> Reply:
    world.calls.clear()
    return Reply({"calls": 0})


@ROUTES.on("POST", "/clock")
def clock(world: World, call: Call) -> Reply:
    """``advance_s`` lets world seconds pass at once; ``speed`` from now on."""
    fields = body(call)
    if "speed" in fields:
        world.clock.set_speed(float(above_zero(fields, "speed", 1)))
    for _ in range(2):  # once for what came due, once for what follows from it
        world.tick()
        world.clock.advance(number(fields, "advance_s", 0) / 2)
    world.tick()
    return Reply({"world_s": world.clock.world(), "speed": world.clock.speed})


@ROUTES.on("POST", "/hummingbot/accounts")
def put_account(world: World, call: Call) -> Reply:
    """An account of the Hummingbot API with credentials, without its check against the exchange."""
    fields = body(call)
    [account] = required(fields, "account")
    world.hummingbot.library.credentials.setdefault(account, {}).update(mapping(fields, "credentials"))
    return Reply({"account": account}, status=201)


@ROUTES.on("POST", "/hummingbot/bots")
def put_container(world: World, call: Call) -> Reply:
    """A bot that is simply there: with a container of any name, or by hand without one (``"container": "none"``)."""
    return Reply(views.container(seeding.put_container(world, body(call))), status=201)


@ROUTES.on("POST", "/hummingbot/snapshot")
def dump_performance(world: World, call: Call) -> Reply:
    """Write the performance snapshots now instead of every five minutes."""
    world.hummingbot.snapshots.dump(world.hummingbot.cache)
    return Reply({"snapshots": len(world.hummingbot.snapshots.rows)})
