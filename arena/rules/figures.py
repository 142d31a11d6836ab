"""Numbers in sentences, the same everywhere in the arena."""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal

_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_CENT = Decimal("0.01")


def amount_text(value: Decimal, currency: str = "") -> str:
    """An amount of money: "1,234.50 USDT"; below a cent with what digits it has."""
    shown = value.quantize(_CENT, context=_WIDE)
    text = f"{shown:,.2f}" if shown or not value else price_text(value)
    return f"{text} {currency}" if currency else text


def price_text(value: Decimal) -> str:
    """A price or quantity with every digit it has, up to eight significant ones behind a point: "45,230.5", "0.00001234"."""
    places = max(0, 7 - value.adjusted()) if value else 0
    text = f"{value.quantize(Decimal(1).scaleb(-places), context=_WIDE):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ratio_text(value: Decimal) -> str:
    """A ratio as people read it: "12.5 %"."""
    return f"{price_text((value * 100).quantize(_CENT, context=_WIDE))} %"


def leverage_text(value: Decimal) -> str:
    """ "3x"."""
    return f"{price_text(value)}x"


def duration_text(value: timedelta) -> str:
    """Whole minutes, rounded up: "12 minutes"; above two hours, hours."""
    minutes = max(1, -(-int(value.total_seconds()) // 60))
    if minutes >= 120:
        return f"{minutes // 60} hours" + (f" {minutes % 60} minutes" if minutes % 60 else "")
    return f"{minutes} minute{'' if minutes == 1 else 's'}"
