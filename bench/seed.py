"""Data of the api benchmark: clients, wallets, connectors, bots and what was observed of them, made in the database.

Skewed as accounts are: the ten largest have 100 bots each, those after them 5. Nothing random: two runs see one world.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

LARGE_ACCOUNTS = 10
LARGE = 100
TYPICAL = 5
KEYED_ACCOUNTS = 200  # of the typical accounts, so many have an API key of their own

_SCRIPT = """
SET session_replication_role = replica;  -- no audit and no checks of foreign keys while a world is made

INSERT INTO clients (id, name, account_identifier, email, status, tier, management_mode, settings, source, source_id,
                     deletion_requested_by, created_at, updated_at)
SELECT md5('client' || k)::uuid, 'Client ' || k, {account}, 'client' || k || '@example.com', 'active', 'standard', 'managed',
       '{{}}', '', '', '', timestamptz '2026-01-01Z' + k * interval '1 minute', timestamptz '2026-02-01Z'
  FROM generate_series(1, {clients}) k;

INSERT INTO wallets (id, client_id, chain, address, address_key, created_at)
SELECT md5('wallet' || w)::uuid, md5('client' || (w - 1) % {clients} + 1)::uuid, 'evm', {address}, {address},
       timestamptz '2026-01-02Z' + w * interval '1 second'
  FROM generate_series(1, {clients} * 2) w;

INSERT INTO connectors (id, client_id, name, label, key_hint, credentials_version, created_at)
SELECT md5('connector' || k || name)::uuid, md5('client' || k)::uuid, name, '', '', 0, timestamptz '2026-01-03Z'
  FROM generate_series(1, {clients}) k, unnest(ARRAY['kucoin', 'bitmart']) name;

CREATE TEMP TABLE planned AS
SELECT i, md5('bot' || i)::uuid AS id, k, md5('client' || k)::uuid AS client_id,
       timestamptz '2026-02-01Z' + (hashint4(i) % 2000000) * interval '1 second' AS created_at,
       i % 4 <> 0 AS in_hummingbot,
       CASE i % 10 WHEN 0 THEN 'created' WHEN 1 THEN 'stopped' ELSE 'running' END AS desired
  FROM (SELECT i, CASE WHEN i <= {large} THEN (i - 1) / {largest} + 1
                  ELSE {large_accounts} + 1 + (i - {large} - 1) / {typical} END AS k
          FROM generate_series(1, {bots}) i) x;

INSERT INTO bots (id, client_id, connector_id, connector_name, name, pair, strategy, config, runtime_kind, desired_status,
                  desired_at, desired_by, desired_reason, reported_status, reported_at, reported_by, stale_minutes,
                  source, source_id, deletion_requested_by, created_at, updated_at)
SELECT id, client_id, md5('connector' || k || 'kucoin')::uuid, 'kucoin', 'Spread ' || i,
       (ARRAY['BTC/USDT', 'ETH/USDT', 'SOL/USDT', 'SHARP/USDT'])[i % 4 + 1], 'spread',
       '{{"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600}}',
       CASE WHEN in_hummingbot THEN 'hummingbot' ELSE 'external' END, desired,
       CASE WHEN desired <> 'created' THEN created_at END, '', '', nullif(desired, 'created'), NULL, '',
       CASE WHEN i % 20 = 2 THEN 45 END, '', '', '', created_at, created_at + interval '1 day'
  FROM planned ORDER BY created_at;

INSERT INTO bot_health (bot_id, client_id, status, message, status_updated_at, last_trade_at, heartbeat_status, evidence,
                        thresholds, checked_at, due_at)
SELECT id, client_id, CASE WHEN desired <> 'running' THEN 'unknown' WHEN i % 17 = 2 THEN 'stale' ELSE 'healthy' END,
       CASE WHEN desired <> 'running' THEN 'Not checked yet.' ELSE 'Last trade 4 min ago.' END,
       created_at + interval '2 days', CASE WHEN desired = 'running' THEN created_at + interval '3 days' END, '',
       '[{{"probe": "trades", "outcome": "found", "detail": "last trade 4 min ago"}}]', '{{}}', created_at, created_at
  FROM planned ORDER BY created_at;

