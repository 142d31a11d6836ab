"""What the public pages' templates are given: words and figures as people read them.

Of a decision only what stands in ``_ASKED`` and its reasoning goes on: a record may hold more, since an import brings what
it found.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from arena.rules.figures import amount_text, duration_text, leverage_text, price_text, ratio_text
from arena.rules.sparkline import HEIGHT, WIDTH, spark_points
from arena.rules.statuses import ProviderKind, TurnStatus
from arena.selectors.public import BOTS_A_PAGE, BotFigures, Candles, Decided, Line, Points
from ledger.rules.words import Cause, Period

NOTHING = "–"
PERIODS = {Period.DAILY: "Day", Period.WEEKLY: "Week", Period.MONTHLY: "Month", Period.ALL_TIME: "All time"}
KINDS = {
    ProviderKind.OPENAI: "OpenAI", ProviderKind.ANTHROPIC: "Anthropic", ProviderKind.GOOGLE: "Google",
    ProviderKind.OPENAI_COMPATIBLE: "OpenAI-compatible",
}  # fmt: skip
STATES = {
    "plays": "plays: it takes its turns", "paused": "paused: no turns; what it holds is guarded",
    "halted": "halted by a switch or a limit; what it holds is guarded", "stopped": "not started",
}  # fmt: skip
CAUSES = {
    Cause.MODEL: "its model", Cause.OPERATOR: "a person", Cause.STOP_LOSS: "stop-loss", Cause.TAKE_PROFIT: "take-profit",
    Cause.LIQUIDATION: "liquidation", Cause.RUNTIME: "its strategy", Cause.IMPORT: "imported",
}  # fmt: skip
LONGEST_REASONING = 2000
LONGEST_NOTE = 600
MOST_NOTES = 30
MOST_ANSWERS = 20
_ASKED = (("size", "size"), ("leverage", "leverage"), ("stopLoss", "stop"), ("stop_loss", "stop"),
          ("takeProfit", "target"), ("take_profit", "target"), ("confidence", "confidence"))  # fmt: skip


def line_shown(one: Line, points: Points) -> dict[str, Any]:
    """A row of the leaderboard."""
    return {
        "id": str(one.id),
        "name": one.name,
        "asks": asks(one.model, one.kind),
        "state": one.state,
        "state_says": STATES[one.state],
        "rank": one.rank,
        "equity": amount(one.equity),
        "currency": one.currency or "",
        "profit": gain(one.profit),
        "return": percent_gain(one.return_pct),
        "trades": NOTHING if one.total_trades is None else f"{one.total_trades:,}",
        "win_rate": share(one.win_rate),
        "drawdown": share(one.max_drawdown),
        "sharpe": NOTHING if one.sharpe_ratio is None else f"{one.sharpe_ratio:.2f}",
        "spark": spark_points(points),
        "spark_rises": len(points) > 1 and points[-1][1] >= points[0][1],
        "box": f"0 0 {WIDTH} {HEIGHT}",
    }


def pages_shown(lines: list[Line], page: int) -> dict[str, Any]:
    """How many bots there are, and which pages of them stand beside this one."""
    total = lines[0].total if lines else 0
    more = page * BOTS_A_PAGE < total
    return {"total": total, "page": page, "before": page - 1 if page > 1 else None, "after": page + 1 if more else None}


def decision_shown(one: Decided) -> dict[str, Any]:
    """A decision with its answers, its reasoning and what came of it."""
    answers = one.decisions if isinstance(one.decisions, list) else [one.decisions]
    notes = one.notes if isinstance(one.notes, list) else [one.notes]
    word, color = "executed", "good"
    if not one.is_success:
        word, color = ("unreadable", "bad") if one.turn_status == TurnStatus.FAILED else ("not all done", "odd")
    return {
        "id": str(one.id),
        "bot_id": str(one.bot_id),
        "bot_name": one.bot_name,
        "at": one.decided_at,
        "outcome": word,
        "color": color,
        "turn": one.turn,
        "prompt": one.prompt,
        "answers": [_answer(answer) for answer in answers[:MOST_ANSWERS] if isinstance(answer, Mapping)],
        "notes": [_note(note) for note in notes[:MOST_NOTES]],
    }


def position_shown(row: tuple[Any, ...]) -> dict[str, Any]:
    (_, symbol, direction, size, leverage, quantity, entry, mark, pnl, stop, target, liquidation, at, currency) = row
    return {
        "symbol": symbol, "direction": direction, "size": amount(size), "leverage": leverage_text(leverage),
        "quantity": price(quantity), "entry": price(entry), "mark": price(mark), "gain": gain(pnl), "stop": price(stop),
        "target": price(target), "liquidation": price(liquidation), "opened_at": at, "currency": currency,
    }  # fmt: skip


def trade_shown(row: tuple[Any, ...]) -> dict[str, Any]:
    (trade_id, at, symbol, direction, kind, at_price, quantity, size, leverage, pnl, fee, cause, currency) = row
    return {
        "id": str(trade_id), "at": at, "symbol": symbol, "direction": direction, "kind": kind, "price": price(at_price),
        "quantity": price(quantity), "size": amount(size), "leverage": leverage_text(leverage), "gain": gain(pnl),
        "fee": amount(fee), "cause": CAUSES.get(cause, cause), "currency": currency,
    }  # fmt: skip


def bot_shown(found: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """The context of a bot's page."""
    one: BotFigures = found["bot"]
    spent, today, calls = found["spent"]
    tokens_in, tokens_out, asked = found["tokens"]
    return {
        "bot": figures_shown(one),
        "periods": [_period_shown(period, found["periods"].get(str(period)), one) for period in Period],
        "positions": [position_shown(row) for row in found["positions"]],
        "trades": [trade_shown(row) for row in found["trades"]],
        "decisions": [decision_shown(row) for row in found["decisions"]],
        "more": found["more"],
        "symbols": found["symbols"],
        "costs": {"spent": usd(spent), "today": usd(today), "calls": f"{calls:,}", "is_one": calls == 1,
                  "tokens_in": f"{tokens_in:,}",
                  "tokens_out": f"{tokens_out:,}", "asked": f"{asked:,}", "fees": amount(one.fees)},
        "waits": waits(one, now=now),
    }  # fmt: skip


