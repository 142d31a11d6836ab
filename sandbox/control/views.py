"""How the sandbox shows itself, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox import money
from sandbox.control.requests import BadRequest
from sandbox.exchange.serve import VENUES
from sandbox.hummingbot.bot import Bot
from sandbox.tape import Trade, row
from sandbox.trader import Trader

if TYPE_CHECKING:
    from sandbox.world import World


def state(world: World) -> dict[str, Any]:
    """A summary: everything but the tape, and no secret."""
    return {
        "world_s": world.clock.world(),
        "speed": world.clock.speed,
        "mean_interval_s": world.mean_interval_s,
        "hosts": sorted(VENUES),
        "markets": len(world.markets),
        "keys": [key.to_json(with_secret=False) for key in world.keys.all()],
        "bots": bots(world),
        "hummingbot": {
            "accounts": {name: list(held) for name, held in world.hummingbot.library.credentials.items()},
            "listed": list(world.hummingbot.cache.active),
            "runs": runs(world),
        },
        "faults": [fault.to_json() for fault in world.faults.active],
        "lives": [life.to_json() for life in world.lives.all],
        "tape": {"trades": len(world.tape.trades), "orders": len(world.tape.orders)},
    }


def bots(world: World) -> dict[str, Any]:
    return {
        "external": [trader(item) for item in world.externals.values()],
        "hummingbot": [container(bot) for bot in world.hummingbot.bots.values()],
    }


def runs(world: World) -> list[dict[str, Any]]:
    return [run.to_json() for run in world.hummingbot.runs.rows.values()]


def trader(item: Trader) -> dict[str, Any]:
    fields = item.to_json()
    return fields | {"quotes": len(item.quotes), "price": money.text(item.market.price)}


def container(bot: Bot) -> dict[str, Any]:
    return {
        "name": bot.name,
        "account": bot.account,
        "container": bot.container,
        "silent": bot.silent,
        "strategy_running": bot.strategy_running,
        "traders": [trader(item) for item in bot.traders],
    }


def trade(item: Trade) -> dict[str, Any]:
    return row(item) | {"notional": money.text(item.notional)}


def tape(world: World, query: dict[str, str]) -> dict[str, Any]:
    """Trades and orders oldest first, narrowed by bot (or its prefix), account, api_key, exchange and pair."""
    names = ("bot", "api_key", "exchange", "pair")
    wanted = {name: query[name] for name in names if name in query}
    if "pair" in wanted:
        wanted["pair"] = wanted["pair"].replace("-", "/").upper()
    keys = {key.api_key for key in world.keys.all() if key.account == query.get("account")}

    def fits(fields: dict[str, Any]) -> bool:
        named = all(fields[name] == value for name, value in wanted.items() if name != "bot")
        bot = query.get("bot", "")
        of_bot = not bot or fields["bot"] == bot or fields["bot"].startswith(f"{bot}-")
        return named and of_bot and ("account" not in query or fields["api_key"] in keys)

    if not query.get("limit", "1000").isdigit():
        raise BadRequest("limit must be a whole number.")
    limit = int(query.get("limit", "1000"))
    in_time = sorted(world.tape.trades, key=lambda item: (item.at_ms, item.id))
    trades = [trade(item) for item in in_time if fits(row(item))]
    orders = [row(item) for item in world.tape.orders if fits(row(item))]
    return {
        "trades": trades[-limit:] if limit else [],
        "orders": orders[-limit:] if limit else [],
        "totals": [fields for fields in totals(world) if fits(fields)],
    }


def totals(world: World) -> list[dict[str, Any]]:
    """By bot, exchange, pair and key, since the sandbox began."""
    rows = []
    for (bot, exchange, pair, api_key), total in world.tape.totals.items():
        numbers = {k: money.text(v) if isinstance(v, Decimal) else v for k, v in asdict(total).items()}
        rows.append({"bot": bot, "exchange": exchange, "pair": pair, "api_key": api_key} | numbers)
    return rows
