"""States of an old arena, deterministic and of any size, for tests and ``bin/bench import``.

python -m tests.ledger.arena_blobs 270 state.json [audit|position|open_close]    writes 270 MB
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import IO, Any

FORMS = ("audit", "position", "open_close")
END_MS = 1_762_447_707_000  # 2025-11-06T16:48:27Z
SYMBOLS = {
    "BTCUSDT": 45230.5,
    "ETHUSDT": 2450.3,
    "XRPUSDT": 2.45,
    "SOLUSDT": 155.2,
    "DOGEUSDT": 0.1801,
    "1000PEPEUSDT": 0.0071,
}
NAMES = ("Astrologer", "Chartist", "Contrarian", "Momentum")
USERS = ("0b880cf70bdc6ad15cd49ff0600dc023", "5f1d7a84db00d2fce00b31a7fc73224f")
PROMPT = (
    'You are "{name}", a mystical trading bot. You hold {n} positions — trade with care ✨.\n'
    + "Market data follows; every line is a symbol, its price and its change in 24 hours.\n" * 36
)
_ORDERS_SHARE = 0.5  # of the bytes; a log has about 3.3 KB, an order 170 bytes


def write_blob(path: Path, *, bytes_wanted: int, seed: int = 1, form: str = "audit", bots: int = 4) -> dict[str, int]:
    """Write a state of about so many bytes. Gives how many ``orders`` and ``logs`` it holds."""
    counts = {"orders": 0, "logs": 0}
    with path.open("w", encoding="utf-8") as file:
        file.write('{"bots":[')
        for index in range(bots):
            file.write("," if index else "")
            _write_bot(
                file,
                index,
                bytes_wanted=max(4000, (bytes_wanted - 25_000) // bots),
                seed=seed,
                form=form,
                counts=counts,
            )
        file.write('],"marketData":' + json.dumps(market_data(), separators=(",", ":")) + "}")
    return counts


def state(*, orders: int = 40, logs: int = 10, seed: int = 1, form: str = "audit", bots: int = 2) -> dict[str, Any]:
    """A small state as Python values; each bot has two open positions and this many orders and logs."""
    return {
        "bots": [_bot(index, orders=orders, logs=logs, seed=seed, form=form) for index in range(bots)],
        "marketData": market_data(),
    }


def market_data(symbols: int = 218) -> list[dict[str, Any]]:
    """Prices of so many symbols."""
    known = [{"symbol": name, "price": price, "price24hChange": 2.3} for name, price in SYMBOLS.items()]
    more = [{"symbol": f"C{n}USDT", "price": 1.5 + n, "price24hChange": -0.4} for n in range(symbols - len(known))]
    return known + more


def orders_of(
    chance: random.Random, *, index: int, form: str, positions: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Orders without end, the newest first, as the arena kept them: what opened ``positions``, then exits and the entries
    that they closed, each of which is earlier than its exit."""
    at, number = END_MS, 0
    pending: list[dict[str, Any]] = []
    for position in reversed(positions):
        at -= 1000 * chance.randint(5, 60)
        yield _order(form, f"order_{index}_p{number}", position | {"kind": "entry"}, at)
        number += 1
    while True:
        at -= chance.randint(1, 200) * 100
        number += 1
        if pending and (len(pending) > 6 or chance.random() < 0.5):
            yield _order(form, f"order_{index}_{number}", pending.pop(0) | {"kind": "entry"}, at)
        else:
            trade = _trade(chance)
            pending.append(trade)
            yield _order(form, f"order_{index}_{number}", trade | {"kind": "exit"}, at)


def _write_bot(file: IO[str], index: int, *, bytes_wanted: int, seed: int, form: str, counts: dict[str, int]) -> None:
    chance = random.Random(f"{seed}/{index}")
    positions = [_trade(chance) | {"id": f"pos_{index}_{n}"} for n in range(2)]
    dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    head = dump(_head(index))[:-1]
    file.write(head + ',"orders":[')
    size, realized, separator = 0, Decimal(0), ""
    for order in orders_of(chance, index=index, form=form, positions=positions):
        if size >= bytes_wanted * _ORDERS_SHARE and _is_entry(order):
            break
        text = dump(order)
        realized += Decimal(0) if _is_entry(order) else Decimal(str(order["pnl"]))
        file.write(separator + text)
        size, separator = size + len(text) + 1, ","
        counts["orders"] += 1
    file.write('],"botLogs":[')
    separator, number = "", 0
    while size < bytes_wanted - 3400:
        text = dump(_log(chance, index, number))
        file.write(separator + text)
        size, separator, number = size + len(text.encode()) + 1, ",", number + 1
        counts["logs"] += 1
    file.write("]," + dump(_tail(positions, realized, counts["orders"]))[1:])


