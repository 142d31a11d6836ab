"""Recording what bots do on paper: decisions, the positions they open and close, their trades and money, together.

Everything here joins the caller's open transaction, which locks the accounts first (``lock_accounts``): a decision and
what came of it are written together or not at all. The arithmetic is ``ledger/rules/pnl.py``'s, as of live trades.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from exchanges.types import MarketType, Side
from ground.errors import Conflict
from ground.http import exact_json
from ground.sql import fetch_all_hot, run_hot
from ledger.rules.ids import fact_id
from ledger.rules.pnl import WIDE, ZERO, Applied, Execution, Position, bound, enter, leave
from ledger.rules.words import Action, Cause, Mode, PositionStatus
from ledger.services.book_rows import as_json


class NotHeld(Conflict):
    """The position that was to be closed is not open, or not this bot's."""


@dataclass(frozen=True, slots=True)
class PaperAccount:
    """A bot's money; locked until the transaction ends."""

    bot_id: UUID
    client_id: UUID
    currency: str
    allocated_capital: Decimal | None
    balance: Decimal | None  # None: no capital was allocated
    realized_pnl_adjustment: Decimal


@dataclass(frozen=True, slots=True)
class HeldOnPaper:
    """An open paper position."""

    id: UUID
    bot_id: UUID
    symbol: str
    position: Position
    opened_at: datetime
    mark_price: Decimal | None
    marked_at: datetime | None
    unrealized_pnl: Decimal | None
    stop_loss: Decimal | None
    take_profit: Decimal | None
    liquidation_price: Decimal | None


@dataclass(frozen=True, slots=True)
class PaperEntry:
    """A position to open. Price, quantity and fee are those of the fill."""

    bot_id: UUID
    symbol: str
    action: Action
    price: Decimal  # quote per base
    quantity: Decimal  # base
    leverage: Decimal
    fee: Decimal  # quote
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    liquidation_price: Decimal | None = None
    cause: Cause = Cause.MODEL
    note: str = ""


@dataclass(frozen=True, slots=True)
class PaperExit:
    """An open position to close, all of it."""

    bot_id: UUID
    position_id: UUID
    price: Decimal
    fee: Decimal
    cause: Cause = Cause.MODEL
    note: str = ""


PaperFill = PaperEntry | PaperExit


@dataclass(frozen=True, slots=True)
class Filled:
    """What was written of one fill."""

    trade_id: UUID
    position_id: UUID
    bot_id: UUID
    client_id: UUID
    symbol: str
    action: Action
    side: Side
    price: Decimal
    quantity: Decimal
    size: Decimal
    fee: Decimal
    pnl: Decimal | None  # None: it opened something
    cause: Cause


@dataclass(frozen=True, slots=True)
class NewDecision:
    """One cycle of a bot that decides."""

    id: UUID
    client_id: UUID
    bot_id: UUID
    decided_at: datetime
    prompt_sent: str
    decisions: Sequence[Any]
    notes: Sequence[Any]
    is_success: bool


_LOCK = """
    SELECT a.bot_id, a.client_id, a.currency, a.allocated_capital, a.balance, a.realized_pnl_adjustment
      FROM bot_accounts a WHERE a.bot_id = ANY(%s) AND a.mode = 'paper' ORDER BY a.bot_id FOR NO KEY UPDATE
"""
_OPEN = """
    SELECT p.id, p.bot_id, p.symbol, p.position_type, p.leverage, p.opened_quantity, p.closed_quantity, p.basis_quantity,
           p.basis_cost, p.basis_entry_fees, p.realized_exact, p.exit_notional, p.peak_size, p.opened_at, p.mark_price,
           p.marked_at, p.unrealized_pnl, p.stop_loss, p.take_profit, p.liquidation_price
      FROM positions p WHERE p.bot_id = ANY(%s) AND p.status = 'open' AND p.mode = 'paper'
     ORDER BY p.bot_id, p.opened_at, p.id
"""
_DECISION = """
    INSERT INTO bot_decisions (id, client_id, bot_id, decided_at, prompt_sent, decisions_json, notes_json,
                               execution_success, source, source_id)
    VALUES (%s, %s, %s, %s, %s, %s::jsonb, %s::jsonb, %s, '', '')
"""
_POSITION = {
    "id": "uuid", "client_id": "uuid", "bot_id": "uuid", "symbol": "text", "currency": "text", "position_type": "text",
    "entry_price": "numeric", "size": "numeric", "leverage": "numeric", "opened_quantity": "numeric", "quantity": "numeric",
    "basis_quantity": "numeric", "basis_cost": "numeric", "basis_entry_fees": "numeric", "basis_fees": "numeric",
    "peak_size": "numeric", "mark_price": "numeric", "unrealized_pnl": "numeric", "stop_loss": "numeric",
    "take_profit": "numeric", "liquidation_price": "numeric",
}  # fmt: skip
_CLOSED = {
    "id": "uuid", "exit_price": "numeric", "size": "numeric", "closed_quantity": "numeric", "realized_pnl": "numeric",
    "realized_exact": "numeric", "exit_notional": "numeric", "mark_price": "numeric", "close_cause": "text",
}  # fmt: skip
_TRADE = {
    "id": "uuid", "client_id": "uuid", "bot_id": "uuid", "position_id": "uuid", "decision_id": "uuid", "symbol": "text",
    "currency": "text", "side": "text", "trade_type": "text", "action": "text", "price": "numeric", "quantity": "numeric",
    "closed_quantity": "numeric", "size": "numeric", "leverage": "numeric", "entry_price": "numeric",
    "exit_price": "numeric", "pnl": "numeric", "fee": "numeric", "fee_quote": "numeric", "cause": "text", "note": "text",
}  # fmt: skip


