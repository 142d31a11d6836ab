"""What a model said becomes what is done: decision, positions, trades and balance in one transaction, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from arena.models import Participant
from arena.rules.decision import validate
from arena.rules.execution import fee, fill_price, liquidation_price
from arena.rules.figures import amount_text, leverage_text, price_text
from arena.rules.reply import read_reply
from arena.rules.statuses import EventKind, TurnStatus
from arena.services.claim_turns import HELD_BACK, SCOPE, TakenTurn
from arena.services.events import NewEvent, tell, trade_event
from arena.services.guard_positions import exit_at_market, exits_due
from arena.services.halts import halt_by_rule
from arena.services.stand import Stand, stand_of
from arena.types import CloseOrder, Decision, EntryOrder, Reply, Validated
from arena.types_models import ModelAnswer
from exchanges.types import Side
from ground.hot_rows import hot_rows
from ground.sql import fetch_hot, run_hot
from ledger.rules.words import Action, Cause
from ledger.services.record_paper import (
    NewDecision,
    PaperEntry,
    PaperFill,
    held_on_paper,
    lock_accounts,
    record_decision,
    record_fills,
)

GOOD_FOR = timedelta(minutes=5)  # an answer that is acted upon later than that after its question is too old

_LOCK_TURN = "SELECT status FROM arena_turns WHERE id = %s AND lease_token = %s FOR UPDATE"
_END = """
    UPDATE arena_turns SET status = %(status)s, decision_id = %(decision)s, message = %(message)s, finished_at = %(now)s,
           lease_until = NULL
     WHERE id = %(id)s
"""
_COUNT = """
    UPDATE arena_participants SET unreadable_in_row = %s, refused_in_row = %s, peak_equity = %s, peak_capital = %s
     WHERE bot_id = %s
