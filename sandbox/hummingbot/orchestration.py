"""Router /bot-orchestration: what bots look like, starting, stopping, retiring them, and their performance."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

from sandbox import money
from sandbox.http import Call, Reply, Routes
from sandbox.hummingbot import connectors
from sandbox.hummingbot.engine import Hummingbot
from sandbox.hummingbot.validation import (
    Invalid,
    detail,
    model_body,
    problem,
    query_flag,
    query_integer,
    query_number,
)
from sandbox.tape import Trade

ROUTES = Routes()
_INTERVALS = "^(5m|15m|30m|1h|4h|12h|1d)$"


@ROUTES.on("GET", "/bot-orchestration/status")
def all_statuses(hummingbot: Hummingbot, call: Call) -> Reply:
    cache, now_s = hummingbot.cache, hummingbot.world.clock.world()
    listed = {name: source for name, source in cache.active.items() if name not in cache.stopping}
    return Reply(
        {
            "status": "success",
            "data": {name: cache.status(name, now_s) | {"source": source} for name, source in listed.items()},
        }
    )


@ROUTES.on("GET", "/bot-orchestration/mqtt")
def mqtt(hummingbot: Hummingbot, call: Call) -> Reply:
    now_s = hummingbot.world.clock.world()
    data = {
        # Stays true after a lost connection: the flag is only cleared on a clean exit.
        "mqtt_connected": True,
        "discovered_bots": hummingbot.cache.talking(now_s),
        "active_bots": list(hummingbot.cache.active),
        "broker_host": "127.0.0.1",
        "broker_port": 1883,
        "broker_username": "admin",
        "client_state": "connected",
    }
    return Reply({"status": "success", "data": data})


@ROUTES.on("GET", "/bot-orchestration/controller-performance-latest")
def performance_latest(hummingbot: Hummingbot, call: Call) -> Reply:
    return Reply({"status": "success", "data": hummingbot.snapshots.latest(call.query.get("bot_name"))})


@ROUTES.on("GET", "/bot-orchestration/controller-performance-history")
def performance_history(hummingbot: Hummingbot, call: Call) -> Reply:
    """Newest first; the cursor is the stamp of the last row."""
    limit = query_integer(call, "limit", 100, maximum=1000)
    interval = call.query.get("interval", "5m")
    if not re.match(_INTERVALS, interval):
        text = f"String should match pattern '{_INTERVALS}'"
        raise Invalid(
            problem("string_pattern_mismatch", ["query", "interval"], text, interval, {"pattern": _INTERVALS})
        )
    try:
        start, end, cursor = (_instant(call.query.get(name)) for name in ("start_time", "end_time", "cursor"))
    except ValueError as error:
        return detail(400, f"Invalid datetime format: {error}")
    rows = [
        row
        for row in reversed(hummingbot.snapshots.rows)
        if call.query.get("bot_name") in (None, row["bot_name"])
        and call.query.get("controller_id") in (None, row["controller_id"])
        and _between(datetime.fromisoformat(row["timestamp"]), start, end, cursor)
    ]
    page = rows[:limit]
    more = len(rows) > limit
    pagination = {
        "next_cursor": page[-1]["timestamp"] if more else None,
        "has_more": more,
        "limit": limit,
        "interval": interval,
    }
    return Reply({"status": "success", "data": page, "pagination": pagination})


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    value = datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _between(at: datetime, start: datetime | None, end: datetime | None, cursor: datetime | None) -> bool:
    return (start is None or at >= start) and (end is None or at <= end) and (cursor is None or at < cursor)


@ROUTES.on("GET", "/bot-orchestration/{bot_name}/status")
def bot_status(hummingbot: Hummingbot, call: Call) -> Reply:
    name, cache = call.params["bot_name"], hummingbot.cache
    if name not in cache.active:
        return Reply({"status": "success", "data": {"status": "not_found", "error": f"Bot {name} not found"}})
    if name in cache.stopping:
        data: dict[str, Any] = {
            "status": "stopping",
            "message": "Bot is currently being stopped and archived",
            "performance": {},
            "error_logs": [],
            "general_logs": [],
            "recently_active": False,
        }
        return Reply({"status": "success", "data": data})
    return Reply({"status": "success", "data": cache.status(name, hummingbot.world.clock.world())})


def _not_found(name: str) -> dict[str, Any]:
    return {"status": "success", "response": {"success": False, "message": f"Bot {name} not found"}}


@ROUTES.on("GET", "/bot-orchestration/{bot_name}/history")
async def history(hummingbot: Hummingbot, call: Call) -> Reply:
    """The one command that waits for the bot's reply."""
    name = call.params["bot_name"]
    days, timeout_s = query_integer(call, "days", 0), query_number(call, "timeout", 30.0)
    query_flag(call, "verbose", False)
    if name not in hummingbot.cache.active:
        return Reply(_not_found(name))
    sent, bot = hummingbot.command(name), hummingbot.bots.get(name)
    if not sent or bot is None or not bot.talks:
        # A fast world waits less; none waits longer than the caller asked for.
        await asyncio.sleep(min(timeout_s, hummingbot.world.clock.real_s(timeout_s)))
        message = f"No response received from {name} within {timeout_s} seconds"
        return Reply({"status": "success", "response": {"success": False, "message": message, "timeout": True}})
    since_ms = hummingbot.world.clock.wall_ms() - days * 86_400_000 if days else 0
    trades = [trade for trade in hummingbot.world.tape.trades if trade.bot == name and trade.at_ms >= since_ms]
    header = {
        "reply_to": "",
        "timestamp": hummingbot.world.clock.wall_ms(),
        "content_type": "json",
        "encoding": "utf8",
        "agent": "commlib",
    }
    data = {"status": 200, "msg": "", "trades": [_history_row(trade) for trade in trades]}
    return Reply({"status": "success", "response": {"success": True, "data": {"header": header, "data": data}}})


