"""What a strategy left open: whose orders are whose, and whether the account holds what the ledger says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from exchanges.types import MarketType, OpenOrder, Side
from strategies.rules.carried import AccountSeen, HeldPosition, describe_carried, sentence_of

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
ORDER = OpenOrder("7", "alpha-1", "BTC/USDT", Side.BUY, Decimal("50000.50"), Decimal("0.0020"), Decimal(0), NOW)
LONG = HeldPosition("BTC/USDT", "LONG", Decimal("0.200"), Decimal(48000), NOW)


def described(**given: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "positions": (), "account": AccountSeen([]), "market_type": MarketType.SPOT, "order_prefix": "", "sharers": (),
    }  # fmt: skip
    return describe_carried(**(fields | given), now=NOW)


@pytest.mark.parametrize(
    ("prefix", "sharers", "order", "whose"),
    [
        ("", (), ORDER, "own"),
        ("", ("other bot",), ORDER, "shared"),
        ("alpha-", ("other bot",), ORDER, "own"),
        ("alpha-", ("other bot",), replace(ORDER, client_order_id="beta-9"), "other"),
        ("alpha-", (), replace(ORDER, client_order_id="by hand"), "other"),
        ("alpha-", ("other bot",), replace(ORDER, client_order_id=None), "shared"),
    ],
)
def test_tells_whose_an_order_is_by_its_client_order_id_or_says_that_it_cannot(
    prefix: str, sharers: tuple[str, ...], order: OpenOrder, whose: str
) -> None:
    shown = described(account=AccountSeen([order]), order_prefix=prefix, sharers=sharers)
    assert [row["whose"] for row in shown["orders"]] == [whose]


@pytest.mark.parametrize(
    ("positions", "held", "market", "match"),
    [
        ((), None, "spot", "none"),
        ((LONG,), Decimal("0.2"), "spot", "covered"),
        ((LONG, LONG), Decimal("0.3"), "spot", "short"),
        ((LONG,), Decimal(0), "spot", "short"),
        ((LONG,), None, "spot", "unknown"),
        ((LONG,), Decimal(5), "swap", "unknown"),
    ],
)
def test_compares_positions_with_what_the_account_holds(
    positions: tuple[HeldPosition, ...], held: Decimal | None, market: str, match: str
) -> None:
    shown = described(positions=positions, account=AccountSeen([], held), market_type=MarketType(market))
    assert shown["positions_match"] == match


def test_numbers_are_exact_text_and_the_sentence_counts() -> None:
    shown = described(positions=(LONG,), account=AccountSeen([ORDER], Decimal(1)))
    (order,), (position,) = shown["orders"], shown["positions"]
    assert (order["price"], order["quantity"], order["filled"]) == ("50000.5", "0.002", "0")
    assert (position["quantity"], position["entry_price"]) == ("0.2", "48000")
    assert sentence_of(shown) == "Carries 1 open position and 1 open order."


def test_orders_that_could_not_be_read_are_not_shown_as_none() -> None:
    shown = described(account=AccountSeen(problem="KuCoin did not answer"))
    assert shown["orders"] is None
    assert sentence_of(shown) == "Carries 0 open positions; its open orders could not be read: KuCoin did not answer"
