"""What a bot's own page shows of the ledger: its money, its figures, what it holds and what it did last."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db.models import QuerySet, Sum
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from bots.models import Bot, BotStats
from clients.admin_base import NOTHING, ago
from ledger.admin.shown import figure, linked, percent, plain, short
from ledger.admin.trades import action_badge, side_badge
from ledger.models import BotAccount, BotFee, EquityBucket, Position, Trade
from ledger.rules.words import BucketSpan, PositionStatus

SHOWN_POSITIONS = 8
SHOWN_TRADES = 8
SHOWN_HOURS = 168
WIDTH, HEIGHT = 640, 90
LISTS = (
    ("Trades", "trade", ""), ("Positions", "position", ""), ("Decisions", "botdecision", ""),
    ("Snapshots", "botstatesnapshot", ""), ("By hour", "bottradehour", ""),
)  # fmt: skip


def ledger_of(bot: Bot) -> dict[str, Any]:
    """The context of ``admin/bridge/ledger_section.html``: at most six queries, each for few rows."""
    account = BotAccount.objects.filter(bot=bot).first()
    held = Position.objects.filter(bot=bot, status=PositionStatus.OPEN)
    positions = list(held.order_by("-opened_at", "-id")[: SHOWN_POSITIONS + 1])
    trades = Trade.objects.filter(bot=bot).order_by("-executed_at", "-id").defer("extra")[:SHOWN_TRADES]
    hours = EquityBucket.objects.filter(bot=bot, span=BucketSpan.HOUR).order_by("-start_at")[:SHOWN_HOURS]
    return {
        "account": account,
        "money": _money(account, positions, held),
        "figures": _figures(BotStats.objects.filter(bot=bot).first(), list(BotFee.objects.filter(bot=bot)[:6])),
        "positions": [_position(row) for row in positions[:SHOWN_POSITIONS]],
        "more_positions": len(positions) > SHOWN_POSITIONS,
        "trades": [_trade(row) for row in trades],
        "curve": curve([bucket.last_value for bucket in hours][::-1]),
        "links": [(title, f"{reverse(f'admin:ledger_{name}_changelist')}?bot__id__exact={bot.pk}{more}")
                  for title, name, more in LISTS],
    }  # fmt: skip


def _money(
    account: BotAccount | None, positions: list[Position], held: QuerySet[Position]
) -> list[tuple[str, SafeString | str]]:
    if account is None:
        return []
    if len(positions) > SHOWN_POSITIONS:
        sums = held.order_by().aggregate(size=Sum("size"), gain=Sum("unrealized_pnl"))
        size, gain = sums["size"], sums["gain"]
        is_known = not held.filter(unrealized_pnl=None).exists()
    else:
        size = sum((row.size for row in positions), Decimal(0))
        gain = sum((row.unrealized_pnl or Decimal(0) for row in positions), Decimal(0))
        is_known = all(row.unrealized_pnl is not None for row in positions)
    equity = account.balance + size + gain if account.balance is not None and is_known else None
    return [
        ("capital", plain(account.allocated_capital) if account.allocated_capital is not None else "not allocated"),
        ("balance", figure(account.balance)),
        ("in positions", figure(size)),
        ("unrealised", figure(gain, gain=True) if is_known else "a position has no mark"),
        ("equity", figure(equity)),
    ]


def _figures(stats: BotStats | None, fees: list[BotFee]) -> list[tuple[str, SafeString | str]]:
    if stats is None:
        return []
    rate = Decimal(stats.wins) / stats.closed_trades if stats.closed_trades else None
    factor = stats.gross_profit / stats.gross_loss if stats.gross_loss else None
    return [
        ("executions", f"{stats.trades:,}"),
        ("closed with a result", f"{stats.closed_trades:,}"),
        ("realised profit", figure(stats.pnl, gain=True)),
        ("win rate", percent(rate)),
        ("profit factor", NOTHING if factor is None else short(round(factor, 3))),
        ("volume", figure(stats.volume)),
        ("fees", ", ".join(f"{short(fee.amount)} {fee.currency}" for fee in fees) or NOTHING),
        ("positions", f"{stats.positions_open:,} open, {stats.positions_closed:,} closed"),
        ("decisions", f"{stats.decisions:,}, {stats.decisions_successful:,} executed"),
        ("last trade", ago(stats.last_trade_at)),
    ]


def _position(row: Position) -> dict[str, Any]:
    return {
        "symbol": linked("ledger_position", row.pk, row.symbol),
        "direction": action_badge(row.position_type),
        "quantity": figure(row.quantity),
        "entry": figure(row.entry_price),
        "mark": figure(row.mark_price),
        "size": figure(row.size),
        "unrealized": figure(row.unrealized_pnl, gain=True),
        "opened": ago(row.opened_at),
    }


def _trade(row: Trade) -> dict[str, Any]:
    return {
        "executed": linked("ledger_trade", row.pk, f"{row.executed_at:%Y-%m-%d %H:%M:%S}"),
        "side": side_badge(row.side),
        "what": f"{row.trade_type} {row.action}",
        "symbol": row.symbol,
        "quantity": figure(row.quantity),
        "price": figure(row.price),
        "pnl": figure(row.pnl, gain=True),
    }


def curve(values: list[Decimal]) -> SafeString | str:
    """Equity over the newest hours as a line, drawn here: no script needed."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    step, span = WIDTH / (len(values) - 1), float(high - low) or 1.0
    points = " ".join(
        f"{n * step:.1f},{HEIGHT - 5 - float(value - low) / span * (HEIGHT - 10):.1f}" for n, value in enumerate(values)
    )
    color = "bridge-gain" if values[-1] >= values[0] else "bridge-loss"
    return format_html(
        '<svg class="bridge-curve {}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="equity">'
        '<polyline points="{}" fill="none" stroke="currentColor" stroke-width="2" vector-effect="non-scaling-stroke"/>'
        '</svg><p class="bridge-quiet">equity of the newest {} hours: {} to {}, now {}</p>',
        color, WIDTH, HEIGHT, points, len(values), short(low), short(high), short(values[-1]),
    )  # fmt: skip
