"""Recording what exchanges report: each execution once, on the right book, whatever order they come in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from bots.rules.words import RuntimeKind
from exchanges.symbols import base_quote
from ground.errors import InvalidInput
from ground.scope import Scope
from ground.sql import fetch_all, run
from ledger.rules.acceptance import accept
from ledger.rules.books import Booked, Fact
from ledger.rules.ids import fact_id
from ledger.rules.pnl import ZERO, apply
from ledger.rules.words import Cause, Mode
from ledger.services.book_rows import (
    BookKey,
    PositionRow,
    as_json,
    derived_of,
    execution_of,
    load_open_positions,
)
from ledger.services.books import Owner, Pending, changes_of
from ledger.services.write_books import Changes, write
from ledger.types import NewExecution, Recorded, Refused

MOST_AT_ONCE = 5000  # executions in one transaction

ON_PAPER = "Its bot trades on paper, so this execution is kept without a bot."
OTHER_CURRENCY = "Its bot's account is kept in another currency, so this execution is kept without a bot."
IMPORTED = "Its bot holds an imported position in this market, so this execution is kept without a bot."


def record_executions(*, scope: Scope, executions: Sequence[NewExecution], now: datetime) -> Recorded:
    """Store executions and what follows from them for positions, results and balances, all of it or (on an error) none.

    Safe twice: an execution is known by its connector, market, symbol and id. One that was stored without its bot gets
    it, one that is reported with other facts is corrected, and one that comes late has its book booked again. Which can
    not be stored is said in ``refused``. Beyond 5,000 executions each 5,000 of them, oldest first, are a transaction.
    """
    accepted, refused = _accepted(executions)
    recorded = Recorded(known=len(executions) - len(accepted) - len(refused), refused=tuple(refused))
    for start in range(0, len(accepted), MOST_AT_ONCE):
        with scope.transaction(reason="executions reported by an exchange"):
            recorded = recorded.plus(_record(accepted[start : start + MOST_AT_ONCE], now=now))
    return recorded


@dataclass(frozen=True, slots=True)
class _Known:
    """A stored execution that was reported again."""

    client_id: UUID
    bot_id: UUID | None
    fact: Fact
    columns: dict[str, Any]  # its facts


@dataclass(frozen=True, slots=True)
class _Account:
    client_id: UUID
    mode: str
    currency: str


@dataclass(slots=True)
class _Sorted:
    """The executions of one call by what is to be done with them."""

    pending: dict[BookKey, list[Pending]] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)  # of executions without a bot
    recorded: Recorded = field(default_factory=Recorded)

    def count(self, *, new: int = 0, known: int = 0, corrected: int = 0, unattributed: int = 0) -> None:
        self.recorded = self.recorded.plus(Recorded(new, known, corrected, unattributed))

    def refuse(self, execution: NewExecution, reason: str) -> None:
        self.recorded = self.recorded.plus(Recorded(refused=(Refused(execution, reason),)))


def _accepted(executions: Sequence[NewExecution]) -> tuple[list[NewExecution], list[Refused]]:
    """Those that can be held, each once, oldest first. Of two reports of one the later stands."""
    found: dict[tuple[UUID, str, str, str], NewExecution] = {}
    refused: list[Refused] = []
    for execution in executions:
        try:
            one = accept(execution)
        except InvalidInput as error:
            refused.append(Refused(execution, error.message))
            continue
        earlier = found.get(one.key)
        found[one.key] = replace(one, bot_id=one.bot_id or earlier.bot_id) if earlier else one
    return sorted(found.values(), key=lambda one: one.trade.executed_at), refused


def _record(executions: Sequence[NewExecution], *, now: datetime) -> Recorded:
    sorted_ = _Sorted()
    ours = list(_of_known_parties(executions, sorted_))
    _lock_connectors(ours)
    known = _load_known(ours)
    accounts = _lock_accounts(ours, known)
    open_positions = load_open_positions(_books(ours))
    for execution in ours:
        stored = known.get(execution.key)
        if stored is None:
            _sort_new(execution, accounts, open_positions, sorted_)
        else:
            _sort_known(execution, stored, accounts, open_positions, sorted_)
    missing = [key for key in sorted_.pending if key not in open_positions]
    owners = {bot_id: Owner(account.client_id, account.currency) for bot_id, account in accounts.items()}
    changes = changes_of(sorted_.pending, owners=owners, open_positions=open_positions | load_open_positions(missing))
    changes.new_trades += sorted_.changes.new_trades
    changes.changed_trades += sorted_.changes.changed_trades
    write(changes, now=now)
    return sorted_.recorded


_PARTIES = """
    SELECT x.client_id, x.connector_id, x.bot_id
      FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(client_id uuid, connector_id uuid, bot_id uuid)
      JOIN connectors c ON c.id = x.connector_id AND c.client_id = x.client_id
      LEFT JOIN bots b ON b.id = x.bot_id AND b.client_id = x.client_id
     WHERE x.bot_id IS NULL OR b.id IS NOT NULL
