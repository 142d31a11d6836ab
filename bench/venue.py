"""A KuCoin that is a little away and holds a page of trades for whoever asks, and an OKX that never answers.

``python -m bench.venue PORT LATENCY_MS MARKETS TRADES``: only what the health cycle asks for, in the exchange's own
shapes. ``GET /calls`` tells how many requests each path got, ``GET /forget`` starts the count anew.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any
from urllib.parse import parse_qs, urlsplit

_HANGING = "okx.com"
_SECOND_MS = 1000
_GAP_MS = 20_000  # between two trades of a bot


def pairs(markets: int) -> list[str]:
    """The pairs that there are."""
    return [f"C{n:03d}/USDT" for n in range(1, markets + 1)]


class Venue:
    """Keep-alive HTTP, as little of it as the callers need."""

    def __init__(self, latency_s: float, markets: int, trades: int) -> None:
        self.latency_s, self.trades = latency_s, trades
        self.calls: Counter[str] = Counter()
        self.symbols = _body([_symbol(pair) for pair in pairs(markets)])
        currencies = ["USDT", *(pair.partition("/")[0] for pair in pairs(markets))]
        self.accounts = _body([_account(currency) for currency in currencies])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                target = head.split(b" ", 2)[1].decode()
                body = await self.answer(target)
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                    % (len(body), body)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def answer(self, target: str) -> bytes:
        parts = urlsplit(target)
        if parts.path == "/calls":
            return json.dumps(self.calls).encode()
        if parts.path == "/forget":
            self.calls.clear()
            return b"{}"
        self.calls[parts.path] += 1
        if _HANGING in parts.path:
            await asyncio.sleep(3600)
        await asyncio.sleep(self.latency_s)
        if parts.path.endswith("/symbols"):
            return self.symbols
        if parts.path.endswith("/accounts"):
            return self.accounts
        if parts.path.endswith("/fills"):
            return self._fills(parse_qs(parts.query))
        return _body(int(time.time() * _SECOND_MS))  # its time

    def _fills(self, query: dict[str, list[str]]) -> bytes:
        """The same trade always has the same id, and a new one comes every twenty seconds."""
        symbol = query["symbol"][0]
        newest = int(time.time() * _SECOND_MS) // _GAP_MS
        rows = [_fill(symbol, newest - n) for n in range(min(self.trades, int(query.get("pageSize", ["50"])[0])))]
        paging = {"currentPage": 1, "pageSize": len(rows), "totalNum": len(rows), "totalPage": 1}
        return _body(paging | {"items": rows})


def _body(data: Any) -> bytes:
    return json.dumps({"code": "200000", "data": data}).encode()


def _symbol(pair: str) -> dict[str, Any]:
    base, quote = pair.split("/")
    steps = {"baseMinSize": "0.001", "baseIncrement": "0.001", "quoteIncrement": "0.000001", "priceIncrement": "0.01"}
    return steps | {
        "symbol": f"{base}-{quote}", "name": f"{base}-{quote}", "baseCurrency": base, "quoteCurrency": quote,
        "feeCurrency": quote, "market": "USDS", "quoteMinSize": "0.1", "baseMaxSize": "10000000000",
        "quoteMaxSize": "99999999", "priceLimitRate": "0.1", "minFunds": "0.1", "isMarginEnabled": False,
        "enableTrading": True,
    }  # fmt: skip


def _account(currency: str) -> dict[str, str]:
    return {"id": currency, "currency": currency, "type": "trade", "balance": "5000", "available": "5000", "holds": "0"}


def _fill(symbol: str, number: int) -> dict[str, Any]:
    return {
        "symbol": symbol, "tradeId": str(number), "orderId": f"{number:024x}", "counterOrderId": f"{number + 1:024x}",
        "side": "buy" if number % 2 else "sell", "liquidity": "maker", "forceTaker": False, "price": "10", "size": "2",
        "funds": "20", "fee": "0.02", "feeRate": "0.001", "feeCurrency": "USDT", "stop": "", "tradeType": "TRADE",
        "type": "limit", "createdAt": number * _GAP_MS,
    }  # fmt: skip


async def _main(port: int, latency_ms: int, markets: int, trades: int) -> None:
    server = await asyncio.start_server(Venue(latency_ms / _SECOND_MS, markets, trades).serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(*(int(word) for word in sys.argv[1:5])))
