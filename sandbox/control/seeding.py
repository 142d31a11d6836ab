"""Putting things into the sandbox: keys, external bots, life scripts, trades, containers."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.control.requests import BadRequest, above_zero, decimal, mapping, number, required, rows
from sandbox.hummingbot.bot import Bot
from sandbox.keys import DEFAULT_BALANCE, Key
from sandbox.lives import STEPS, Life
from sandbox.market import MAKER_FEE_RATES, Market, family
from sandbox.tape import Order, Trade
from sandbox.trader import Trader

if TYPE_CHECKING:
    from sandbox.world import World


def put_key(world: World, fields: dict[str, Any]) -> Key:
    """The same key again replaces the old one, its trades stay."""
    exchange, api_key, secret = required(fields, "exchange", "api_key", "secret")
    if family(exchange) not in {family(name) for name in MAKER_FEE_RATES}:
        raise BadRequest(f"No exchange {exchange!r} here; there are {', '.join(MAKER_FEE_RATES)}.")
    balances = mapping(fields, "balances")
    return world.keys.put(
        Key(
            exchange=family(exchange),
            api_key=api_key,
            secret=secret,
            passphrase=str(fields.get("passphrase") or ""),
            account=str(fields.get("account") or ""),
            balances={name: decimal(balances, name, DEFAULT_BALANCE) for name in balances},
            starts_with=decimal(fields, "starts_with", DEFAULT_BALANCE),
        )
    )


def put_external(world: World, fields: dict[str, Any]) -> Trader:
    """``{"name", "exchange", "pair", "api_key", "mean_interval_s", "script", "loop"}``; see docs/sandbox.md."""
    name, exchange, pair, api_key = required(fields, "name", "exchange", "pair", "api_key")
    market, key = _market(world, exchange, pair), _key(world, exchange, api_key)
    old = world.externals.pop(name, None)
    if old:
        old.cancel(world)
    trader = Trader(
        bot=name,
        market=market,
        key=key,
        mean_interval_s=float(above_zero(fields, "mean_interval_s", world.mean_interval_s)),
        amount=above_zero(
            fields, "order_amount", max(market.step, (Decimal(100) / market.price).quantize(market.step))
        ),
        bid_spread=decimal(fields, "bid_spread", Decimal("0.001")),
        ask_spread=decimal(fields, "ask_spread", Decimal("0.001")),
        running=bool(fields.get("running", True)),
    )
    trader.schedule(world.rng, world.clock.world())
    if trader.running:
        trader.requote(world)
    world.externals[name] = trader
    if fields.get("script"):
        put_life(world, name, fields)
    return trader


def put_life(world: World, bot: str, fields: dict[str, Any]) -> Life:
    script = rows(fields, "script")
    if not script:
        raise BadRequest('script must be a list of steps like {"after_s": 60, "do": "slow"}.')
    for step in script:
        required(step, "after_s", "do")
        step["after_s"] = number(step, "after_s", 0)
        above_zero(step, "factor", 1)
    if unknown := [step["do"] for step in script if step["do"] not in STEPS]:
        raise BadRequest(f"Unknown steps: {unknown}. There are {', '.join(STEPS)}.")
    period_s = number(fields, "period_s", 0)
    return world.lives.put(Life(bot=bot, script=script, loop=bool(fields.get("loop")), period_s=period_s))


def put_trade(world: World, fields: dict[str, Any]) -> Trade:
    """Goes to the tape under ``bot`` (default "seeded"), at ``at_ms``, or ``age_s`` ago, or now."""
    exchange, pair, api_key = required(fields, "exchange", "pair", "api_key")
    market, key = _market(world, exchange, pair), _key(world, exchange, api_key)
    at_ms = int(number(fields, "at_ms", world.clock.wall_ms() - number(fields, "age_s", 0) * 1000))
    side = str(fields.get("side", "buy"))
    if side not in ("buy", "sell"):
        raise BadRequest("side must be buy or sell.")
    bot = str(fields.get("bot", "seeded"))
    owner = next((trader for trader in world.traders() if trader.bot == bot and trader.market is market), None)
    trader = owner or Trader(bot=bot, market=market, key=key, mean_interval_s=60, amount=market.step)
    price, quantity = above_zero(fields, "price", market.price), above_zero(fields, "quantity", market.step)
    order: Order = world.place_order(trader, side=side, price=price, quantity=quantity)
    order.created_ms = at_ms
    return world.fill(order, trader=trader, at_ms=at_ms)


def put_container(world: World, fields: dict[str, Any]) -> Bot:
    [name] = required(fields, "name")
    kind = str(fields.get("container", "running"))
    if kind not in ("running", "none"):
        raise BadRequest("container must be running or none.")
    configs = [config | {"_config_name": str(config.get("id", name))} for config in rows(fields, "configs")]
    bot = Bot(
        name=name,
        account=str(fields.get("account", "master_account")),
        image=str(fields.get("image", "hummingbot/hummingbot:latest")),
        configs=configs,
        script=fields.get("script"),
        container=kind,
    )
    world.hummingbot.launch(bot)
    return bot


def _market(world: World, exchange: str, pair: str) -> Market:
    found = world.market(exchange, pair.replace("-", "/").upper())
    if found is None:
        raise BadRequest(f"No market {pair} on {exchange!r}; POST /control/markets makes one.")
    return found


def _key(world: World, exchange: str, api_key: str) -> Key:
    key = world.key(exchange, api_key)
    if key is None:
        raise BadRequest(f"No such key on {exchange!r}; POST /control/keys makes one.")
    return key