def figures_shown(one: BotFigures) -> dict[str, Any]:
    whole = one.equity - one.capital if one.equity is not None and one.capital is not None else None
    return {
        "id": str(one.id), "name": one.name, "asks": asks(one.model, one.kind), "state": one.state,
        "state_says": STATES[one.state], "equity": amount(one.equity), "balance": amount(one.balance),
        "unrealized": gain(one.unrealized), "profit": gain(whole),
        "return": percent_gain(whole / one.capital * 100 if whole is not None and one.capital else None),
        "capital": amount(one.capital), "currency": one.currency or "", "prompt": one.prompt,
        "turns": f"{one.turns:,}", "began_at": one.began_at,
        "limits": [
            ("a turn every", f"{one.turn_interval_s} s"), ("thinks", "in several steps" if one.is_advanced else "once a turn"),
            ("least margin", amount(one.min_size)), ("most leverage", leverage_text(one.max_leverage)),
            ("most positions", str(one.max_open_positions)), ("most exposure", leverage_text(one.max_exposure_ratio)),
            ("halts at a fall of", ratio_text(one.max_drawdown_ratio)), ("cool-down", f"{one.cooldown_minutes} min"),
        ],
    }  # fmt: skip


def waits(one: BotFigures, *, now: datetime) -> str:
    """What a page says where nothing has happened yet."""
    if one.state != "plays":
        return {"paused": "It is paused.", "halted": "It is halted.", "stopped": "It is not started."}[one.state]
    if one.next_turn_at <= now:
        return "Its next turn is due now."
    left = duration_text(one.next_turn_at - now) if (one.next_turn_at - now).total_seconds() > 90 else "a moment"
    return f"Next turn in {left}, at {one.next_turn_at:%H:%M:%S} UTC."


def asks(model: str, kind: str) -> dict[str, str]:
    """Which model it asks, and of what kind its provider is; never the provider's name or address."""
    return {"model": model or "no model yet", "kind": KINDS[ProviderKind(kind)] if kind else ""}


def amount(value: Decimal | None) -> str:
    return NOTHING if value is None else amount_text(value)


def price(value: Decimal | None) -> str:
    return NOTHING if value is None else price_text(value)


