"""An old bridge's database as its documents describe it, in the test server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import psycopg
from django.db import connection
from psycopg import sql

from tests.databases import drop_database

TABLES = {
    "clients": "id text PRIMARY KEY, name text, account_identifier text, email text, password_hash text, status text, "
    "tier text, settings json, created_at timestamp, updated_at timestamp",
    "wallets": "id text PRIMARY KEY, client_id text, chain text, address text, created_at timestamp",
    "connectors": "id text PRIMARY KEY, client_id text, name text, api_key text, api_secret text, memo text, "
    "created_at timestamp",
    "bots": "id serial PRIMARY KEY, client_id text, account text, name text, connector text, pair text, strategy text, "
    "config jsonb, status text, reported_status text, health_status text, health_message text, last_trade_time timestamptz, "
    "last_heartbeat timestamptz, status_updated_at timestamptz, created_at timestamp, updated_at timestamp",
    "bot_health_logs": "id serial PRIMARY KEY, bot_id integer, checked_at timestamptz, previous_status text, new_status text, "
    "health_status text, reason text, trade_count integer, last_trade timestamptz",
}
SHARP, OTHER = "7b8e7c7a-5c0f-4a53-9a55-2f0a3d1f0c11", "2f6f0d5a-1c39-44e4-8d2f-b9a0f5b7a0aa"
SHARP_WALLET = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
LOWERED = "4nd1mbqtrmjvyvfvf2pjy9ngunxnrxpzs4vpbw9wfyzp"
WHEN = "2026-01-26 10:00:00"
ROWS: dict[str, list[dict[str, Any]]] = {
    "clients": [
        {"id": SHARP, "name": "Sharp Foundation", "account_identifier": "client_sharp", "email": "ops@sharp.example",
         "password_hash": "$2b$12$hidden-hash", "status": "active", "tier": "gold", "settings": '{"theme": "dark"}',
         "created_at": WHEN},
        {"id": OTHER, "name": "Other", "account_identifier": "Other-Account", "status": "inactive", "created_at": WHEN},
    ],
    "wallets": [
        {"id": str(uuid.UUID(int=5)), "client_id": SHARP, "chain": "evm", "address": SHARP_WALLET.lower(), "created_at": WHEN},
        {"id": str(uuid.UUID(int=6)), "client_id": OTHER, "chain": "solana", "address": LOWERED, "created_at": WHEN},
    ],
    "connectors": [
        {"id": "11", "client_id": SHARP, "name": "bitmart", "api_key": "bitmart-key-0123456789", "api_secret": "bitmart-secret",
         "memo": "bitmart-memo", "created_at": WHEN},
        {"id": "12", "client_id": SHARP, "name": "bitmart", "api_key": "second-key-0123456789", "api_secret": "second-secret",
         "created_at": WHEN},
        {"id": "13", "client_id": OTHER, "name": "KuCoin", "created_at": WHEN},
    ],
    "bots": [
        {"id": 1, "client_id": SHARP, "account": "client_sharp", "name": "Sharp Spread", "connector": "bitmart",
         "pair": "SHARP/USDT", "strategy": "spread",
         "config": '{"bid_spread": 0.0030, "ask_spread": 0.003, "order_amount": 1600, "api_key": "key-in-the-config"}',
         "status": "stopped", "reported_status": "running", "health_status": "healthy",
         "last_trade_time": "2026-01-26 11:58:00+00",
         "status_updated_at": "2026-01-26 11:00:00+00", "created_at": WHEN},
        {"id": 2, "account": "Other-Account", "name": "Maker", "connector": "kucoin", "pair": "BTC-USDT",
         "strategy": "spread", "config": "{}", "status": "stopped", "created_at": WHEN},
        {"id": 3, "account": "client_gone", "name": "Orphan", "connector": "kucoin", "pair": "BTC/USDT",
         "strategy": "spread", "status": "created", "created_at": WHEN},
    ],
    "bot_health_logs": [
        {"bot_id": 1, "checked_at": "2026-01-26 11:00:00+00", "previous_status": "running", "new_status": "running",
         "health_status": "healthy", "reason": "12 trades", "trade_count": 12, "last_trade": "2026-01-26 10:58:00+00"},
        {"bot_id": 1, "checked_at": "2026-01-26 11:00:00+00", "previous_status": "running", "new_status": "running",
         "health_status": "healthy", "reason": "12 trades", "trade_count": 12, "last_trade": "2026-01-26 10:58:00+00"},
        {"bot_id": 1, "checked_at": "2026-01-26 13:30:00+00", "previous_status": "running", "new_status": "stopped",
         "health_status": "stopped", "reason": "No trades for 2h", "trade_count": 0},
        {"bot_id": 1, "checked_at": "2026-01-26 13:35:00+00", "new_status": "perhaps", "reason": "?"},
        {"bot_id": 3, "checked_at": "2026-01-26 13:35:00+00", "new_status": "unknown", "reason": "no key"},
    ],
}  # fmt: skip
SECRETS = (
    "hidden-hash",
    "bitmart-secret",
    "bitmart-memo",
    "bitmart-key-01",
    "second-secret",
    "key-in-the-config",
    "s3cret",
)


@contextmanager
def old_bridge(rows: dict[str, list[dict[str, Any]]], *, without: tuple[str, ...] = ()) -> Iterator[str]:
    """A database with the old tables and these rows; gives its URL as Railway writes it, with a password in it."""
    name = f"old_{uuid.uuid4().hex[:12]}"
    given = connection.settings_dict
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
    url = f"postgres://{given['USER']}:s3cret%21word@/{name}?host={quote(given['HOST'], safe='')}"
    try:
        with psycopg.connect(url) as made:
            for table, columns in TABLES.items():
                if table not in without:
                    made.execute(f"CREATE TABLE {table} ({columns})")
                    add_rows(made, table, rows.get(table, []))
        yield url
    finally:
        with connection.cursor() as cursor:
            drop_database(cursor, name)


def add_rows(made: psycopg.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    """Into one of the old tables."""
    for row in rows:
        made.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join([sql.Placeholder()] * len(row)),
            ),
            [json.dumps(value) if isinstance(value, dict) else value for value in row.values()],
        )  # fmt: skip
