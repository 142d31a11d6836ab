"""Old databases as they exist: the audit's tables, in SQLite and in PostgreSQL, filled from one description."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from django.db import connection
from psycopg import sql

from tests.databases import drop_database

TABLES = {
    "users": "id TEXT PRIMARY KEY, username TEXT, email TEXT, password_hash TEXT, pwd2 TEXT, role TEXT, created_at TIMESTAMP",
    "llm_providers": "id TEXT PRIMARY KEY, name TEXT, endpoint TEXT, model TEXT, api_key TEXT, config TEXT",
    "system_settings": "key TEXT PRIMARY KEY, value TEXT",
    "bots": "id TEXT PRIMARY KEY, user_id TEXT, name TEXT, prompt TEXT, provider_id TEXT, trading_mode TEXT, "
    "initial_balance REAL, is_active INTEGER",
    "bot_state_snapshots": "id INTEGER PRIMARY KEY, bot_id TEXT, balance REAL, realized_pnl REAL, total_value REAL, "
    "trade_count INTEGER, win_rate REAL, timestamp TIMESTAMP",
    "trades": "id TEXT PRIMARY KEY, user_id TEXT, bot_id TEXT NOT NULL, position_id TEXT, symbol TEXT NOT NULL, "
    "trade_type TEXT NOT NULL, action TEXT NOT NULL, entry_price REAL, exit_price REAL, size REAL NOT NULL, "
    "leverage INTEGER, pnl REAL, fee REAL, executed_at TIMESTAMP",
    "positions": "id TEXT PRIMARY KEY, user_id TEXT, bot_id TEXT NOT NULL, symbol TEXT NOT NULL, position_type TEXT NOT NULL, "
    "entry_price REAL NOT NULL, size REAL NOT NULL, leverage INTEGER DEFAULT 1, stop_loss REAL, take_profit REAL, "
    "liquidation_price REAL, unrealized_pnl REAL DEFAULT 0, status TEXT DEFAULT 'open', opened_at TIMESTAMP, "
    "closed_at TIMESTAMP",
    "bot_decisions": "id INTEGER PRIMARY KEY, user_id TEXT, bot_id TEXT NOT NULL, prompt_sent TEXT NOT NULL, "
    "decisions_json TEXT NOT NULL, notes_json TEXT, execution_success BOOLEAN NOT NULL, timestamp TIMESTAMP",
    "arena_state": "id INTEGER PRIMARY KEY, state TEXT, updated_at TIMESTAMP",
}
WHEN = "2025-11-06 16:48:27"
STATE: dict[str, Any] = {
    "bots": [
        {
            "id": "bot_astrologer", "userId": "u1", "name": "Astrologer ✨", "prompt": 'You are "Astrologer"',
            "provider": "gemini", "tradingMode": "paper", "initialBalance": 10000,
            "orders": [
                {"id": "order_2", "symbol": "XRPUSDT", "action": "LONG", "side": "exit", "price": 2.5, "size": 100,
                 "leverage": 3, "timestamp": 1762447707000, "pnl": 5.23},
                {"id": "order_1", "symbol": "XRPUSDT", "action": "LONG", "side": "entry", "price": 2.45, "size": 100,
                 "leverage": 3, "timestamp": 1762444107000},
            ],
            "botLogs": [{"timestamp": 1762447707000, "prompt": "full prompt", "decisions": [], "notes": ["held"]}],
            "portfolio": {"balance": 10005.23, "pnl": 0, "totalValue": 10005.23, "positions": []},
            "realizedPnl": 5.23, "tradeCount": 2, "winRate": 1,
        }
    ],
    "marketData": [{"symbol": "BTCUSDT", "price": 45340.00, "price24hChange": 2.3}],
}  # fmt: skip
ROWS: dict[str, list[dict[str, Any]]] = {
    "users": [
        {"id": "u1", "username": "ann", "email": "ann@example.org", "password_hash": "$2b$10$hashedhashed", "pwd2": "hidden",
         "role": "user", "created_at": WHEN},
    ],
    "llm_providers": [
        {"id": "gemini", "name": "Gemini", "endpoint": "https://example.org/v1?key=AIza-in-the-address", "model": "pro",
         "api_key": "sk-of-the-provider", "config": '{"temperature": 0.70, "apiKey": "sk-in-json"}'},
    ],
    "system_settings": [{"key": "turnInterval", "value": "200"}, {"key": "jwt_secret", "value": "very-secret"}],
    "bots": [
        {"id": "bot_astrologer", "user_id": "u1", "name": "Astrologer", "prompt": "You are", "provider_id": "gemini",
         "trading_mode": "paper", "initial_balance": 10000.0, "is_active": 1},
        {"id": "bot_table", "user_id": "u1", "name": "Tabular", "prompt": "You too", "provider_id": "gemini",
         "trading_mode": "paper", "initial_balance": 500.5, "is_active": 1},
    ],
    "bot_state_snapshots": [
        {"id": 1, "bot_id": "bot_astrologer", "balance": 10000.1, "realized_pnl": 0, "total_value": 10000.1,
         "trade_count": 0, "win_rate": 0, "timestamp": WHEN},
        {"id": 2, "bot_id": "bot_astrologer", "balance": 10005.23, "realized_pnl": 5.23, "total_value": 10005.23,
         "trade_count": 2, "win_rate": 1, "timestamp": "2025-11-06 16:58:27"},
    ],
    "arena_state": [{"id": 1, "state": json.dumps(STATE, ensure_ascii=False), "updated_at": WHEN}],
}  # fmt: skip
FACTS: dict[str, list[dict[str, Any]]] = {
    "trades": [
        {"id": "order_1", "user_id": "u1", "bot_id": "bot_astrologer", "symbol": "XRPUSDT", "trade_type": "entry",
         "action": "LONG", "entry_price": 2.45, "size": 100, "leverage": 3, "executed_at": "2025-11-06 15:48:27"},
        {"id": "trade_9", "user_id": "u1", "bot_id": "bot_table", "position_id": "pos_9", "symbol": "BTCUSDT",
         "trade_type": "entry", "action": "SHORT", "entry_price": 45000, "size": 90, "leverage": 2, "fee": 0.09,
         "executed_at": "2025-11-06 15:00:00"},
    ],
    "positions": [
        {"id": "pos_9", "user_id": "u1", "bot_id": "bot_table", "symbol": "BTCUSDT", "position_type": "SHORT",
         "entry_price": 45000, "size": 90, "leverage": 2, "stop_loss": 46000, "status": "open",
         "opened_at": "2025-11-06 15:00:00"},
        {"id": "pos_8", "user_id": "u1", "bot_id": "bot_table", "symbol": "ETHUSDT", "position_type": "LONG",
         "entry_price": 2400, "size": 90, "leverage": 2, "status": "closed", "opened_at": "2025-11-05 15:00:00",
         "closed_at": "2025-11-05 16:00:00"},
    ],
    "bot_decisions": [
        {"id": 1, "user_id": "u1", "bot_id": "bot_astrologer", "prompt_sent": "full prompt", "decisions_json": "[]",
         "notes_json": '["held"]', "execution_success": True, "timestamp": "2025-11-06 16:48:30"},
        {"id": 2, "user_id": "u1", "bot_id": "bot_table", "prompt_sent": "another prompt",
         "decisions_json": '[{"action": "SHORT", "size": 90.0}]', "notes_json": "no json", "execution_success": True,
         "timestamp": "2025-11-06 15:00:00"},
    ],
}  # fmt: skip


def make_sqlite(path: Path, rows: dict[str, list[dict[str, Any]]], *, without: tuple[str, ...] = ()) -> Path:
    """An SQLite file with the old tables and these rows."""
    with sqlite3.connect(path) as made:
        for table, columns in TABLES.items():
            if table not in without:
                made.execute(f"CREATE TABLE {table} ({columns})")
                for row in rows.get(table, []):
                    marks = ", ".join("?" * len(row))
                    made.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))
    made.close()
    return path


@contextmanager
def postgres(rows: dict[str, list[dict[str, Any]]], *, state_type: str = "text") -> Iterator[str]:
    """A database in the test server with the old tables and these rows; gives its URL, with a password in it."""
    name = f"old_{uuid.uuid4().hex[:12]}"
    given = connection.settings_dict
    host = quote(given["HOST"], safe="")
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
    url = f"postgresql://{given['USER']}:s3cret%21word@/{name}?host={host}"
    try:
        with psycopg.connect(url) as made:
            for table, columns in TABLES.items():
                typed = columns.replace("state TEXT", f"state {state_type}").replace("REAL", "double precision")
                made.execute(f"CREATE TABLE {table} ({typed})")
                for row in rows.get(table, []):
                    made.execute(
                        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, row)),
                            sql.SQL(", ").join([sql.Placeholder()] * len(row)),
                        ),
                        list(row.values()),
                    )  # fmt: skip
        yield url
    finally:
        with connection.cursor() as cursor:
            drop_database(cursor, name)
