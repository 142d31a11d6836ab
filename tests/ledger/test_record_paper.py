"""What bots do on paper, through the real database: together or not at all, and as the ledger's rules want it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command

from bots.rules.words import RuntimeKind
from ground.scope import system_scope
from ledger.models import BotAccount, BotDecision, Position, Trade
from ledger.rules.words import Action, Cause
from ledger.services.allocate_capital import allocate_capital
from ledger.services.record_paper import (
    Filled,
    HeldOnPaper,
    NewDecision,
    NotHeld,
    PaperEntry,
    PaperExit,
    PaperFill,
    held_on_paper,
    lock_accounts,
    mark_positions,
    pay_funding,
    record_decision,
    record_fills,
)
from tests.fixtures import Cast, make_bot

SCOPE = system_scope("tests")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def player(cast: Cast) -> UUID:
    bot_id = make_bot("client_acme", runtime_kind=RuntimeKind.ARENA, pair="BTC/USDT", name="Astrologer")
    allocate_capital(scope=SCOPE, bot_id=bot_id, capital=D(10_000))
    return bot_id


def long(bot_id: UUID, price: str = "100", quantity: str = "10", fee: str = "0.5") -> PaperEntry:
    return PaperEntry(bot_id, "BTC/USDT", Action.LONG, D(price), D(quantity), D(5), D(fee), stop_loss=D(90))


def fill(fills: list[PaperFill], *, minute: int = 0, decision_id: UUID | None = None, place: str = "") -> list[Filled]:
    at = NOW + timedelta(minutes=minute)
    with SCOPE.transaction():
        accounts = lock_accounts({one.bot_id for one in fills})
        return record_fills(
            fills, accounts=accounts, at=at, now=at, decision_id=decision_id, place=place or str(minute)
        )


def held(bot_id: UUID) -> list[HeldOnPaper]:
    return sorted(held_on_paper([bot_id]).values(), key=lambda one: one.symbol)


def balance(bot_id: UUID) -> D:
    found = BotAccount.objects.get(bot_id=bot_id).balance
    assert found is not None
    return found


def test_an_entry_takes_margin_and_its_fee_and_an_exit_gives_back_what_is_left(player: UUID) -> None:
    opened = fill([long(player)])[0]
    assert (opened.size, opened.pnl, balance(player)) == (D(200), None, D("9799.5"))
    closed = fill([PaperExit(player, opened.position_id, D(110), D("0.55"), Cause.STOP_LOSS)], minute=1)[0]
    assert (closed.pnl, balance(player)) == (D("98.95"), D("10098.95"))  # 100 gained, both fees paid
    row = Position.objects.get(id=opened.position_id)
    assert (row.status, row.close_cause, row.quantity, row.unrealized_pnl) == ("closed", "stop_loss", 0, 0)
    call_command("verify_ledger")
    call_command("recompute_statistics")


def test_a_position_is_closed_once(player: UUID) -> None:
    opened = fill([long(player)])[0]
    leaving = PaperExit(player, opened.position_id, D(110), D("0.55"))
    fill([leaving], minute=1)
    for again in ([leaving], [long(player), leaving]):
        with pytest.raises(NotHeld):
            fill(again, minute=2)
    assert Trade.objects.filter(bot_id=player).count() == 2
    assert held(player) == []
    call_command("verify_ledger")


def test_a_decision_stands_with_all_that_came_of_it_or_not_at_all(player: UUID, cast: Cast) -> None:
    words = 'NUL \x00 and half a pair \ud800 {"a": 1}'
    for is_broken in (True, False):
        decision_id = uuid4()
        fills: list[PaperFill] = [long(player)]
        if is_broken:
            fills.append(PaperExit(player, uuid4(), D(1), D(0)))
        try:
            with SCOPE.transaction():
                accounts = lock_accounts([player])
                record_decision(
                    NewDecision(
                        decision_id, cast.acme, player, NOW, words, [{"why": words, "n": D("0.1")}], [words], True
                    )
                )
                record_fills(fills, accounts=accounts, at=NOW, now=NOW, decision_id=decision_id)
        except NotHeld:
            assert is_broken
            assert not BotDecision.objects.exists()
            assert balance(player) == 10_000
    trade = Trade.objects.get()
    assert trade.decision is not None
    assert trade.decision.prompt_sent.startswith("NUL \ufffd and half a pair ?")
    assert trade.decision.decisions_json[0]["n"] == D("0.1")


def test_marks_value_what_is_held_and_older_prices_change_nothing(player: UUID) -> None:
    fill([long(player), PaperEntry(player, "ETH/USDT", Action.SHORT, D(50), D(4), D(2), D("0.1"))])
    later = NOW + timedelta(seconds=10)
    with SCOPE.transaction():
        assert mark_positions({"BTC/USDT": (D(103), later), "ETH/USDT": (D(51), later)}, now=later) == 2
        assert mark_positions({"BTC/USDT": (D(1), NOW), "DOGE/USDT": (D(1), later)}, now=later) == 0
    assert [(one.unrealized_pnl, one.mark_price) for one in held(player)] == [(D(30), D(103)), (D(-4), D(51))]


def test_funding_leaves_the_balance_at_once_and_the_profit_at_the_close(player: UUID) -> None:
    opened = fill([long(player)])[0]
    with SCOPE.transaction():
        lock_accounts([player])
        pay_funding({opened.position_id: D("1.25")}, held=held_on_paper([player]), now=NOW)
    assert balance(player) == D("9798.25")
    call_command("verify_ledger")
    closed = fill([PaperExit(player, opened.position_id, D(100), D("0.5"))], minute=1)[0]
    assert (closed.pnl, balance(player)) == (D("-2.25"), D("9997.75"))
    call_command("verify_ledger")