def _bot(index: int, *, orders: int, logs: int, seed: int, form: str) -> dict[str, Any]:
    chance = random.Random(f"{seed}/{index}")
    positions = [_trade(chance) | {"id": f"pos_{index}_{n}"} for n in range(2)]
    made = list(islice(orders_of(chance, index=index, form=form, positions=positions), orders))
    realized = sum((Decimal(str(order["pnl"])) for order in made if not _is_entry(order)), Decimal(0))
    said = [_log(chance, index, number) for number in range(logs)]
    return _head(index) | {"orders": made, "botLogs": said} | _tail(positions, realized, len(made))


def _head(index: int) -> dict[str, Any]:
    name = NAMES[index % len(NAMES)]
    return {
        "id": f"bot_{name.lower()}" + (f"_{index}" if index >= len(NAMES) else ""), "userId": USERS[index % len(USERS)],
        "name": name, "prompt": PROMPT.format(name=name, n=2), "provider": "gemini", "tradingMode": "paper",
        "initialBalance": 10000,
    }  # fmt: skip


def _tail(positions: list[dict[str, Any]], realized: Decimal, orders: int) -> dict[str, Any]:
    balance = 10000 + realized - sum(Decimal(str(position["size"])) for position in positions)
    return {
        "portfolio": {
            "balance": float(balance), "pnl": 80.3, "totalValue": float(balance) + 880.3,
            "positions": [_position(position) for position in positions],
        },
        "realizedPnl": float(realized), "tradeCount": orders, "winRate": 0.625,
        "valueHistory": [{"timestamp": END_MS - 600_000 * n, "value": 10000 + n} for n in range(20)],
        "symbolCooldowns": {"XRPUSDT": END_MS + 1_800_000}, "isLoading": False, "isPaused": False,
    }  # fmt: skip


def _trade(chance: random.Random) -> dict[str, Any]:
    symbol = chance.choice(list(SYMBOLS))
    entry = round(SYMBOLS[symbol] * chance.uniform(0.9, 1.1), 6)
    size, leverage = chance.choice([50, 100, 250.5, 300, 500]), chance.choice([1, 2, 3, 5, 10])
    direction = chance.choice(["LONG", "SHORT"])
    leaving = round(entry * chance.uniform(0.97, 1.03), 6)
    moved = (leaving / entry - 1) * (1 if direction == "LONG" else -1)
    return {"symbol": symbol, "direction": direction, "entry": entry, "exit": leaving, "size": size, "leverage": leverage,
            "pnl": round(size * leverage * moved, 8)}  # fmt: skip


def _order(form: str, name: str, trade: dict[str, Any], at: int) -> dict[str, Any]:
    is_entry = trade["kind"] == "entry"
    price = trade["entry"] if is_entry else trade["exit"]
    size = {"size": trade["size"], "leverage": trade["leverage"], "timestamp": at}
    pnl = {} if is_entry else {"pnl": trade["pnl"]}
    if form == "audit":
        side = {"action": trade["direction"], "side": trade["kind"], "price": price}
        return {"id": name, "symbol": trade["symbol"]} | side | size | pnl
    if form == "open_close":
        side = {"trade_type": trade["direction"], "action": "OPEN" if is_entry else "CLOSE", "price": price}
        return {"id": name, "symbol": trade["symbol"]} | side | size | pnl
    fee = round(trade["size"] * 0.03, 6)
    return {"id": name, "symbol": trade["symbol"], "type": trade["direction"]} | size | {
        "pnl": -fee if is_entry else trade["pnl"], "fee": fee, "entryPrice": trade["entry"],
        "exitPrice": 0 if is_entry else trade["exit"],
    }  # fmt: skip


def _is_entry(order: dict[str, Any]) -> bool:
    return order.get("side") == "entry" or order.get("exitPrice") == 0 or order.get("action") == "OPEN"


def _position(trade: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": trade["id"], "symbol": trade["symbol"], "type": trade["direction"], "entryPrice": trade["entry"],
        "size": trade["size"], "leverage": trade["leverage"], "pnl": 40.15, "stopLoss": trade["entry"] * 0.98,
        "takeProfit": trade["entry"] * 1.04, "liquidationPrice": trade["entry"] * 0.9,
    }  # fmt: skip


def _log(chance: random.Random, index: int, number: int) -> dict[str, Any]:
    name, symbol = NAMES[index % len(NAMES)], chance.choice(list(SYMBOLS))
    is_done = chance.random() < 0.7
    return {
        "timestamp": END_MS - 200_000 * number - index,
        "prompt": PROMPT.format(name=name, n=chance.randint(0, 9)),
        "decisions": [{"action": "LONG", "symbol": symbol, "reasoning": f"The stars align ({number}).", "size": 100,
                       "leverage": 3, "stopLoss": 2.40, "takeProfit": 2.55}],
        "notes": ["✅ Position opened successfully", "Entry price: $2.45"] if is_done else
                 [f"REJECTED LONG {symbol}: Adjusted size too small."],
    }  # fmt: skip


if __name__ == "__main__":
    megabytes, to, *rest = sys.argv[1:]
    made = write_blob(Path(to), bytes_wanted=int(float(megabytes) * 1e6), form=rest[0] if rest else "audit")
    sys.stdout.write(f"{made['orders']} orders, {made['logs']} logs, {Path(to).stat().st_size} bytes\n")
