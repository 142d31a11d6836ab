"""Router /archived-bots: what is left of bots that were stopped and archived. A path, slashes and all, is the key."""

from __future__ import annotations

from typing import Any

from sandbox.http import Call, Reply, Routes
from sandbox.hummingbot import connectors
from sandbox.hummingbot.engine import Hummingbot
from sandbox.hummingbot.validation import detail, query_integer
from sandbox.tape import Trade

ROUTES = Routes()


@ROUTES.on("GET", "/archived-bots/")
def archived(hummingbot: Hummingbot, call: Call) -> Reply:
    return Reply(list(_paths(hummingbot)))


@ROUTES.on("GET", "/archived-bots/{db_path}/summary")
def summary(hummingbot: Hummingbot, call: Call) -> Reply:
    if (trades := _trades(hummingbot, call)) is None:
        return _unknown(call)
    return Reply(
        {
            "db_path": call.params["db_path"],
            "total_orders": len({trade.order_id for trade in trades}),
            "total_trades": len(trades),
            "total_executors": 0,
            "total_positions": 0,
            "total_controllers": 0,
            "trading_pairs": sorted({trade.pair.replace("/", "-") for trade in trades}),
            "exchanges": sorted({connectors.name_of(trade.exchange) for trade in trades}),
        }
    )


@ROUTES.on("GET", "/archived-bots/{db_path}/trades")
def trades(hummingbot: Hummingbot, call: Call) -> Reply:
    """Floats, as the original's; newest last."""
    if (found := _trades(hummingbot, call)) is None:
        return _unknown(call)
    limit, offset = query_integer(call, "limit", 100), query_integer(call, "offset", 0)
    rows = [_row(trade) for trade in found[offset : offset + limit]]
    more = offset + limit < len(found)
    pagination = {"total": len(found), "limit": limit, "offset": offset, "has_more": more}
    return Reply({"db_path": call.params["db_path"], "trades": rows, "pagination": pagination})


def _paths(hummingbot: Hummingbot) -> dict[str, str]:
    """Path to the bot it is of."""
    bots = [run.bot_name for run in hummingbot.runs.rows.values() if run.deployment_status == "ARCHIVED"]
    return {f"bots/archived/{bot}/data/{bot}.sqlite": bot for bot in bots}


def _trades(hummingbot: Hummingbot, call: Call) -> list[Trade] | None:
    bot = _paths(hummingbot).get(call.params["db_path"])
    return None if bot is None else [trade for trade in hummingbot.world.tape.trades if trade.bot == bot]


def _unknown(call: Call) -> Reply:
    return detail(404, f"Database path '{call.params['db_path']}' not found")


def _row(trade: Trade) -> dict[str, Any]:
    base, quote = trade.pair.split("/")
    fee = float(trade.fee) if trade.fee_currency == quote else float(trade.fee * trade.price)
    return {
        "config_file_path": f"{trade.bot}.yml",
        "strategy": "v2_with_controllers",
        "connector_name": connectors.name_of(trade.exchange),
        "trading_pair": f"{base}-{quote}",
        "base_asset": base,
        "quote_asset": quote,
        "timestamp": trade.at_ms,
        "order_id": trade.order_id,
        "trade_type": trade.side.upper(),
        "order_type": "LIMIT",
        "price": float(trade.price),
        "amount": float(trade.quantity),
        "leverage": 1,
        "trade_fee": fee,
        "trade_fee_in_quote": fee,
        "exchange_trade_id": trade.id,
        "position": "NIL",
        "cum_fees_in_quote": fee,
    }