"""


def _of_known_parties(executions: Sequence[NewExecution], sorted_: _Sorted) -> Iterator[NewExecution]:
    """Those whose connector and bot are the client's; the others are refused."""
    wanted = {(one.client_id, one.connector_id, one.bot_id) for one in executions}
    rows = [dict(zip(("client_id", "connector_id", "bot_id"), party, strict=True)) for party in wanted]
    found = set(fetch_all(_PARTIES, {"rows": as_json(rows)})) if rows else set()
    for one in executions:
        if (one.client_id, one.connector_id, one.bot_id) in found:
            yield one
        else:
            sorted_.refuse(one, "Its connector or its bot is not one of its client's.")


def _lock_connectors(executions: Sequence[NewExecution]) -> None:
    """One writer at a time for the executions of a connector, so that what is known of them stays so."""
    ids = sorted({str(one.connector_id) for one in executions})
    run(
        "SELECT pg_advisory_xact_lock(hashtextextended('ledger ' || id, 0)) FROM unnest(%s::text[]) WITH ORDINALITY "
        "AS x(id, place) ORDER BY place",
        [ids],
    )


_KNOWN = """
    SELECT t.connector_id, t.market_type, t.symbol, t.exchange_trade_id, t.client_id, t.bot_id, t.id, t.executed_at,
           t.cause, t.side, t.price, t.quantity, t.leverage, t.fee, t.fee_currency
      FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(connector_id uuid, market_type text, symbol text, trade_id text)
      JOIN trades t ON t.connector_id = x.connector_id AND t.market_type = x.market_type AND t.symbol = x.symbol
       AND t.exchange_trade_id = x.trade_id AND t.exchange_trade_id <> '' AND t.connector_id IS NOT NULL
"""


def _load_known(executions: Sequence[NewExecution]) -> dict[tuple[UUID, str, str, str], _Known]:
    rows = [
        dict(zip(("connector_id", "market_type", "symbol", "trade_id"), one.key, strict=True)) for one in executions
    ]
    found = {}
    for row in fetch_all(_KNOWN, {"rows": as_json(rows)}) if rows else []:
        connector_id, _, symbol, trade_id, client_id, bot_id, id_, at, cause, side, *numbers, currency = row
        price, quantity, leverage, fee = numbers
        execution = execution_of(
            symbol=symbol, side=side, price=price, quantity=quantity, leverage=leverage, fee=fee, currency=currency
        )
        columns = {
            "side": side, "price": price, "quantity": quantity, "fee": fee, "fee_currency": currency, "executed_at": at,
        }  # fmt: skip
        fact = Fact(id_, trade_id, at, connector_id, Cause(cause), execution)
        found[row[:4]] = _Known(client_id, bot_id, fact, columns)
    return found


