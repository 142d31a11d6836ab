"""Decimal in, plain decimal strings out: never an exponent, never a float in between."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal


def text(value: Decimal) -> str:
    """``0.00100`` and ``1E-3`` both read ``0.001``."""
    plain = f"{value:f}"
    return plain.rstrip("0").rstrip(".") or "0" if "." in plain else plain


def floor(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of ``step`` that is not above ``value``."""
    return (value / step).to_integral_value(rounding=ROUND_DOWN) * step


def places(step: Decimal) -> int:
    """Digits after the point that a multiple of ``step`` needs: 0.001 gives 3."""
    return max(0, -int(step.normalize().as_tuple().exponent))
