from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import ccxt
import pytest

from exchanges.carried import CARRIED, NEEDS_MORE, credential_names
from exchanges.hummingbot import NEED_MORE, connector_name, hummingbot_credentials, memo_word
from exchanges.names import known_connectors, resolve
from exchanges.types import Credentials, MarketType
from ground.errors import InvalidInput

SPOT, SWAP = MarketType.SPOT, MarketType.SWAP

# Every name of the recorded list that ccxt carries, reviewed by hand.
CARRIED_NAMES = {
    "backpack": ("backpack", SPOT),
    "backpack_perpetual": ("backpack", SWAP),
    "binance": ("binance", SPOT),
    "binance_perpetual": ("binanceusdm", SWAP),
    "bing_x": ("bingx", SPOT),
    "bitget": ("bitget", SPOT),
    "bitget_perpetual": ("bitget", SWAP),
    "bitrue": ("bitrue", SPOT),
    "bitstamp": ("bitstamp", SPOT),
    "btc_markets": ("btcmarkets", SPOT),
    "bybit": ("bybit", SPOT),
    "bybit_perpetual": ("bybit", SWAP),
    "coinbase_advanced_trade": ("coinbase", SPOT),
    "derive": ("derive", SPOT),
    "derive_perpetual": ("derive", SWAP),
    "dydx_v4_perpetual": ("dydx", SWAP),
    "foxbit": ("foxbit", SPOT),
    "gate_io": ("gate", SPOT),
    "gate_io_perpetual": ("gate", SWAP),
    "gemini": ("gemini", SPOT),
    "grvt_perpetual": ("grvt", SWAP),
    "htx": ("htx", SPOT),
    "hyperliquid": ("hyperliquid", SPOT),
    "hyperliquid_perpetual": ("hyperliquid", SWAP),
    "kraken": ("kraken", SPOT),
    "kucoin": ("kucoin", SPOT),
    "kucoin_hft": ("kucoin", SPOT),
    "kucoin_perpetual": ("kucoinfutures", SWAP),
    "lighter": ("lighter", SPOT),
    "lighter_perpetual": ("lighter", SWAP),
    "mexc": ("mexc", SPOT),
    "ndax": ("ndax", SPOT),
    "okx": ("okx", SPOT),
    "okx_perpetual": ("okx", SWAP),
    "pacifica_perpetual": ("pacifica", SWAP),
}
BY_DESIGN_UNREADABLE = {"dydx_v4_perpetual", "ndax"}


@pytest.fixture
def connectors(shared: Path) -> list[str]:
    names: list[str] = json.loads(
        (shared / "contracts" / "hummingbot-api" / "examples" / "connectors.list.json").read_text()
    )["body"]
    assert len(names) == 63
    return names


def test_every_recorded_connector_is_mapped_or_says_why_not(connectors: list[str]) -> None:
    for name in connectors:
        market = resolve(name)
        assert market.known, name
        if name in CARRIED_NAMES:
            assert market.carried, name
            assert (market.exchange, market.market_type) == CARRIED_NAMES[name]
            assert market.exchange in ccxt.exchanges
            assert getattr(ccxt, market.exchange)().has[market.market_type.value] is not False
            assert market.reads_trades == (name not in BY_DESIGN_UNREADABLE)
            assert bool(market.note) == (name in BY_DESIGN_UNREADABLE)
        else:
            assert not market.carried and not market.reads_trades, name
            assert market.note.endswith(".") and len(market.note) > 20, name
    assert set(CARRIED_NAMES) <= set(connectors)


@pytest.mark.parametrize(
    ("name", "exchange", "market_type"),
    [
        ("KuCoin", "kucoin", SPOT),
        ("Gate.io", "gate", SPOT),
        ("gateio", "gate", SPOT),
        (" binance_perpetual ", "binanceusdm", SWAP),
        ("binanceusdm", "binanceusdm", SWAP),
        ("krakenfutures", "krakenfutures", SWAP),
        ("htx_perpetual", "htx", SWAP),
        ("huobi", "htx", SPOT),
        ("okex", "okx", SPOT),
        ("bitget-perpetual", "bitget", SWAP),
    ],
)
def test_takes_ccxt_ids_and_other_spellings(name: str, exchange: str, market_type: MarketType) -> None:
    market = resolve(name)
    assert (market.exchange, market.market_type, market.carried) == (exchange, market_type, True)


def test_knows_what_is_not_an_exchange_to_read_trades_from() -> None:
    bitmart = resolve("bitmart")
    assert (bitmart.known, bitmart.carried, bitmart.title) == (True, False, "BitMart")
    assert "closed in 2026" in bitmart.note
    assert not resolve("bitmart_perpetual").carried
    paper = resolve("kucoin_paper_trade")
    assert (paper.known, paper.carried, paper.exchange) == (True, False, "kucoin")
    testnet = resolve("bybit_perpetual_testnet")
    assert (testnet.known, testnet.carried, testnet.market_type) == (True, False, SWAP)
    assert not resolve("bitstamp_perpetual_testnet").carried