def _names(columns: Mapping[str, str], prefix: str = "") -> str:
    return ", ".join(f"{prefix}{name}" for name in columns)


def _record(columns: Mapping[str, str]) -> str:
    declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    return f"jsonb_to_recordset(%(rows)s::jsonb) AS x({declared})"


_INSERT_POSITIONS = f"""
    INSERT INTO positions ({_names(_POSITION)}, mode, market_type, status, closed_quantity, realized_pnl, realized_exact,
                           exit_notional, opened_at, traded_at, marked_at, close_cause, source, source_id, note, updated_at)
    SELECT {_names(_POSITION, "x.")}, '{Mode.PAPER}', '{MarketType.SWAP}', '{PositionStatus.OPEN}', 0, 0, 0, 0, %(at)s, %(at)s,
           %(at)s, '', '', '', '', %(now)s
      FROM {_record(_POSITION)} ORDER BY x.bot_id, x.id
"""  # noqa: S608 - made of constants
_CLOSE_POSITIONS = f"""
    UPDATE positions p SET status = '{PositionStatus.CLOSED}', exit_price = x.exit_price, size = x.size,
           closed_quantity = x.closed_quantity, quantity = 0, basis_fees = 0, realized_pnl = x.realized_pnl,
           realized_exact = x.realized_exact, exit_notional = x.exit_notional, mark_price = x.mark_price, marked_at = %(at)s,
           unrealized_pnl = 0, traded_at = %(at)s, closed_at = %(at)s, close_cause = x.close_cause, updated_at = %(now)s
      FROM {_record(_CLOSED)} WHERE p.id = x.id AND p.status = '{PositionStatus.OPEN}'
"""  # noqa: S608 - made of constants
_INSERT_TRADES = f"""
    INSERT INTO trades ({_names(_TRADE)}, mode, exchange, market_type, fee_currency, executed_at, recorded_at,
                        exchange_trade_id, exchange_order_id, source, source_id)
    SELECT {_names(_TRADE, "x.")}, '{Mode.PAPER}', '', '{MarketType.SWAP}', x.currency, %(at)s, %(now)s, '', '', '', ''
      FROM {_record(_TRADE)} ORDER BY x.bot_id, x.id
"""  # noqa: S608 - made of constants
_MOVE_CASH = """
    UPDATE bot_accounts a SET cash_flow = a.cash_flow + x.moved, updated_at = %(now)s
      FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(bot_id uuid, moved numeric) WHERE a.bot_id = x.bot_id
"""
# What is held now cost its basis, less the share of what an import had closed of it. A mark from far ahead is one from
# before the host's clock was set back.
_MARK = """
    WITH locked AS (
        SELECT p.id, x.price, x.at FROM positions p
          JOIN jsonb_to_recordset(%(rows)s::jsonb) AS x(symbol text, price numeric, at timestamptz) ON x.symbol = p.symbol
         WHERE p.mode = 'paper' AND p.status = 'open'
           AND (p.marked_at IS NULL OR p.marked_at < x.at OR p.marked_at > %(now)s + interval '1 minute')
         ORDER BY p.bot_id, p.id FOR NO KEY UPDATE OF p
    )
    UPDATE positions p SET mark_price = l.price, marked_at = l.at, updated_at = %(now)s,
           unrealized_pnl = round((CASE p.position_type WHEN 'LONG' THEN 1 ELSE -1 END) * (l.price * p.quantity
               - (p.basis_cost - CASE WHEN p.basis_quantity = p.quantity THEN 0
                  ELSE round(p.basis_cost * (p.basis_quantity - p.quantity) / p.basis_quantity, 36) END)), 18)
      FROM locked l WHERE p.id = l.id AND p.status = 'open'
"""
_PAY_FUNDING = """
    UPDATE positions p SET basis_entry_fees = x.basis_entry_fees, basis_fees = x.basis_fees, updated_at = %(now)s
      FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(id uuid, basis_entry_fees numeric, basis_fees numeric)
     WHERE p.id = x.id AND p.status = 'open'
"""