INSERT INTO bot_stats (bot_id, client_id, buys_24h, sells_24h, volume_24h, pnl, last_price, updated_at)
SELECT id, client_id, i % 300, i % 290, i * 1.25, (i % 2000 - 900) * 0.125, 60000 + i % 1000 * 0.5, created_at
  FROM planned WHERE desired = 'running' ORDER BY created_at;

INSERT INTO bot_deployments (id, bot_id, client_id, sequence, status, requested_name, instance_name, config, was_adopted,
                             message, attempts, clean_lookups, requested_by, sent_at, confirmed_at, ended_at, due_at, created_at)
SELECT md5('deployment' || i)::uuid, id, client_id, 1, CASE WHEN desired = 'running' THEN 'live' ELSE 'ended' END,
       'tb-' || i, 'tb-' || i || '-20260301-120000', '{{}}', false, '', 1, 0, '', created_at, created_at,
       CASE WHEN desired <> 'running' THEN created_at END, created_at, created_at
  FROM planned WHERE in_hummingbot AND desired <> 'created' ORDER BY created_at;

INSERT INTO bot_runtime (bot_id, client_id, status, explanation, instance_name, observed_at, changed_at, misses)
SELECT id, client_id, CASE WHEN desired = 'running' THEN 'running' ELSE 'exited' END, '', 'tb-' || i || '-20260301-120000',
       date_trunc('second', now()), created_at, 0
  FROM planned WHERE in_hummingbot AND desired <> 'created' ORDER BY created_at;

INSERT INTO api_keys (id, prefix, digest, kind, scope, name, client_id, created_by, created_at)
SELECT md5('key' || k)::uuid, {prefix}, encode(sha256(convert_to({prefix} || '_' || {secret}, 'UTF8')), 'hex'),
       CASE WHEN k = 0 THEN 'operator' ELSE 'client' END, 'manage', '',
       CASE WHEN k > 0 THEN md5('client' || k)::uuid END, 'bench', timestamptz '2026-01-04Z'
  FROM generate_series(0, {keyed}) k;
"""

_PARTS = {
    "account": "'client_' || lpad(k::text, 5, '0')",
    "address": "'0x' || md5('a' || w) || left(md5('b' || w), 8)",
    "prefix": "CASE WHEN k = 0 THEN 'tbo' ELSE 'tbc' END || '_' || lpad(k::text, 10, '0')",
    "secret": "repeat('x', 43)",
}


@dataclass(frozen=True, slots=True)
class World:
    """What the requests may name."""

    clients: int
    bots: int
    wallets: list[str]

    @property
    def typical_accounts(self) -> range:
        """Numbers of the accounts with a key of their own and ``TYPICAL`` bots."""
        return range(LARGE_ACCOUNTS + 1, LARGE_ACCOUNTS + 1 + min(KEYED_ACCOUNTS, self._filled))

    @property
    def _filled(self) -> int:
        return (self.bots - LARGE_ACCOUNTS * LARGE) // TYPICAL


def account(number: int) -> str:
    return f"client_{number:05d}"


def token(number: int) -> str:
    """The API key of an account; 0 is the operator's."""
    return f"{'tbc' if number else 'tbo'}_{number:010d}_{'x' * 43}"


def plant(conninfo: str, *, clients: int, bots: int) -> World:
    """Fill an empty, migrated database; the connection must be a superuser's."""
    numbers = {
        "clients": clients, "bots": bots, "large": LARGE_ACCOUNTS * LARGE, "largest": LARGE, "large_accounts": LARGE_ACCOUNTS,
        "typical": TYPICAL, "keyed": LARGE_ACCOUNTS + KEYED_ACCOUNTS,
    }  # fmt: skip
    with psycopg.connect(conninfo) as connection:
        connection.execute(_SCRIPT.format(**numbers, **_PARTS).encode())
        found = connection.execute(
            "SELECT w.address FROM wallets w JOIN clients c ON c.id = w.client_id ORDER BY w.id LIMIT 2000"
        )
        wallets = [row[0] for row in found]
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")
    return World(clients, bots, wallets)