_WITHOUT_ACCOUNT = """
    SELECT b.id AS bot_id, b.client_id, b.pair FROM bots b
     WHERE b.id = ANY(%s) AND b.runtime_kind <> %s AND NOT EXISTS (SELECT FROM bot_accounts a WHERE a.bot_id = b.id)
"""
_OPEN_ACCOUNTS = """
    INSERT INTO bot_accounts (bot_id, client_id, mode, currency, cash_flow, realized_pnl_adjustment, balance_adjustment,
                              opened_at, updated_at)
    SELECT x.bot_id, x.client_id, 'live', x.currency, 0, 0, 0, now(), now()
      FROM jsonb_to_recordset(%(rows)s::jsonb) AS x(bot_id uuid, client_id uuid, currency text) ORDER BY x.bot_id
    ON CONFLICT (bot_id) DO NOTHING
"""
_LOCK_ACCOUNTS = """
    SELECT a.bot_id, a.client_id, a.mode, a.currency FROM bot_accounts a WHERE a.bot_id = ANY(%s)
     ORDER BY a.bot_id FOR NO KEY UPDATE
"""


def _lock_accounts(
    executions: Sequence[NewExecution], known: dict[tuple[UUID, str, str, str], _Known]
) -> dict[UUID, _Account]:
    """The accounts of all bots concerned, ours until the transaction ends; opened where a live bot had none."""
    bots = {one.bot_id for one in executions if one.bot_id} | {one.bot_id for one in known.values() if one.bot_id}
    if not bots:
        return {}
    accounts = _locked(bots)
    if len(accounts) < len(bots):
        without = fetch_all(_WITHOUT_ACCOUNT, [list(bots - accounts.keys()), RuntimeKind.ARENA])
        opened = [
            {"bot_id": id_, "client_id": client, "currency": base_quote(pair)[1]} for id_, client, pair in without
        ]
        if opened:
            run(_OPEN_ACCOUNTS, {"rows": as_json(opened)})
            accounts = _locked(bots)
    return accounts


def _locked(bots: set[UUID]) -> dict[UUID, _Account]:
    return {row[0]: _Account(*row[1:]) for row in fetch_all(_LOCK_ACCOUNTS, [list(bots)])}


def _books(executions: Sequence[NewExecution]) -> set[BookKey]:
    return {_book(one.bot_id, one) for one in executions if one.bot_id}


def _book(bot_id: UUID, execution: NewExecution) -> BookKey:
    return BookKey(bot_id, str(execution.market_type), execution.trade.symbol)


def _why_no_bot(
    execution: NewExecution, accounts: dict[UUID, _Account], open_positions: dict[BookKey, dict[UUID, PositionRow]]
) -> str | None:
    """Why an execution cannot stand in its bot's book; None: it can. Empty where it names no bot."""
    if execution.bot_id is None:
        return ""
    account = accounts.get(execution.bot_id)
    if account is None or account.mode != Mode.LIVE:
        return ON_PAPER
    if account.currency != base_quote(execution.trade.symbol)[1]:
        return OTHER_CURRENCY
    positions = open_positions[_book(execution.bot_id, execution)].values()
    return IMPORTED if any(row.is_imported for row in positions) else None


def _sort_new(
    execution: NewExecution,
    accounts: dict[UUID, _Account],
    open_positions: dict[BookKey, dict[UUID, PositionRow]],
    sorted_: _Sorted,
) -> None:
    trade = execution.trade
    fact = _fact(execution, fact_id(trade.executed_at, "exchange_trade", *execution.key))
    note = _why_no_bot(execution, accounts, open_positions)
    columns = _columns(execution, fact)
    if note is None and execution.bot_id:
        key = _book(execution.bot_id, execution)
        sorted_.pending.setdefault(key, []).append(Pending(fact, fact.order, columns, is_stored=False))
        return sorted_.count(new=1)
    sorted_.changes.new_trades.append(columns | {"bot_id": None, "note": note} | _without_book(fact))
    return sorted_.count(new=1, unattributed=1)


