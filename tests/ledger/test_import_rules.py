"""How one old item is read, and how a JSON text is walked, without a database."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.rules import arena_items
from ledger.rules.arena_items import digest_of, read_log, read_order
from ledger.rules.arena_shape import Number, exact_value, order_shape, restored, written
from ledger.rules.arena_values import Refused, moment_of
from ledger.rules.arena_words import was_executed
from ledger.services.import_arena.read_state import read_state
from ledger.services.import_arena.seam import Unreadable, path_of
from tests.ledger import arena_blobs

NUMBERS = st.sampled_from([0, 1, 2.45, -3, 100, "2.45", None, True, 1e-7, 123456789.123456789, 10**16, "x"])
ORDERS = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b" * 190, 7]), "symbol": st.sampled_from(["BTCUSDT", "BTC/USDT", "?"])},
    optional={
        "action": st.sampled_from(["LONG", "SHORT", "long", "OPEN", "CLOSE"]), "side": st.sampled_from(["entry", "exit"]),
        "type": st.sampled_from(["LONG", "SHORT"]), "trade_type": st.sampled_from(["LONG", "entry", "exit"]),
        "price": NUMBERS, "entryPrice": NUMBERS, "exitPrice": NUMBERS, "size": NUMBERS, "leverage": NUMBERS, "pnl": NUMBERS,
        "fee": NUMBERS, "timestamp": st.sampled_from([1730912107000, 1730912107, "2024-11-06T16:55:07Z", 1730912107000.5]),
        "whim": st.none() | st.text(max_size=3),
    },
)  # fmt: skip


def pieces(data: bytes, size: int) -> Callable[[int], bytes]:
    """A ``read`` that gives so many bytes at a time."""
    file = io.BytesIO(data)
    return lambda _wanted: file.read(size)


@given(
    ORDERS
    | st.sampled_from(
        [order for form in arena_blobs.FORMS for order in arena_blobs.state(form=form)["bots"][0]["orders"]]
    )
)
def test_an_order_comes_back_from_its_columns_and_the_short_way_gives_the_same(order: dict[str, Any]) -> None:
    item = exact_value(json.dumps(order))
    try:
        read = arena_items._read_any(item)
    except Refused:
        assert arena_items._read_plain(item) is None
        return
    assert arena_items._read_plain(item) in (None, read)
    extra = exact_value(read.extra) if read.extra else None
    shape = order_shape(
        (extra or {}).get("form", "audit"), order_id=read.source_id, symbol=read.symbol, action=read.action,
        trade_type=read.trade_type, price=Decimal(read.price), entry_price=Number(read.entry_price or "0"),
        size=Decimal(read.size), leverage=Decimal(read.leverage), pnl=read.pnl and Decimal(read.pnl),
        fee=read.fee and Decimal(read.fee), executed_ms=read.at_us // 1000,
    )  # fmt: skip
    assert json.loads(written(restored(shape, extra)), parse_float=Decimal) == json.loads(
        json.dumps(order), parse_float=Decimal
    )


def test_the_arenas_own_orders_go_the_short_way() -> None:
    for form in ("audit", "position"):
        orders = [exact_value(json.dumps(order)) for order in arena_blobs.state(form=form)["bots"][0]["orders"]]
        for order in orders:
            read_order(order)
        assert None not in [arena_items._read_plain(order) for order in orders]


@given(st.integers(1, 40), st.sampled_from(arena_blobs.FORMS))
def test_a_state_is_the_same_in_pieces_of_any_size(size: int, form: str) -> None:
    state = arena_blobs.state(orders=3, logs=1, form=form, bots=1)
    state["marketData"] = state["marketData"][:3]
    state["whim"] = ["é", '🚀 \\ " \n', 1e-7, [], {}]
    plain = json.dumps(state, ensure_ascii=False, indent=1).encode()
    whole = list(read_state(pieces(plain, 1 << 20)))
    assert [path_of(item) for item in whole if item.problem] == []
    assert list(read_state(pieces(plain, size))) == whole
    wrapped = json.dumps({"state": plain.decode()}).encode()
    assert list(read_state(pieces(wrapped, size))) == whole


def test_a_text_that_is_cut_off_is_never_read_whole() -> None:
    state = json.dumps({"whim": "é\\", **arena_blobs.state(orders=2, logs=1, bots=1), "marketData": [1]}).encode()
    for text in (state, json.dumps({"state": state.decode()}).encode()):
        for cut in range(0, len(text), 11):
            with pytest.raises(Unreadable):
                list(read_state(pieces(text[:cut], 64)))


@pytest.mark.parametrize(
    "told",
    [Number("1730912107"), Number("1730912107000"), Number("1730912107000000"), Number("1.730912107E+9"), "1730912107000",
     "2024-11-06T16:55:07Z", "2024-11-06T17:55:07+01:00", "2024-11-06 16:55:07", "2024-11-06T16:55:07.000"],
)  # fmt: skip
def test_an_instant_is_read_however_it_is_told(told: Any) -> None:
    assert moment_of(told, "timestamp") == 1_730_912_107_000_000


def test_a_decision_counts_when_it_was_carried_out_not_when_it_was_answered() -> None:
    trade, hold = [{"action": "LONG"}], [{"action": "HOLD"}]
    for decisions, notes, carried_out in [
        (trade, ["✅ Position opened successfully", "Entry price: $2.45"], True),
        (trade, ["SUCCESS: Opened LONG BTCUSDT position"], True),
        (trade, ["SUCCESS: Closed BTCUSDT position. PnL: $1.20 (fee: $0.30)"], True),
        (trade, ["NOTE: Trade size adjusted from $5 to fit available margin", "SUCCESS: Opened SHORT X"], True),
        (trade, [], False),  # answered, no more
        (trade, ["Entry price: $2.45"], False),
        (trade, ["REJECTED LONG BTCUSDT: Adjusted size too small."], False),
        (trade, ["SUCCESS: Opened LONG A", "Execution Error: timeout"], False),
        (hold, [], True),  # rightly held
        (hold, ["ERROR: Market data not found"], False),
        ([], [], False),
    ]:
        assert was_executed(decisions=decisions, notes=notes) is carried_out, (decisions, notes)


def test_a_log_without_an_id_has_one_name_however_it_is_written() -> None:
    one = exact_value('{"timestamp": 1730912107000, "prompt": "é", "decisions": [{"a": 2.40}], "notes": []}')
    other = exact_value('{"notes":[],"prompt":"\\u00e9","decisions":[{"a":24e-1}],"timestamp":1730912107000}')
    assert digest_of(one) == digest_of(other) != digest_of(one | {"prompt": "e"})
    endless = exact_value('{"timestamp": 1730912107000, "decisions": [1e99999], "notes": ["x"]}')
    read = read_log(endless)
    assert read.decisions == "[]" and "1e99999" in (read.extra or "")
