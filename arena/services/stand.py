"""Where a bot stands: its money, what it holds, the markets it sees, its limits and cool-downs, as the rules take them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from arena.models import ArenaMarket, ArenaSettings, Participant
from arena.rules.risk import peak_since
from arena.services.refresh_prices import is_fresh, markets_of
from arena.services.settings_row import arena_settings
from arena.types import Costs, Limits, MarketRule, OpenPosition, Portfolio
from exchanges.symbols import normalize
from ground.sql import fetch_all_hot, fetch_hot
from ledger.rules.pnl import unrealized_pnl
from ledger.services.record_paper import HeldOnPaper, PaperAccount

ZERO = Decimal(0)
_CLOSED = """
    SELECT symbol, max(closed_at) FROM positions
     WHERE bot_id = %s AND mode = 'paper' AND status = 'closed' AND closed_at > %s GROUP BY symbol
"""
_RESULT = "SELECT coalesce(pnl, 0) FROM bot_stats WHERE bot_id = %s"


@dataclass(frozen=True, slots=True)
class Stand:
    """One bot at one moment. ``markets`` without a fresh price have None for it."""

    portfolio: Portfolio
    markets: dict[str, MarketRule]
    limits: Limits
    costs: Costs
    cooldowns: dict[str, datetime]
    held: dict[UUID, HeldOnPaper]
    prices: dict[str, ArenaMarket]  # fresh ones
    settings: ArenaSettings
    prices_at: datetime | None  # of the oldest fresh price; None: there is none

    @property
    def why_stale(self) -> str:
        """Why nothing is decided at these prices; empty: there are some, and one of everything that is held."""
        missing = sorted({one.symbol for one in self.held.values()} - self.prices.keys())
        if missing:
            return f"There is no fresh price of {', '.join(missing)}, which it holds"
        return "" if self.prices else "Prices are older than the arena allows"


def stand_of(participant: Participant, account: PaperAccount, held: dict[UUID, HeldOnPaper], *, now: datetime) -> Stand:
    """Within the caller's transaction. What is held is valued at fresh prices alone: without one, equity is not known."""
    chosen = arena_settings()
    known = {row.symbol: row for row in markets_of(chosen)}
    own = frozenset(normalize(symbol) for symbol in participant.symbols) or frozenset(
        symbol for symbol, row in known.items() if row.is_traded
    )
    seen = own | {one.symbol for one in held.values()}
    prices = {symbol: row for symbol, row in known.items() if symbol in seen and is_fresh(row, chosen, now=now)}
    markets = {symbol: _rule(known[symbol], prices.get(symbol)) for symbol in sorted(seen) if symbol in known}
    result = fetch_hot(_RESULT, [account.bot_id])
    positions = tuple(_position(one, prices.get(one.symbol)) for one in held.values())
    gains = [position.unrealized_pnl for position in positions]
    equity = None
    if account.balance is not None and all(gain is not None for gain in gains):
        equity = account.balance + sum((one.size for one in positions), ZERO) + sum((g for g in gains if g), ZERO)
    portfolio = Portfolio(
        balance=account.balance if account.balance is not None else ZERO,
        equity=equity,
        peak_equity=peak_since(
            participant.peak_equity,
            capital_then=participant.peak_capital,
            capital=account.allocated_capital,
            equity=equity,
        ),
        starting_balance=account.allocated_capital or ZERO,
        positions=positions,
        realized_pnl=(result[0] if result else ZERO) + account.realized_pnl_adjustment,
        currency=account.currency,
    )
    cooldown = timedelta(minutes=participant.cooldown_minutes)
    closed = fetch_all_hot(_CLOSED, [account.bot_id, now - cooldown])
    return Stand(
        portfolio=portfolio,
        markets=markets,
        limits=limits_of(participant, own),
        costs=costs_of(chosen),
        cooldowns={symbol: at + cooldown for symbol, at in closed},
        held=held,
        prices=prices,
        settings=chosen,
        prices_at=min((row.observed_at for row in prices.values() if row.observed_at), default=None),
    )


def limits_of(participant: Participant, symbols: frozenset[str]) -> Limits:
    """What the bot's row allows; nothing else widens it."""
    return Limits(
        symbols=symbols,
        min_size=participant.min_size,
        max_leverage=participant.max_leverage,
        max_leverage_by_symbol={
            normalize(symbol): Decimal(str(most)) for symbol, most in participant.leverage_by_symbol.items()
        },
        max_open_positions=participant.max_open_positions,
        max_exposure_ratio=participant.max_exposure_ratio,
        max_drawdown_ratio=participant.max_drawdown_ratio,
        cooldown=timedelta(minutes=participant.cooldown_minutes),
    )


def costs_of(chosen: ArenaSettings) -> Costs:
    """What paper execution charges now."""
    return Costs(
        fee_ratio=chosen.fee_rate,
        slippage_ratio=chosen.slippage_bps / 10_000,
        maintenance_ratio=chosen.maintenance_margin_ratio,
    )


def _rule(row: ArenaMarket, fresh: ArenaMarket | None) -> MarketRule:
    return MarketRule(
        symbol=row.symbol,
        price=fresh.price if fresh else None,
        price_tick=row.price_tick,
        quantity_step=row.quantity_step if row.is_traded else None,
        min_quantity=row.minimum_quantity,
        min_notional=row.minimum_notional,
        max_leverage=row.max_leverage,
        priced_at=fresh.observed_at if fresh else None,
        change_24h_ratio=row.change_24h_ratio,
        quote_volume_24h=row.quote_volume_24h,
    )


def _position(one: HeldOnPaper, fresh: ArenaMarket | None) -> OpenPosition:
    price = fresh.price if fresh else None
    return OpenPosition(
        position_id=one.id,
        symbol=one.symbol,
        action=one.position.action,
        quantity=one.position.quantity,
        entry_price=one.position.entry_price,
        size=one.position.size,
        leverage=one.position.leverage,
        opened_at=one.opened_at,
        mark_price=price,
        unrealized_pnl=None if price is None else unrealized_pnl(one.position, mark_price=price),
        stop_loss=one.stop_loss,
        take_profit=one.take_profit,
        liquidation_price=one.liquidation_price,
    )
