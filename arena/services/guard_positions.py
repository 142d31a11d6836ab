"""Between turns: stop-loss, take-profit and liquidation at the prices that were seen, and funding. Every price refresh
ends with this; it needs nobody's decision, and no pause or switch stops it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from arena.models import ArenaMarket, ArenaSettings, ArenaState
from arena.rules.execution import Guards, due_exit, exit_side, fee, fill_price, funding, funding_moments
from arena.services.events import tell, trade_event
from arena.services.refresh_prices import MOST_AHEAD, SCOPE, fresh_prices
from arena.services.settings_row import arena_settings
from ground.sql import fetch_all, run
from ledger.rules.words import Cause
from ledger.services.record_paper import (
    HeldOnPaper,
    PaperExit,
    held_on_paper,
    lock_accounts,
    pay_funding,
    record_fills,
)

MOST_AT_ONCE = 200  # bots in one transaction
NOTES = {
    Cause.STOP_LOSS: "Stop-loss {level} reached: seen at {price}.",
    Cause.TAKE_PROFIT: "Take-profit {level} reached: seen at {price}.",
    Cause.LIQUIDATION: "Liquidated: the price {price} was behind {level}, where its margin ends.",
}
# A first look without locks; each of them is looked at again once its account is locked.
_DUE = """
    SELECT DISTINCT p.bot_id FROM positions p
      JOIN arena_markets m ON m.exchange = %(exchange)s AND m.symbol = p.symbol AND m.observed_at >= %(since)s
     WHERE p.mode = 'paper' AND p.status = 'open' AND CASE p.position_type
           WHEN 'LONG' THEN m.price <= p.stop_loss OR m.price <= p.liquidation_price OR m.price >= p.take_profit
           ELSE m.price >= p.stop_loss OR m.price >= p.liquidation_price OR m.price <= p.take_profit END
     ORDER BY p.bot_id
"""
_ENFORCED = """
    UPDATE arena_state s SET enforced_at = m.newest
      FROM (SELECT max(observed_at) AS newest FROM arena_markets WHERE exchange = %(exchange)s AND price IS NOT NULL
               AND observed_at BETWEEN %(since)s AND %(until)s) m
     WHERE s.id = 1 AND m.newest IS NOT NULL
"""
_HOLDERS = "SELECT DISTINCT bot_id FROM positions WHERE mode = 'paper' AND status = 'open' ORDER BY bot_id"


@dataclass(frozen=True, slots=True)
class Guarded:
    """What one look did."""

    closed: int = 0
    funded: int = 0


def guard_positions(*, now: datetime) -> Guarded:
    """Close what has reached its stop, profit or liquidation, at the newest fresh price; book funding that is due.

    A position whose price is not fresh is left as it is: nothing fills at a price nobody sees. Safe twice and at once.
    """
    with SCOPE.transaction():
        chosen = arena_settings()
        since = now - timedelta(seconds=chosen.stale_after_s)
        due = [row[0] for row in fetch_all(_DUE, {"exchange": chosen.exchange, "since": since})]
    closed = sum(_close(due[start : start + MOST_AT_ONCE], now=now) for start in range(0, len(due), MOST_AT_ONCE))
    funded = _book_funding(chosen, now=now)
    with SCOPE.transaction():
        run(_ENFORCED, {"exchange": chosen.exchange, "since": since, "until": now + MOST_AHEAD})
    return Guarded(closed, funded)


def exits_due(held: Sequence[HeldOnPaper], prices: dict[str, ArenaMarket], chosen: ArenaSettings) -> list[PaperExit]:
    """The positions that must be closed at these prices, each at what it fills at."""
    found = []
    for one in held:
        market = prices.get(one.symbol)
        if market is None or market.price is None:
            continue
        guards = Guards(one.position.action, one.stop_loss, one.take_profit, one.liquidation_price)
        cause = due_exit(guards, market.price)
        if cause is not None:
            level = {Cause.STOP_LOSS: one.stop_loss, Cause.TAKE_PROFIT: one.take_profit}.get(
                cause, one.liquidation_price
            )
            note = NOTES[cause].format(level=shown(level), price=shown(market.price))
            found.append(exit_at_market(one, market, chosen, cause=cause, note=note))
    return found


def exit_at_market(
    one: HeldOnPaper, market: ArenaMarket, chosen: ArenaSettings, *, cause: Cause, note: str = ""
) -> PaperExit:
    """Closing a position now: at the market's price less slippage, and the fee of that."""
    if market.price is None:
        raise AssertionError("A market without a price closes nothing.")
    price = fill_price(
        side=exit_side(one.position.action), price=market.price, slippage_ratio=chosen.slippage_bps / 10_000,
        tick=market.price_tick,
    )  # fmt: skip
    cost = fee(notional=price * one.position.quantity, fee_ratio=chosen.fee_rate)
    return PaperExit(one.bot_id, one.id, price, cost, cause, note)


def shown(value: Decimal | None) -> str:
    """A number as people write it."""
    return "" if value is None else f"{value.normalize():f}"


def _close(bot_ids: list[UUID], *, now: datetime) -> int:
    with SCOPE.transaction(reason="stops, profits and liquidations"):
        chosen = arena_settings()
        accounts = lock_accounts(bot_ids)
        held = list(held_on_paper(accounts.keys()).values())
        prices = fresh_prices({one.symbol for one in held}, now=now)
        fills = exits_due(held, prices, chosen)
        if not fills:
            return 0
        done = record_fills(fills, accounts=accounts, at=now, now=now, place="guard")
        tell([trade_event(one) for one in done], now=now)
        return len(done)


def _book_funding(chosen: ArenaSettings, *, now: datetime) -> int:
    """Each moment of funding once, in order: the row of the arena's state is locked while it is booked."""
    with SCOPE.transaction(reason="funding"):
        ArenaState.objects.get_or_create(pk=1)
        state = ArenaState.objects.select_for_update().get(pk=1)
        if state.funded_at is None or not chosen.funding_rate_8h:
            ArenaState.objects.filter(pk=1).update(funded_at=now)
            return 0
        moments = funding_moments(since=state.funded_at, until=now)
        if not moments:
            return 0
        accounts = lock_accounts([row[0] for row in fetch_all(_HOLDERS)])
        held = held_on_paper(accounts.keys())
        paid: dict[UUID, Decimal] = {}
        for one in held.values():
            if one.mark_price is None:
                continue
            count = sum(moment > one.opened_at for moment in moments)
            each = funding(
                action=one.position.action, quantity=one.position.quantity, mark_price=one.mark_price,
                rate=chosen.funding_rate_8h,
            )  # fmt: skip
            if count and each:
                paid[one.id] = each * count
        pay_funding(paid, held=held, now=now)
        ArenaState.objects.filter(pk=1).update(funded_at=now)
        return len(paid)
