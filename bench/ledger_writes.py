"""What keeping the statistics costs: the same rows copied into ``trades`` with and without the trigger that adds them up."""

from __future__ import annotations

import statistics
import time
from typing import Any

import psycopg

ROUNDS = 3
# The newest trades once more, some hours later and under other ids.
_AGAIN = """
SELECT (lpad(to_hex((extract(epoch FROM executed_at + interval '6 hours') * 1000)::bigint), 12, '0') || '8'
        || right(left(md5(id::text), 3), 3) || '8' || substr(md5(id::text), 4, 15))::uuid,
       client_id, bot_id, connector_id, position_id, mode, exchange, market_type, symbol, currency, side, trade_type, action,
       price, quantity, closed_quantity, size, leverage, entry_price, exit_price, pnl, fee, fee_currency, fee_quote, cause,
       executed_at + interval '6 hours', CASE WHEN exchange_trade_id = '' THEN '' ELSE exchange_trade_id || 'x' END,
       exchange_order_id, source, source_id, note
  FROM (SELECT * FROM trades ORDER BY id DESC LIMIT {rows}) t ORDER BY id
"""
_COLUMNS = (
    "id, client_id, bot_id, connector_id, position_id, mode, exchange, market_type, symbol, currency, side, trade_type, "
    "action, price, quantity, closed_quantity, size, leverage, entry_price, exit_price, pnl, fee, fee_currency, fee_quote, "
    "cause, executed_at, exchange_trade_id, exchange_order_id, source, source_id, note"
)


def measure_writes(conninfo: str, *, rows: int) -> dict[str, Any]:
    """Seconds of a COPY of so many trades: with neither foreign keys nor statistics, with foreign keys, and with both."""
    ways = {"bare": "SET LOCAL session_replication_role = replica",
            "with_keys": "ALTER TABLE trades DISABLE TRIGGER figures_insert", "with_statistics": "SELECT 1"}  # fmt: skip
    took: dict[str, list[float]] = {way: [] for way in ways}
    with psycopg.connect(conninfo) as connection:
        with connection.cursor().copy(f"COPY ({_AGAIN.format(rows=rows)}) TO STDOUT".encode()) as copy:
            lines = b"".join(bytes(part) for part in copy)
        connection.rollback()
        for turn in range(ROUNDS + 1):
            for way, first in ways.items():
                seconds = _copied(connection, lines, first)
                if turn:  # the first round warms
                    took[way].append(seconds)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("VACUUM trades, bot_trade_hours, bot_stats, bot_fees")
    found = {f"{way}_s": round(statistics.median(times), 3) for way, times in took.items()}
    counted = lines.count(b"\n")
    return {
        **found, "rows": counted, "rows_per_second": round(counted / found["with_statistics_s"]),
        "statistics_over_keys": round(found["with_statistics_s"] / found["with_keys_s"], 3),
        "statistics_over_bare": round((found["with_statistics_s"] - found["with_keys_s"] + found["bare_s"]) / found["bare_s"], 3),
    }  # fmt: skip


def _copied(connection: psycopg.Connection[Any], lines: bytes, first: str) -> float:
    """Seconds of the COPY with what its statement triggers do; rolled back."""
    connection.execute(first.encode())
    began = time.perf_counter()
    with connection.cursor().copy(f"COPY trades ({_COLUMNS}) FROM STDIN".encode()) as copy:
        copy.write(lines)
    seconds = time.perf_counter() - began
    connection.rollback()
    return seconds
