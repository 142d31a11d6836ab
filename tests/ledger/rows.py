"""Rows of the ledger as tests want them, put in as the owner: accounts, trades, positions, decisions, snapshots."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from bots.models import Bot
from ledger.models import BotAccount, BotDecision, BotStateSnapshot, Position, Trade

KINDS = {
    "buy": {"side": "buy", "trade_type": "entry", "action": "LONG"},
    "sell": {"side": "sell", "trade_type": "exit", "action": "LONG"},
    "short": {"side": "sell", "trade_type": "entry", "action": "SHORT"},
    "cover": {"side": "buy", "trade_type": "exit", "action": "SHORT"},
}


def put_account(bot_id: uuid.UUID, **values: Any) -> BotAccount:
    bot = Bot.objects.get(id=bot_id)
    given = {"mode": "live", "currency": bot.pair.partition("/")[2], "allocated_capital": 10_000} | values
    return BotAccount.objects.create(bot=bot, client_id=bot.client_id, **given)


def a_trade(owner: BotAccount, kind: str, executed_at: datetime, **values: Any) -> Trade:
    given = {
        "id": uuid.uuid4(), "client_id": owner.client_id, "bot_id": owner.bot_id, "mode": owner.mode,
        "market_type": "spot", "symbol": f"BTC/{owner.currency}", "currency": owner.currency, "price": "100",
        "quantity": "2", "size": "200", "cause": "runtime", "executed_at": executed_at, "fee": "0.1",
        "fee_currency": owner.currency, "fee_quote": "0.1",
    }  # fmt: skip
    if kind in ("sell", "cover"):
        given |= {"closed_quantity": "2", "pnl": "5"}
    return Trade(**(given | KINDS[kind] | values))


def put_trades(*trades: Trade) -> None:
    Trade.objects.bulk_create(trades)


def put_position(owner: BotAccount, opened_at: datetime, closed_at: datetime | None = None, **values: Any) -> Position:
    held = 0 if closed_at else 2
    given = {
        "client_id": owner.client_id, "bot_id": owner.bot_id, "mode": owner.mode, "market_type": "spot",
        "symbol": f"BTC/{owner.currency}", "currency": owner.currency, "position_type": "LONG",
        "status": "closed" if closed_at else "open", "entry_price": 100, "size": 200, "opened_quantity": 2,
        "closed_quantity": 2 - held, "quantity": held, "basis_quantity": 2, "basis_cost": 200, "opened_at": opened_at,
        "closed_at": closed_at, "exit_price": 101 if closed_at else None,
    }  # fmt: skip
    return Position.objects.create(**(given | values))


def put_decision(owner: BotAccount, decided_at: datetime, **values: Any) -> BotDecision:
    given = {
        "client_id": owner.client_id, "bot_id": owner.bot_id, "decided_at": decided_at, "prompt_sent": "Trade well.",
        "decisions_json": [{"action": "LONG"}], "notes_json": ["opened"], "execution_success": True,
    }  # fmt: skip
    return BotDecision.objects.create(**(given | values))


def put_snapshot(owner: BotAccount, taken_at: datetime, total_value: Any) -> BotStateSnapshot:
    return BotStateSnapshot.objects.create(
        client_id=owner.client_id, bot_id=owner.bot_id, taken_at=taken_at, total_value=total_value
    )