"""
_IS_HALTED = f"SELECT {HELD_BACK} FROM arena_participants p WHERE p.bot_id = %s FOR UPDATE OF p"  # noqa: S608


class Outcome(StrEnum):
    """How a turn ended."""

    EXECUTED = "executed"  # all that was asked for was done, or a HOLD was read
    REFUSED = "refused"  # at least one thing that was asked for was not done
    UNREADABLE = "unreadable"  # nobody could read the answer
    FAILED = "failed"  # there was no answer, or it came too late
    LEASE_LOST = "lease_lost"  # another worker has the turn; nothing was written


@dataclass(frozen=True, slots=True)
class _Read:
    reply: Reply
    problem: str = ""  # why nothing is carried out, whatever the reply says
    is_silent: bool = False  # there are no words at all: nothing was decided


def execute_turn(turn: TakenTurn, answer: ModelAnswer, *, prompt_sent: str, now: datetime) -> Outcome:
    """Carry out an answer at the prices of this moment, and end the turn.

    Everything is checked again within the transaction: the lease, pauses and switches, the money, the prices. What cannot
    be read or must not be done is a decision on record too, with the reason, and no success.
    """
    with SCOPE.transaction(reason=f"turn {turn.number}"):
        # The bot, its turn, its account: in this order, as a reset locks them.
        is_halted = bool((fetch_hot(_IS_HALTED, [turn.bot_id]) or (True,))[0])
        row = fetch_hot(_LOCK_TURN, [turn.id, turn.token])
        if row is None or row[0] != TurnStatus.ANSWERED:
            return Outcome.LEASE_LOST
        [participant] = hot_rows(Participant, "WHERE t.bot_id = %s", [turn.bot_id])
        accounts = lock_accounts([turn.bot_id])
        stand = stand_of(participant, accounts[turn.bot_id], held_on_paper([turn.bot_id]), now=now)
        read = _read(answer, stand)
        if read.is_silent:
            _end(turn, participant, Outcome.FAILED, stand, decision_id=None, message=read.problem, now=now)
            return Outcome.FAILED
        problem = read.problem or _why_not(turn, stand, is_halted=is_halted, now=now)
        checked = Validated() if problem else _validated(read.reply.decisions, stand, now=now)
        fills = _fills(turn.bot_id, checked, stand)
        is_success = checked.is_success and not problem and not any(note.is_failure for note in read.reply.notes)
        # The decision comes first, since its trades name it; its notes tell what the fills below come to.
        told = [_filled_words(fill, stand) for fill in fills]
        notes = [problem] * bool(problem) + [note.text for note in (*read.reply.notes, *checked.notes)] + told
        decisions = [decision_json(one) for one in read.reply.decisions]
        decision_id = uuid4()
        record_decision(
            NewDecision(decision_id, turn.client_id, turn.bot_id, now, prompt_sent, decisions, notes, is_success)
        )
        done = record_fills(fills, accounts=accounts, at=now, now=now, decision_id=decision_id, place=str(turn.id))
        outcome = _outcome(read, problem, is_success=is_success)
        if not problem:
            was_refused = not fills and not checked.holds
            participant.refused_in_row = participant.refused_in_row + 1 if was_refused else 0
        _end(turn, participant, outcome, stand, decision_id=decision_id, message=problem, now=now)
        tell([_event(turn, outcome, decision_id), *(trade_event(one) for one in done)], now=now)
        return outcome


def _read(answer: ModelAnswer, stand: Stand) -> _Read:
    if answer.error is not None:
        return _Read(Reply(), answer.error.message, is_silent=True)
    symbols = {*stand.limits.symbols, *(one.symbol for one in stand.held.values())}
    reply = read_reply(answer.text, symbols=symbols)
    return _Read(reply, reply.problem)


def _why_not(turn: TakenTurn, stand: Stand, *, is_halted: bool, now: datetime) -> str:
    """Why nothing of a readable answer is carried out; empty: it is."""
    if is_halted:
        return "The bot was paused, halted or stopped before its answer came; nothing was done."
    if turn.answered_at is not None and now - turn.answered_at > GOOD_FOR:
        return "The answer is too old to act upon; nothing was done."
    if why_stale := stand.why_stale:
        return f"{why_stale}; nothing was done."
    due = exits_due(list(stand.held.values()), stand.prices, stand.settings)
    if due:
        return "A stop or liquidation is due at this price and comes first; nothing was done."
    return ""


def _validated(decisions: Sequence[Decision], stand: Stand, *, now: datetime) -> Validated:
    return validate(
        decisions, portfolio=stand.portfolio, markets=stand.markets, limits=stand.limits, costs=stand.costs,
        cooldowns=stand.cooldowns, now=now,
    )  # fmt: skip


def _fills(bot_id: UUID, checked: Validated, stand: Stand) -> list[PaperFill]:
    fills: list[PaperFill] = []
    for order in checked.orders:
        if isinstance(order, CloseOrder):
            one, market = stand.held[order.position_id], stand.prices[order.symbol]
            fills.append(exit_at_market(one, market, stand.settings, cause=Cause.MODEL))
        else:
            fills.append(_entry(bot_id, order, stand))
    return fills


def _entry(bot_id: UUID, order: EntryOrder, stand: Stand) -> PaperEntry:
    market, costs = stand.prices[order.symbol], stand.costs
    side = Side.BUY if order.action == Action.LONG else Side.SELL
    assert market.price is not None  # noqa: S101 - fresh prices alone are in ``prices``
    price = fill_price(side=side, price=market.price, slippage_ratio=costs.slippage_ratio, tick=market.price_tick)
    return PaperEntry(
        bot_id=bot_id,
        symbol=order.symbol,
        action=order.action,
        price=price,
        quantity=order.quantity,
        leverage=order.leverage,
        fee=fee(notional=price * order.quantity, fee_ratio=costs.fee_ratio),
        stop_loss=order.stop_loss,
        take_profit=order.take_profit,
        liquidation_price=liquidation_price(
            action=order.action, entry_price=price, leverage=order.leverage, maintenance_ratio=costs.maintenance_ratio
        ),
    )


def _filled_words(fill: PaperFill, stand: Stand) -> str:
    """What a fill comes to, in words that the bot reads in its next briefing."""
    if isinstance(fill, PaperEntry):
        return (
            f"Opened {fill.action} {fill.symbol}: {price_text(fill.quantity)} at {price_text(fill.price)}, "
            f"{leverage_text(fill.leverage)}, fee {amount_text(fill.fee)}."
        )
    one = stand.held[fill.position_id]
    return (
        f"Closed {one.position.action} {one.symbol}: {price_text(one.position.quantity)} at {price_text(fill.price)}, "
        f"fee {amount_text(fill.fee)}."
    )


def _outcome(read: _Read, problem: str, *, is_success: bool) -> Outcome:
    if read.reply.problem:
        return Outcome.UNREADABLE
    return Outcome.EXECUTED if is_success and not problem else Outcome.REFUSED


def _end(
    turn: TakenTurn, participant: Participant, outcome: Outcome, stand: Stand, *, decision_id: UUID | None, message: str,
    now: datetime,
) -> None:  # fmt: skip
    status = TurnStatus.FAILED if outcome in (Outcome.FAILED, Outcome.UNREADABLE) else TurnStatus.DONE
    run_hot(_END, {"id": turn.id, "status": str(status), "decision": decision_id, "message": message[:500], "now": now})
    if outcome is Outcome.UNREADABLE:
        participant.unreadable_in_row += 1
    elif outcome is not Outcome.FAILED:
        participant.unreadable_in_row = 0
    equity = stand.portfolio.equity
    if equity is not None:
        given, peak = stand.portfolio.starting_balance, stand.portfolio.peak_equity
        participant.peak_equity, participant.peak_capital = max(given if peak is None else peak, equity), given
    counts = [participant.unreadable_in_row, participant.refused_in_row]
    run_hot(_COUNT, [*counts, participant.peak_equity, participant.peak_capital, participant.pk])
    halt_by_rule(participant, stand.settings, equity=equity, now=now)


def _event(turn: TakenTurn, outcome: Outcome, decision_id: UUID) -> NewEvent:
    payload = {"decision_id": str(decision_id), "turn": turn.number, "outcome": str(outcome)}
    return NewEvent(turn.client_id, turn.bot_id, EventKind.DECISION, payload)


def decision_json(one: Decision) -> dict[str, Any]:
    """A decision under the old arena's keys."""
    shape = {
        "action": str(one.action), "symbol": one.symbol, "size": one.size, "quantity": one.quantity,
        "leverage": one.leverage, "stopLoss": one.stop_loss, "takeProfit": one.take_profit, "confidence": one.confidence,
        "reasoning": one.reasoning,
    }  # fmt: skip
    return {key: value for key, value in shape.items() if value is not None and value != ""}
