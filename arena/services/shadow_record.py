"""What the ledger and the stored turns know of a stretch of a bot's life, as a simulation takes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from arena.models import ArenaMarket, ArenaTurn, Participant, PriceBar
from arena.rules.statuses import BarSpan, TurnStatus
from arena.services.settings_row import arena_settings
from arena.services.stand import costs_of, limits_of
from arena.types import Costs, Limits, MarketRule
from arena.types_shadow import Bar, HeldThen, RealFill, Record, StoredTurn
from ground.sql import fetch_all
from ledger.rules.words import Action, Cause

BAR = timedelta(minutes=5)
_FILLS = """
    SELECT t.executed_at, t.position_id, t.symbol, t.action, t.trade_type = 'entry', t.price, t.quantity, t.leverage,
           coalesce(t.fee_quote, 0), t.cause, p.stop_loss, p.take_profit, p.liquidation_price
      FROM trades t JOIN positions p ON p.id = t.position_id
     WHERE t.bot_id = %(bot)s AND t.mode = 'paper' AND t.executed_at > %(begin)s AND t.executed_at <= %(end)s
     ORDER BY t.executed_at, t.trade_type = 'entry', t.id
"""
_GUARDS = "SELECT id, stop_loss, take_profit, liquidation_price FROM positions WHERE id = ANY(%s)"
_COLUMNS = ("id", "number", "status", "briefing", "asked_at", "created_at", "finished_at")


def record_of(
    *, participant: Participant, bot_id: UUID, first: int, last: int, replayed: Collection[UUID] | None = None
) -> Record | None:
    """The turns from ``first`` to ``last`` with all that happened in them; ``replayed`` names those that were asked again, else
    all that ended with a decision are. None: there is none. Within the caller's transaction."""
    rows = ArenaTurn.objects.filter(bot_id=bot_id, number__gte=first, number__lte=last, finished_at__isnull=False)
    known = list(rows.only(*_COLUMNS).order_by("number"))
    wanted = {row.id for row in known if row.status == TurnStatus.DONE and (replayed is None or row.id in replayed)}
    shown = [row for row in known if row.briefing.get("prices")]
    while shown and shown[0].id not in wanted:
        shown.pop(0)
    while shown and shown[-1].id not in wanted:
        shown.pop()
    if not shown:
        return None
    guards = _guards(shown[0].briefing)
    own = frozenset(participant.symbols)
    now_limits, now_costs, rate = (
        limits_of(participant, own),
        costs_of(arena_settings()),
        arena_settings().funding_rate_8h,
    )
    turns = tuple(
        _turn(row, guards, limits=now_limits, costs=now_costs, rate=rate, is_replayed=row.id in wanted) for row in shown
    )
    begin, end = turns[0].shown_at, turns[-1].decided_at
    fills = tuple(
        RealFill(
            at, position_id, symbol, Action(action), is_entry, price, quantity, leverage, fee, Cause(cause), *levels
        )
        for at, position_id, symbol, action, is_entry, price, quantity, leverage, fee, cause, *levels in fetch_all(
            _FILLS, {"bot": bot_id, "begin": begin, "end": end}
        )
    )
    symbols = {symbol for turn in turns for symbol in turn.prices}
    return Record(turns, fills, _bars(symbols, begin, end), _markets(symbols))


def _turn(
    row: ArenaTurn, guards: Mapping[str, Any], *, limits: Limits, costs: Costs, rate: Decimal, is_replayed: bool
) -> StoredTurn:
    told = row.briefing
    prices = {symbol: Decimal(price) for symbol, price in told["prices"].items()}
    peak = told.get("peak_equity")
    kept = told.get("costs")
    return StoredTurn(
        id=row.id,
        number=row.number,
        shown_at=row.asked_at or row.created_at,
        decided_at=row.finished_at or row.created_at,
        prices=prices,
        balance=Decimal(told["balance"]),
        positions=tuple(_held(one, guards.get(one["id"], (None, None, None))) for one in told.get("positions", ())),
        cooldowns={symbol: datetime.fromisoformat(until) for symbol, until in told.get("cooldowns", {}).items()},
        limits=_limits(told["limits"]) if "limits" in told else _anew(limits, prices),
        costs=_costs(kept) if kept else costs,
        funding_rate_8h=Decimal(kept["funding_rate_8h"]) if kept else rate,
        peak_equity=None if peak is None else Decimal(peak),
        starting_balance=Decimal(told.get("starting_balance", told["balance"])),
        is_replayed=is_replayed,
    )


def _held(one: Mapping[str, Any], levels: tuple[Any, ...]) -> HeldThen:
    return HeldThen(
        UUID(one["id"]), one["symbol"], Action(one["action"]), Decimal(one["quantity"]), Decimal(one["entry_price"]),
        Decimal(one["leverage"]), *levels,
    )  # fmt: skip


def _limits(told: Mapping[str, Any]) -> Limits:
    return Limits(
        symbols=frozenset(told["symbols"]),
        min_size=Decimal(told["min_size"]),
        max_leverage=Decimal(told["max_leverage"]),
        max_leverage_by_symbol={symbol: Decimal(most) for symbol, most in told["max_leverage_by_symbol"].items()},
        max_open_positions=int(told["max_open_positions"]),
        max_exposure_ratio=Decimal(told["max_exposure_ratio"]),
        max_drawdown_ratio=Decimal(told["max_drawdown_ratio"]),
        cooldown=timedelta(seconds=told["cooldown_s"]),
        allows_adding=bool(told["allows_adding"]),
    )


def _anew(limits: Limits, prices: Mapping[str, Decimal]) -> Limits:
    """Of a turn from before limits were kept: those of now, and all symbols that it was shown."""
    return limits if limits.symbols else replace(limits, symbols=frozenset(prices))


def _costs(told: Mapping[str, Any]) -> Costs:
    return Costs(
        fee_ratio=Decimal(told["fee_ratio"]),
        slippage_ratio=Decimal(told["slippage_ratio"]),
        maintenance_ratio=Decimal(told["maintenance_ratio"]),
    )


def _guards(briefing: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """The stops of what was held, by the position's id; they are set once, when it is opened."""
    ids = [UUID(one["id"]) for one in briefing.get("positions", ())]
    return {str(id_): tuple(levels) for id_, *levels in fetch_all(_GUARDS, [ids])} if ids else {}


def _bars(symbols: Collection[str], begin: datetime, end: datetime) -> tuple[Bar, ...]:
    rows = PriceBar.objects.filter(
        market__exchange=arena_settings().exchange, market__symbol__in=symbols, span=BarSpan.FIVE_MINUTES,
        start_at__gt=begin - BAR, start_at__lte=end - BAR,
    )  # fmt: skip
    figures = rows.order_by("start_at", "id").values_list("market__symbol", "start_at", "open", "high", "low", "close")
    return tuple(Bar(symbol, at, at + BAR, *prices) for symbol, at, *prices in figures)


def _markets(symbols: Collection[str]) -> dict[str, MarketRule]:
    """Steps, ticks and minimums as they are now."""
    rows = ArenaMarket.objects.filter(exchange=arena_settings().exchange, symbol__in=symbols)
    return {
        row.symbol: MarketRule(
            symbol=row.symbol, price=None, price_tick=row.price_tick, quantity_step=row.quantity_step,
            min_quantity=row.minimum_quantity, min_notional=row.minimum_notional, max_leverage=row.max_leverage,
        )
        for row in rows
    }  # fmt: skip
