"""Rows of the sandbox's exchanges have the fields, and the kinds of values, of rows that real exchanges sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.testing import Sandbox
from tests.sandbox import recordings
from tests.sandbox.rewriting import exchange

FOLDER = recordings.CONTRACT.parent / "ccxt"
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="../shared/contracts/ccxt is not beside this checkout.")

# Exchange, number of the recorded case, what is asked, and where its first row lies.
CASES = [
    ("kucoin", "kucoin", 0, lambda c: c.privateGetFills({"symbol": "BTC-USDT"}), ("data", "items", 0)),
    ("kucoin", "kucoin", 1, lambda c: c.publicGetMarketStats({"symbol": "BTC-USDT"}), ("data",)),
    ("kucoin", "kucoin", 2, lambda c: c.privateGetAccounts({"type": "trade"}), ("data", 0)),
    ("binance", "binance", 0, lambda c: c.privateGetMyTrades({"symbol": "BTCUSDT"}), (0,)),
    ("binance", "binanceusdm", 1, lambda c: c.fapiPrivateGetUserTrades({"symbol": "BTCUSDT"}), (0,)),
    ("binance", "binance", 2, lambda c: c.publicGetTicker24hr({"symbol": "BTCUSDT"}), ()),
    ("okx", "okx", 0, lambda c: c.privateGetTradeFillsHistory({"instType": "SPOT"}), ("data", 0)),
    ("okx", "okx", 1, lambda c: c.publicGetMarketTicker({"instId": "BTC-USDT"}), ("data", 0)),
]
# Fields of the played rows that the recorded ones, older or of another endpoint, do not have; and the other way round.
_NEWER = {"symbolName"}


def _row(answer: Any, path: tuple[str | int, ...]) -> dict[str, Any]:
    for step in path:
        answer = answer[step]
    return dict(answer)


@pytest.mark.parametrize(("file", "name", "number", "ask", "path"), CASES)
def test_rows_look_as_recorded(
    sandbox: Sandbox, file: str, name: str, number: int, ask: Any, path: tuple[str | int, ...]
) -> None:
    sandbox.add_key(name, "key", "secret", passphrase="pass")
    sandbox.add_trade(name, "BTC/USDT", "key")
    recorded = _row(json.loads((FOLDER / f"{file}.json").read_text())["cases"][number]["httpResponse"], path)
    played = _row(ask(exchange(sandbox, name)), path)
    assert set(played) - _NEWER == set(recorded)
    for field, value in recorded.items():
        assert isinstance(played[field], str) == isinstance(value, str) or str(value).lstrip("-").isdigit(), field