@pytest.mark.parametrize("name", ["ghostex", "", "../../etc", "a" * 200, "kucoin\0", "kucoin;", None, 7, "_perpetual"])
def test_a_name_that_nobody_knows_is_said_to_be_unknown(name: object) -> None:
    market = resolve(name)  # type: ignore[arg-type]
    assert (market.known, market.carried, market.reads_trades) == (False, False, False)
    assert len(market.exchange) <= 64


def test_the_names_on_offer_are_all_known() -> None:
    offered = known_connectors()
    assert all(resolve(name).known for name in offered)
    assert {"binance_perpetual", "gate_io", "bitmart", "kucoin"} <= set(offered)


def test_the_list_of_carried_exchanges_is_that_of_the_installed_ccxt() -> None:
    assert set(ccxt.exchanges) == set(CARRIED)
    for exchange, about in CARRIED.items():
        has = getattr(ccxt, exchange)().has
        types = [word for word in ("spot", "swap") if has.get(word)] or ["spot"]
        assert about.types.split() == types, exchange
        assert about.reads_trades == bool(has.get("fetchMyTrades")), exchange


def test_key_secret_and_memo_are_all_that_ccxt_asks_for() -> None:
    for exchange in CARRIED:
        required = {name for name, needed in getattr(ccxt, exchange)().requiredCredentials.items() if needed}
        names = credential_names(exchange)
        given = {name for name in (names.key, names.signing, names.memo) if name}
        assert required <= given or exchange in NEEDS_MORE, (exchange, required - given)
        assert names.memo is None or names.memo in required, exchange


def test_a_web_process_never_imports_ccxt() -> None:
    code = (
        "import sys, exchanges.names, exchanges.symbols, exchanges.types, exchanges.hummingbot\n"
        "assert not any(name.split('.')[0] in ('ccxt', 'django') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


MARKED = Credentials(api_key="the-key", api_secret="the-secret", memo="the-memo")


def test_every_connector_gets_its_own_field_names_or_a_sentence(connectors: list[str]) -> None:
    for name in connectors:
        if name in NEED_MORE:
            with pytest.raises(InvalidInput) as refusal:
                hummingbot_credentials(name, MARKED)
            assert refusal.value.code == "credentials_unsupported"
            continue
        body = hummingbot_credentials(name, MARKED)
        assert "the-secret" in body.values(), name
        assert ("the-memo" in body.values()) == (memo_word(name) is not None), name


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (
            "kucoin",
            {"kucoin_api_key": "the-key", "kucoin_secret_key": "the-secret", "kucoin_passphrase": "the-memo"},
        ),
        ("bitmart", {"bitmart_api_key": "the-key", "bitmart_secret_key": "the-secret", "bitmart_memo": "the-memo"}),
        ("bybit", {"bybit_api_key": "the-key", "bybit_api_secret": "the-secret"}),
        ("bybit_perpetual", {"bybit_perpetual_api_key": "the-key", "bybit_perpetual_secret_key": "the-secret"}),
        ("gate", {"gate_io_api_key": "the-key", "gate_io_secret_key": "the-secret"}),
        ("bing_x", {"bingx_api_key": "the-key", "bingx_api_secret": "the-secret"}),
        (
            "hyperliquid_perpetual",
            {"hyperliquid_perpetual_address": "the-key", "hyperliquid_perpetual_secret_key": "the-secret"},
        ),
    ],
)
def test_hummingbot_gets_the_fields_it_calls_so(name: str, body: dict[str, str]) -> None:
    assert hummingbot_credentials(name, MARKED) == body


def test_the_recorded_config_map_names_the_same_fields(shared: Path) -> None:
    example = json.loads(
        (shared / "contracts" / "hummingbot-api" / "examples" / "connectors.config-map.json").read_text()
    )
    assert set(hummingbot_credentials("binance_perpetual", MARKED)) == set(example["body"])


def test_a_missing_passphrase_and_an_unknown_connector_are_refused() -> None:
    with pytest.raises(InvalidInput) as refusal:
        hummingbot_credentials("kucoin", Credentials(api_key="k", api_secret="s"))
    assert refusal.value.code == "credentials_incomplete"
    assert "passphrase" in refusal.value.message
    assert refusal.value.fields is not None and "memo" in refusal.value.fields
    with pytest.raises(InvalidInput) as refusal:
        hummingbot_credentials("ghostex", MARKED)
    assert refusal.value.code == "unknown_connector"
    assert connector_name("ghostex") is None


def test_every_recorded_connector_keeps_its_name(shared: Path) -> None:
    names = json.loads((shared / "contracts/hummingbot-api/examples/connectors.list.json").read_text())["body"]
    assert [name for name in names if connector_name(name) != name] == []


@pytest.mark.parametrize(
    "name, expected",
    [
        ("gate", "gate_io"),
        ("gateio", "gate_io"),
        ("binanceusdm", "binance_perpetual"),
        ("kucoinfutures", "kucoin_perpetual"),
        ("huobi", "htx"),
        ("bybit_perpetual", "bybit_perpetual"),
        ("coinbase", "coinbase_advanced_trade"),
    ],
)
def test_ccxt_names_become_hummingbots(name: str, expected: str) -> None:
    assert connector_name(name) == expected