def lock_accounts(bot_ids: Collection[UUID]) -> dict[UUID, PaperAccount]:
    """The paper accounts of bots, ours until the transaction ends; a bot without one is left out."""
    return {row[0]: PaperAccount(*row) for row in fetch_all_hot(_LOCK, [sorted(bot_ids)])} if bot_ids else {}


def held_on_paper(bot_ids: Collection[UUID]) -> dict[UUID, HeldOnPaper]:
    """The open paper positions of bots by id; of each bot the oldest first. Exact where their accounts are locked."""
    rows = fetch_all_hot(_OPEN, [sorted(bot_ids)]) if bot_ids else []
    return {row[0]: _held(row) for row in rows}


def record_decision(decision: NewDecision) -> None:
    """Store one decision; its trades name it."""
    run_hot(
        _DECISION,
        [
            decision.id, decision.client_id, decision.bot_id, decision.decided_at, _storable(decision.prompt_sent),
            _json(decision.decisions), _json(decision.notes), decision.is_success,
        ],
    )  # fmt: skip


def record_fills(
    fills: Sequence[PaperFill], *, accounts: Mapping[UUID, PaperAccount], at: datetime, now: datetime,
    decision_id: UUID | None = None, place: str = "",
) -> list[Filled]:  # fmt: skip
    """Book fills of any number of bots, in their order, and return what was written of each.

    ``accounts`` are those locked in this transaction. ``place`` names the moment within the ledger (a turn's id): the
    same fill has the same id, so nothing is written twice. Raises NotHeld, and then nothing must be committed.
    """
    held = held_on_paper({fill.bot_id for fill in fills if isinstance(fill, PaperExit)})
    opened: list[dict[str, Any]] = []
    closed: list[dict[str, Any]] = []
    trades: list[dict[str, Any]] = []
    cash: dict[UUID, Decimal] = {}
    done: list[Filled] = []
    for index, fill in enumerate(fills):
        account = accounts[fill.bot_id]
        trade_id = fact_id(at, "paper_trade", fill.bot_id, place or str(decision_id), index)
        if isinstance(fill, PaperEntry):
            position_id = fact_id(at, "paper_position", fill.bot_id, place or str(decision_id), index)
            applied, side, symbol = _enter(fill)
            moved = WIDE.minus(bound(_left(applied)))
            opened.append(_opened(fill, account, position_id, _left(applied)))
        else:
            one = held.pop(fill.position_id, None)
            if one is None or one.bot_id != fill.bot_id:
                raise NotHeld("The position is not open any more; nothing was done.")
            applied, side, symbol = _leave(fill, one)
            position_id, moved = one.id, WIDE.add(bound(one.position), applied.pnl or ZERO)
            closed.append(_closed(fill, one.id, _left(applied)))
        cash[fill.bot_id] = WIDE.add(cash.get(fill.bot_id, ZERO), moved)
        quantity = fill.quantity if isinstance(fill, PaperEntry) else applied.closed_quantity
        done.append(
            Filled(trade_id, position_id, fill.bot_id, account.client_id, symbol, applied.action, side, fill.price, quantity,
                   applied.size, fill.fee, applied.pnl, fill.cause)
        )  # fmt: skip
        trades.append(_trade(done[-1], fill, account, applied, decision_id))
    moves = [{"bot_id": bot_id, "moved": moved} for bot_id, moved in cash.items()]
    for statement, rows in (
        (_INSERT_POSITIONS, opened), (_CLOSE_POSITIONS, closed), (_INSERT_TRADES, trades), (_MOVE_CASH, moves),
    ):  # fmt: skip
        if rows:
            changed = run_hot(statement, {"rows": as_json(rows), "at": at, "now": now})
            if statement is _CLOSE_POSITIONS and changed != len(closed):
                raise NotHeld("A position was closed meanwhile; nothing was done.")
    return done


def mark_positions(prices: Mapping[str, tuple[Decimal, datetime]], *, now: datetime) -> int:
    """Value what bots hold on paper at (price, when it was seen) by symbol; how many positions. Older prices change none."""
    rows = [{"symbol": symbol, "price": price, "at": at} for symbol, (price, at) in prices.items()]
    return run_hot(_MARK, {"rows": as_json(rows), "now": now}) if rows else 0