def _sort_known(
    execution: NewExecution,
    stored: _Known,
    accounts: dict[UUID, _Account],
    open_positions: dict[BookKey, dict[UUID, PositionRow]],
    sorted_: _Sorted,
) -> None:
    if stored.bot_id and execution.bot_id and stored.bot_id != execution.bot_id:
        return sorted_.refuse(execution, "It is recorded already, as another bot's.")
    corrected = _corrections(execution, stored)
    fact = _fact_again(stored, corrected, symbol=execution.trade.symbol)
    if abs(fact.execution.fee_base or ZERO) >= fact.execution.quantity:
        return sorted_.refuse(execution, "With what is known of its fee, that is as large as what it traded.")
    note = None if stored.bot_id else _why_no_bot(execution, accounts, open_positions)
    bot_id = stored.bot_id or (execution.bot_id if note is None else None)
    if bot_id is None:
        if corrected:
            sorted_.changes.changed_trades.append({"id": fact.trade_id} | corrected | _without_book(fact))
        return sorted_.count(corrected=1 if corrected else 0, known=0 if corrected else 1, unattributed=1)
    if stored.bot_id and not corrected:
        return sorted_.count(known=1)
    if not stored.bot_id:
        corrected |= {"bot_id": bot_id, "note": ""}
    pending = Pending(fact, min(fact.order, stored.fact.order), corrected, is_stored=True)
    sorted_.pending.setdefault(_book(bot_id, execution), []).append(pending)
    return sorted_.count(corrected=1)


def _corrections(execution: NewExecution, stored: _Known) -> dict[str, Any]:
    """What is now reported otherwise. A fee that is not told does not take back one that was."""
    trade = execution.trade
    told: dict[str, Any] = {
        "side": str(trade.side),
        "price": trade.price,
        "quantity": trade.quantity,
        "executed_at": trade.executed_at,
    }
    if trade.fee is not None:
        told |= {"fee": trade.fee, "fee_currency": trade.fee_currency or ""}
    return {name: value for name, value in told.items() if stored.columns[name] != value}


def _fact(execution: NewExecution, trade_id: UUID) -> Fact:
    trade = execution.trade
    executed = execution_of(
        symbol=trade.symbol,
        side=trade.side,
        price=trade.price,
        quantity=trade.quantity,
        leverage=execution.leverage,
        fee=trade.fee,
        currency=trade.fee_currency or "",
    )
    return Fact(trade_id, trade.exchange_trade_id, trade.executed_at, execution.connector_id, execution.cause, executed)


def _fact_again(stored: _Known, corrected: dict[str, Any], *, symbol: str) -> Fact:
    """The stored fact, with what was corrected."""
    now = stored.columns | corrected
    executed = execution_of(
        symbol=symbol,
        side=now["side"],
        price=now["price"],
        quantity=now["quantity"],
        leverage=stored.fact.execution.leverage,
        fee=now["fee"],
        currency=now["fee_currency"],
    )
    return replace(stored.fact, executed_at=now["executed_at"], execution=executed)


def _columns(execution: NewExecution, fact: Fact) -> dict[str, Any]:
    """The columns of a new trade that do not follow from its book."""
    trade = execution.trade
    return {
        "id": fact.trade_id,
        "client_id": execution.client_id,
        "bot_id": execution.bot_id,
        "connector_id": execution.connector_id,
        "exchange": execution.exchange,
        "market_type": str(execution.market_type),
        "symbol": trade.symbol,
        "currency": base_quote(trade.symbol)[1],
        "side": str(trade.side),
        "price": trade.price,
        "quantity": trade.quantity,
        "leverage": execution.leverage,
        "fee": trade.fee,
        "fee_currency": trade.fee_currency or "",
        "cause": str(execution.cause),
        "executed_at": trade.executed_at,
        "exchange_trade_id": trade.exchange_trade_id,
        "exchange_order_id": trade.order_id or "",
        "note": "",
    }


def _without_book(fact: Fact) -> dict[str, Any]:
    """What follows of an execution that stands in no book: a buy enters, a sell leaves what nobody saw entered."""
    applied = replace(apply(None, fact.execution, is_spot=True), position=None)
    return derived_of(Booked(fact, applied, None)).columns