def usd(value: Decimal) -> str:
    return f"{value:,.2f}" if value >= 1 or not value else f"{value:.4f}"


def share(ratio: Decimal | None) -> str:
    return NOTHING if ratio is None else f"{ratio * 100:.1f} %"


def gain(value: Decimal | None) -> dict[str, str]:
    """An amount with its sign, and a colour's name."""
    if value is None:
        return {"text": NOTHING, "color": "none"}
    text = amount_text(abs(value))
    return {"text": f"{_sign(value)}{text}", "color": _color(value)}


def percent_gain(value: Decimal | None) -> dict[str, str]:
    if value is None:
        return {"text": NOTHING, "color": "none"}
    shown = round(value, 2)
    return {"text": f"{_sign(shown)}{abs(shown):,.2f} %", "color": _color(shown)}


def _period_shown(period: Period, row: tuple[Any, ...] | None, one: BotFigures) -> dict[str, Any]:
    begin, trades, win_rate, drawdown, sharpe, fees = row or (None,) * 6
    if period is Period.ALL_TIME:  # boards are made each minute; this is known at once
        trades, fees, begin = one.trades, one.fees, begin or one.capital
    profit = one.equity - begin if one.equity is not None and begin is not None else None
    return {
        "title": PERIODS[period], "profit": gain(profit),
        "return": percent_gain(profit / begin * 100 if profit is not None and begin else None),
        "trades": NOTHING if trades is None else f"{trades:,}", "win_rate": share(win_rate), "drawdown": share(drawdown),
        "sharpe": NOTHING if sharpe is None else f"{sharpe:.2f}", "fees": amount(fees),
    }  # fmt: skip


def _answer(one: Mapping[str, Any]) -> dict[str, Any]:
    action = str(one.get("action") or one.get("direction") or "?")[:20].upper()
    told = dict.fromkeys(f"{word} {_figure(one[key])}" for key, word in _ASKED if _is_told(one.get(key)))
    reason = one.get("reasoning") or one.get("reason") or ""
    return {"action": action, "symbol": str(one.get("symbol") or "")[:41], "told": list(told),
            "reasoning": str(reason)[:LONGEST_REASONING]}  # fmt: skip


def _is_told(value: Any) -> bool:
    return isinstance(value, int | float | Decimal | str) and not isinstance(value, bool) and value not in ("", 0)


def _figure(value: Any) -> str:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return str(value)[:40]
    return price_text(number) if number.is_finite() and abs(number) < Decimal("1e20") else str(value)[:40]


def _note(one: Any) -> str:
    text = one.get("text") or one.get("note") or "" if isinstance(one, Mapping) else one
    return str(text)[:LONGEST_NOTE]


def _sign(value: Decimal) -> str:
    return "+" if value > 0 else "−" if value < 0 else ""


def _color(value: Decimal) -> str:
    return "up" if value > 0 else "down" if value < 0 else "none"


def curve_shown(points: Points) -> list[list[float]]:
    """Two columns for a chart: seconds, and change in percent since the first."""
    begin = points[0][1] if points else None
    if not begin:
        return [[], []]
    return [[at for at, _ in points], [round(float(value / begin - 1) * 100, 3) for _, value in points]]


def equity_shown(points: Points) -> list[list[float]]:
    """Two columns for a chart: seconds, and equity."""
    return [[at for at, _ in points], [round(float(value), 2) for _, value in points]]


def bar_shown(row: tuple[Any, ...]) -> list[float]:
    """A chart draws with floats; nothing is counted with them."""
    return [row[0], *(float(price) for price in row[1:])]


def candles_shown(found: Candles) -> dict[str, Any]:
    marks = [
        {"time": at, "direction": direction, "kind": kind, "pnl": None if pnl is None else gain(pnl)["text"],
         "is_loss": pnl is not None and pnl < 0}
        for at, direction, kind, _, pnl, _ in found.trades
    ]  # fmt: skip
    levels = [
        {"price": float(value), "title": title}
        for row in found.held
        for value, title in zip(row, ("entry", "stop", "target", "liquidation"), strict=True)
        if value is not None
    ]
    return {"bars": [bar_shown(row) for row in found.bars], "marks": marks, "levels": levels}
