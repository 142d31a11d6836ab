from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.symbols import QUOTES, base_quote, normalize, to_hummingbot
from ground.errors import InvalidInput


@pytest.mark.parametrize(
    "text",
    ["BTC/USDT", "BTCUSDT", "BTC_USDT", "BTC-USDT", "btc-usdt", "btcusdt", " btc/usdt\n", "BTC/USDT:USDT", "Btc_Usdt"],
)
def test_takes_every_way_of_writing_for_the_same_pair(text: str) -> None:
    assert normalize(text) == "BTC/USDT"
    assert base_quote(text) == ("BTC", "USDT")
    assert to_hummingbot(text) == "BTC-USDT"


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("ETHBTC", "ETH/BTC"),
        ("SHARPUSDT", "SHARP/USDT"),
        ("1000SHIBUSDT", "1000SHIB/USDT"),
        ("USDCUSDT", "USDC/USDT"),
        ("BTCFDUSD", "BTC/FDUSD"),
        ("BTCUSD", "BTC/USD"),
        ("BTCUSDC", "BTC/USDC"),
        ("BTCBUSD", "BTC/BUSD"),
        ("BTCTUSD", "BTC/TUSD"),
        ("BNBUSD", "BNB/USD"),  # not BN/BUSD
        ("DOTUSD", "DOT/USD"),  # not DO/TUSD
        ("SHIBUSD", "SHIB/USD"),
        ("BTC/USD:BTC", "BTC/USD"),
        ("XBT/USD", "XBT/USD"),
    ],
)
def test_splits_a_pair_without_a_separator_at_its_quote(text: str, pair: str) -> None:
    assert normalize(text) == pair


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "/",
        "BTC/",
        "/USDT",
        "BTC",
        "USDT",
        "FDUSD",
        "BTC/USDT/ETH",
        "BTC//USDT",
        "../../etc/passwd",
        "BTC/USDT\0",
        "BTC/US DT",
        "BTC%2FUSDT",
        "BTC/USDT:USDT-260626",
        "BTC/BTC",
        "<script>",
        "B" * 21 + "/USDT",
        "A" * 60,
        "ΒΤC/USDT",  # Greek letters
        "btc;drop table",
        None,
        5,
        ["BTC/USDT"],
    ],
)
def test_refuses_what_is_no_pair_with_a_sentence_that_helps(text: object) -> None:
    with pytest.raises(InvalidInput) as refusal:
        normalize(text)  # type: ignore[arg-type]
    assert refusal.value.code == "invalid_symbol"
    assert "such as BTC/USDT" in refusal.value.message


CURRENCY = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=10)


@given(base=CURRENCY, quote=st.sampled_from(sorted(QUOTES)), separator=st.sampled_from("/-_"))
def test_normalizing_twice_changes_nothing(base: str, quote: str, separator: str) -> None:
    if base == quote:
        return
    pair = normalize(f"{base}{separator}{quote}".lower())
    assert pair == f"{base}/{quote}"
    assert normalize(pair) == pair
    assert normalize(to_hummingbot(pair)) == pair


@given(st.text(max_size=60))
def test_any_text_is_a_pair_or_a_refusal(text: str) -> None:
    try:
        pair = normalize(text)
    except InvalidInput:
        return
    base, quote = pair.split("/")
    assert base.isascii() and base.isalnum() and quote.isascii() and quote.isalnum()
