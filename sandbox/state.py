"""The state file: containers, accounts, keys, the tape. What an API process only remembers is not in it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from sandbox import money
from sandbox.hummingbot.bot import Bot
from sandbox.keys import Key
from sandbox.lives import Life
from sandbox.market import Market
from sandbox.trader import Trader

if TYPE_CHECKING:
    from sandbox.world import World

_TRADER_NUMBERS = ("amount", "bid_spread", "ask_spread", "position", "entry_cost", "realized_pnl", "fees", "volume")
_TRADER_PLAIN = ("bot", "mean_interval_s", "controller", "running", "pace", "due_s", "trades")
_BOT_PLAIN = (
    "name",
    "account",
    "image",
    "configs",
    "script",
    "container",
    "container_id",
    "silent",
    "tagged",
    "strategy_running",
    "boots_at_s",
)


def save(world: World, path: Path) -> None:
    """Written beside and renamed, so a reader never sees half a file."""
    hummingbot = world.hummingbot
    data = {
        "world_s": world.clock.world(),
        "markets": [market.to_json() for market in world.markets.values()],
        "keys": [key.to_json(with_secret=True) for key in world.keys.all()],
        "model_keys": world.models.keys,
        "tape": world.tape.to_json(),
        "externals": [trader.to_json() for trader in world.externals.values()],
        "lives": [life.to_json() for life in world.lives.all],
        "library": hummingbot.library.to_json(),
        "runs": [run.to_json() for run in hummingbot.runs.rows.values()],
        "snapshots": list(hummingbot.snapshots.rows),
        "journal": list(hummingbot.journal.rows),
        "bots": [_bot_json(bot) for bot in hummingbot.bots.values()],
        # What was done to a bot is part of it; faults of systems end with the process.
        "bot_faults": [fault.to_json() for fault in world.faults.active if fault.target.startswith("bot:")],
    }
    beside = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(orjson.dumps(data, default=_amount))
    beside.replace(path)


def _amount(value: object) -> str:
    if isinstance(value, Decimal):
        return money.text(value)
    raise TypeError(f"{type(value).__name__} has no place in the state file.")


def shape(world: World) -> tuple[Any, ...]:
    """What must not wait for the next regular save: it changes only when somebody deploys, seeds or stops something."""
    hummingbot = world.hummingbot
    bots = tuple((bot.name, bot.container, bot.strategy_running) for bot in hummingbot.bots.values())
    runs = tuple((run.run_status, run.deployment_status) for run in hummingbot.runs.rows.values())
    accounts = tuple((name, *held) for name, held in hummingbot.library.credentials.items())
    counts = (
        len(world.keys.all()),
        len(world.externals),
        len(world.lives.all),
        len(world.markets),
        len(world.models.keys),
    )
    return bots, runs, accounts, counts, len(hummingbot.library.controller_configs)


def _bot_json(bot: Bot) -> dict[str, Any]:
    return {name: getattr(bot, name) for name in _BOT_PLAIN} | {"traders": [trader.to_json() for trader in bot.traders]}


def open_world(make: Callable[[], World], path: Path | None) -> World:
    """A world as the file left it; a fresh one without a file, or when it cannot be read (it is then put aside)."""
    world = make()
    if path is None or not path.exists():
        return world
    try:
        load(world, path)
    except (ValueError, KeyError, TypeError) as error:
        aside = path.with_name(f"{path.name}.unreadable")
        path.replace(aside)
        logging.getLogger(__name__).warning("The state file cannot be read (%r); it is now %s.", error, aside)
        return make()
    return world


def load(world: World, path: Path) -> None:
    """Into a fresh world."""
    data = orjson.loads(path.read_bytes())
    world.clock.advance(data["world_s"])
    for fields in data["markets"]:
        market = Market.from_json(fields)
        world.markets[market.exchange, market.pair] = market
    for fields in data["keys"]:
        world.keys.put(Key.from_json(fields))
    world.models.keys.update(data.get("model_keys", {}))  # older files have none
    world.tape.load(data["tape"])
    for fields in data["externals"]:
        trader = _trader(world, fields)
        world.externals[trader.bot] = trader
    for fields in data["lives"]:
        world.lives.put(Life(**fields))
    hummingbot = world.hummingbot
    hummingbot.library.load(data["library"])
    hummingbot.runs.load(data["runs"])
    hummingbot.snapshots.rows.extend(data["snapshots"])
    hummingbot.journal.load(data.get("journal", []))  # older files have none
    for fields in data["bots"]:
        traders = [_trader(world, row) for row in fields.pop("traders")]
        hummingbot.bots[fields["name"]] = Bot(**fields, traders=traders)
    for fields in data["bot_faults"]:
        world.faults.switch_on(fields["target"], fields["name"], options=fields["options"])


def _trader(world: World, fields: dict[str, Any]) -> Trader:
    key, market = world.key(fields["exchange"], fields["api_key"]), world.market(fields["exchange"], fields["pair"])
    if key is None or market is None:
        raise ValueError(f"The state file names a bot {fields['bot']!r} whose key or market it does not hold.")
    typed: dict[str, Any] = {name: fields[name] for name in _TRADER_PLAIN}
    typed |= {name: Decimal(fields[name]) for name in _TRADER_NUMBERS}
    typed["direction"] = fields.get("direction", "both")  # older files do not say
    trader = Trader(market=market, key=key, **typed)
    orders = world.tape.open_orders(market.exchange, key.api_key, market.pair)
    trader.quotes = [order for order in orders if order.id in fields["quotes"]]
    return trader