def _history_row(trade: Trade) -> dict[str, Any]:
    base, quote = trade.pair.split("/")
    fee = {
        "fee_type": "AddedToCost",
        "percent": "0",
        "percent_token": None,
        "flat_fees": [{"token": trade.fee_currency, "amount": money.text(trade.fee)}],
    }
    return {
        "market": connectors.name_of(trade.exchange),
        "trade_id": trade.id,
        "price": money.text(trade.price),
        "quantity": money.text(trade.quantity),
        "symbol": f"{base}-{quote}",
        "trade_timestamp": trade.at_ms,
        "trade_type": trade.side.upper(),
        "base_asset": base,
        "quote_asset": quote,
        "raw_json": {"trade_fee": fee},
    }


@ROUTES.on("POST", "/bot-orchestration/start-bot")
def start_bot(hummingbot: Hummingbot, call: Call) -> Reply:
    body = model_body(call, bot_name="str", log_level="str?", script="str?", conf="str?", async_backend="bool?")
    name = body["bot_name"]
    if name not in hummingbot.cache.active:
        return Reply(_not_found(name))
    return Reply({"status": "success", "response": {"success": hummingbot.start(name)}})


@ROUTES.on("POST", "/bot-orchestration/stop-bot")
def stop_bot(hummingbot: Hummingbot, call: Call) -> Reply:
    body = model_body(call, bot_name="str", skip_order_cancellation="bool?", async_backend="bool?")
    name = body["bot_name"]
    if name not in hummingbot.cache.active:
        return Reply(_not_found(name))
    stopped = hummingbot.stop(name, cancel_orders=not body.get("skip_order_cancellation"))
    return Reply({"status": "success", "response": {"success": stopped}})


@ROUTES.on("POST", "/bot-orchestration/stop-and-archive-bot/{bot_name}")
def stop_and_archive(hummingbot: Hummingbot, call: Call) -> Reply:
    name, active = call.params["bot_name"], list(hummingbot.cache.active)
    skip = query_flag(call, "skip_order_cancellation", True)
    query_flag(call, "archive_locally", True)
    named = {"input_name": name, "actual_bot_name": name, "container_name": name}
    if name not in active:
        message = f"Bot '{name}' not found in active bots. Active bots: {active}. Cannot perform graceful shutdown."
        reason = "Bot must be actively managed via MQTT for graceful shutdown"
        details: dict[str, Any] = named | {"active_bots": active, "reason": reason}
        return Reply({"status": "error", "message": message, "details": details})
    hummingbot.archive.begin(name, skip_order_cancellation=skip)
    process = (
        "The bot will be gracefully stopped, archived, and removed in the background. "
        "This process typically takes 20-30 seconds."
    )
    message = f"Stop and archive process started for bot {name}"
    return Reply({"status": "success", "message": message, "details": named | {"process": process}})
