"""What columns do not hold is left over, and put back."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ledger.rules import arena_shape
from ledger.rules.arena_shape import exact_value, leftover, order_shape, plain, restored, written

EXIT: dict[str, Any] = {
    "order_id": "order_1", "symbol": "XRP/USDT", "action": "LONG", "trade_type": "exit", "price": Decimal("2.450"),
    "entry_price": Decimal("2.4"), "size": Decimal(100), "leverage": Decimal(3), "pnl": Decimal("5.23"), "fee": None,
    "executed_ms": 1730912107000,
}  # fmt: skip


def test_nothing_is_left_over_where_columns_hold_all() -> None:
    original = exact_value(
        '{"timestamp": 1730912107000, "pnl": 5.230, "id": "order_1", "symbol": "XRPUSDT", "action": "LONG",'
        ' "side": "exit", "price": 2.45, "size": 100.0, "leverage": 3}'
    )
    shaped = order_shape(arena_shape.AUDIT, **EXIT)
    assert leftover(original, shaped) is None
    assert written(shaped) == (
        '{"id":"order_1","symbol":"XRPUSDT","action":"LONG","side":"exit","price":2.45,"size":100,"leverage":3,'
        '"timestamp":1730912107000,"pnl":5.23}'
    )
    assert plain(Decimal("12345678901234567890.123456789012345600")) == "12345678901234567890.1234567890123456"


@given(
    st.dictionaries(
        st.sampled_from(["id", "symbol", "type", "side", "price", "exitPrice", "pnl", "timestamp", "fee", "whim"]),
        st.recursive(
            st.none() | st.booleans() | st.text() | st.integers() | st.floats() | st.just("2.45") | st.just(2.45),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=6,
        ),
    ),
    st.sampled_from([arena_shape.AUDIT, arena_shape.POSITION, arena_shape.OPEN_CLOSE]),
)
def test_any_original_comes_back_from_columns_and_what_was_left_over(original: dict[str, Any], form: str) -> None:
    text = json.dumps(original)
    extra = leftover(exact_value(text), order_shape(form, **EXIT), form=form)
    stored = None if extra is None else written(extra)
    assert stored is None or _is_strict_json(stored)
    again = restored(order_shape(form, **EXIT), None if stored is None else exact_value(stored))
    assert _by_value(written(again)) == _by_value(text)


def test_a_column_that_changed_is_right_and_one_that_did_not_keeps_the_old_spelling() -> None:
    original = exact_value('{"stopLoss": "44800.0", "pnl": 1.00000000000000000019, "whim": 1.50}')
    extra = leftover(original, {"stopLoss": Decimal(44800), "pnl": Decimal(1)})
    assert written(
        restored({"stopLoss": Decimal("44800.00"), "pnl": Decimal(1)}, extra, can_change=arena_shape.LIVING)
    ) == written(original)
    moved = {"stopLoss": Decimal(44900), "pnl": Decimal(2)}
    assert written(restored(moved, extra, can_change=arena_shape.LIVING)) == '{"stopLoss":44900,"pnl":2,"whim":1.50}'


def _is_strict_json(text: str) -> bool:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    json.loads(text, parse_constant=refuse)
    return True


def _by_value(text: str) -> Any:
    """JSON as values in which 1 and 1.0 are one, true is not 1, and NaN is itself."""
    return json.loads(
        text, parse_float=lambda n: ("number", Decimal(n)), parse_int=lambda n: ("number", Decimal(n)),
        parse_constant=lambda word: ("constant", word),
    )  # fmt: skip