def pay_funding(amounts: Mapping[UUID, Decimal], *, held: Mapping[UUID, HeldOnPaper], now: datetime) -> None:
    """Take what open positions pay (negative: receive) by their id: it stands with their entry fees, so it is in the
    balance at once and in their profit once they close. Their accounts are locked."""
    rows, cash = [], dict[UUID, Decimal]()
    for position_id, paid in amounts.items():
        one = held[position_id]
        before = one.position
        share = WIDE.divide(WIDE.multiply(paid, before.basis_quantity), before.quantity)
        after = _with_fees(before, WIDE.add(before.basis_entry_fees, share))
        rows.append({"id": one.id, "basis_entry_fees": after.basis_entry_fees, "basis_fees": after.basis_fees})
        moved = WIDE.subtract(before.basis_fees, after.basis_fees)
        cash[one.bot_id] = WIDE.add(cash.get(one.bot_id, ZERO), moved)
    if rows:
        run_hot(_PAY_FUNDING, {"rows": as_json(rows), "now": now})
        moves = [{"bot_id": bot_id, "moved": moved} for bot_id, moved in cash.items()]
        run_hot(_MOVE_CASH, {"rows": as_json(moves), "now": now})


def _enter(fill: PaperEntry) -> tuple[Applied, Side, str]:
    side = Side.BUY if fill.action == Action.LONG else Side.SELL
    execution = Execution(side, fill.price, fill.quantity, fee_quote=fill.fee, leverage=fill.leverage)
    return enter(None, execution, action=fill.action, is_spot=False), side, fill.symbol


def _leave(fill: PaperExit, one: HeldOnPaper) -> tuple[Applied, Side, str]:
    side = Side.SELL if one.position.action == Action.LONG else Side.BUY
    execution = Execution(side, fill.price, one.position.quantity, fee_quote=fill.fee, leverage=one.position.leverage)
    return leave(one.position, execution, is_spot=False), side, one.symbol


def _left(applied: Applied) -> Position:
    if applied.position is None:
        raise AssertionError("A paper fill always touches a position.")
    return applied.position


def _opened(fill: PaperEntry, account: PaperAccount, position_id: UUID, position: Position) -> dict[str, Any]:
    return {
        "id": position_id, "client_id": account.client_id, "bot_id": fill.bot_id, "symbol": fill.symbol,
        "currency": account.currency, "position_type": str(fill.action), "entry_price": position.entry_price,
        "size": position.size, "leverage": position.leverage, "opened_quantity": position.opened_quantity,
        "quantity": position.quantity, "basis_quantity": position.basis_quantity, "basis_cost": position.basis_cost,
        "basis_entry_fees": position.basis_entry_fees, "basis_fees": position.basis_fees, "peak_size": position.peak_size,
        "mark_price": fill.price, "unrealized_pnl": ZERO, "stop_loss": fill.stop_loss, "take_profit": fill.take_profit,
        "liquidation_price": fill.liquidation_price,
    }  # fmt: skip


def _closed(fill: PaperExit, position_id: UUID, position: Position) -> dict[str, Any]:
    return {
        "id": position_id, "exit_price": position.exit_price, "size": position.peak_size,
        "closed_quantity": position.closed_quantity, "realized_pnl": position.realized_pnl,
        "realized_exact": position.realized_exact, "exit_notional": position.exit_notional, "mark_price": fill.price,
        "close_cause": str(fill.cause),
    }  # fmt: skip


def _trade(
    done: Filled, fill: PaperFill, account: PaperAccount, applied: Applied, decision_id: UUID | None
) -> dict[str, Any]:
    return {
        "id": done.trade_id, "client_id": done.client_id, "bot_id": done.bot_id, "position_id": done.position_id,
        "decision_id": decision_id, "symbol": done.symbol, "currency": account.currency, "side": str(done.side),
        "trade_type": str(applied.trade_type), "action": str(applied.action), "price": done.price,
        "quantity": done.quantity, "closed_quantity": applied.closed_quantity, "size": done.size,
        "leverage": applied.leverage, "entry_price": applied.entry_price, "exit_price": applied.exit_price,
        "pnl": applied.pnl, "fee": done.fee, "fee_quote": applied.fee_quote, "cause": str(done.cause), "note": fill.note[:300],
    }  # fmt: skip


def _held(row: tuple[Any, ...]) -> HeldOnPaper:
    id_, bot_id, symbol, action, leverage, *numbers = row[:13]
    return HeldOnPaper(id_, bot_id, symbol, Position(Action(action), leverage, *numbers), *row[13:])


def _with_fees(position: Position, fees: Decimal) -> Position:
    return replace(position, basis_entry_fees=fees)


def _json(values: Sequence[Any]) -> str:
    return exact_json(_storable(list(values)))


def _storable(value: Any) -> Any:
    """The same with what PostgreSQL cannot hold (NUL, half a surrogate pair) replaced: a model may write anything."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_storable(key): _storable(one) for key, one in value.items()}
    return [_storable(one) for one in value] if isinstance(value, (list, tuple)) else value
