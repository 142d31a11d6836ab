"""Data of the ledger benchmark: 1,000 bots whose trades fall off as ranks do (the biggest has a million of ten), their
positions, decisions and snapshots, made in the database with triggers off; then the statistics, set-based.

Everything adds up: profit from price, quantity and fees, positions from their trades, balances from both. Nothing is
random: two runs see one world but for the moment at which it ends.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

SKEW = 0.92  # the k-th bot has 1 / k^0.92 of what the first has: a million of ten for the first of a thousand
CLIENTS = 100
TICKS_10_MIN = 4665  # of 5,000 snapshots a bot; the others are daily ones of the time before
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LedgerSize:
    """How many rows of everything."""

    bots: int
    trades: int
    decisions: int
    snapshots: int

    @property
    def positions(self) -> int:
        return self.trades // 5


@dataclass(frozen=True, slots=True)
class LedgerWorld:
    """What the requests may name."""

    size: LedgerSize
    ended_at: datetime
    biggest: UUID  # the bot with the most trades, on paper
    live: UUID  # the next one, live
    client: UUID  # theirs

    @property
    def seconds(self) -> float:
        return self.ended_at.timestamp()


FULL = LedgerSize(bots=1000, trades=10_000_000, decisions=200_000, snapshots=5_000_000)
QUICK = LedgerSize(bots=40, trades=20_000, decisions=1_000, snapshots=8_000)
OPERATOR_KEY = f"tbo_{0:010d}_{'x' * 43}"
CLIENT_KEY = f"tbc_{1:010d}_{'x' * 43}"

_SESSION = """
SET session_replication_role = replica;  -- no audit, no statistics and no checks of foreign keys while a world is made
SET work_mem = '1GB';
SET maintenance_work_mem = '1GB';
SET synchronous_commit = off;
CREATE OR REPLACE FUNCTION pg_temp.h(bigint) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
    SELECT (hashint8($1) & 1048575) / 1048576.0 $$;
CREATE FUNCTION pg_temp.fact_id(timestamptz, text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM $1) * 1000)::bigint), 12, '0') || '8' || left(md5($2), 3) || '8'
            || substr(md5($2), 4, 15))::uuid $$;
"""
_BEGIN = """
CREATE UNLOGGED TABLE the_end AS
SELECT to_timestamp(floor(extract(epoch FROM now()) / 600) * 600) AS at,
       to_timestamp(floor(extract(epoch FROM now()) / 600) * 600) - interval '365 days' AS began;

CREATE UNLOGGED TABLE plan AS
WITH weights AS (SELECT k, k ^ (-{skew}) AS w, CASE WHEN k % 3 = 1 THEN k ^ (-{skew}) END AS paper
                   FROM generate_series(1::bigint, {bots}) k)
SELECT k, md5('ledger bot' || k)::uuid AS bot_id, md5('ledger client' || c)::uuid AS client_id, c, k % 3 = 1 AS is_paper,
       CASE WHEN k % 3 <> 1 THEN md5('ledger connector' || c)::uuid END AS connector_id,
       5 * greatest(1, round({positions} * w / sum(w) OVER ()))::bigint AS trades,
       coalesce(round({decisions} * paper / sum(paper) OVER ()), 0)::bigint AS decisions,
       CASE WHEN k % 3 = 1 THEN 12 ELSE 1 END AS open_positions, k % 7 = 0 AND k % 3 <> 1 AS pays_in_bnb,
       CASE WHEN k % 3 = 1 THEN 8 ELSE 1 END AS symbols
  FROM weights, LATERAL (SELECT (k - 1) / greatest({bots} / {clients}, 1) % {clients} + 1 AS c) x;

INSERT INTO clients (id, name, account_identifier, email, status, tier, management_mode, settings, source, source_id,
                     deletion_requested_by, created_at, updated_at)
SELECT DISTINCT client_id, 'Trader ' || c, 'trader_' || c, 'trader' || c || '@example.com', 'active', 'standard', 'managed',
       '{{}}'::jsonb, '', '', '', began, began FROM plan, the_end;
INSERT INTO connectors (id, client_id, name, label, key_hint, credentials_version, created_at)
SELECT DISTINCT md5('ledger connector' || c)::uuid, client_id, 'kucoin', '', '', 0, began FROM plan, the_end;
INSERT INTO bots (id, client_id, connector_id, connector_name, name, pair, strategy, config, runtime_kind, desired_status,
                  desired_at, desired_by, desired_reason, reported_by, source, source_id, deletion_requested_by, created_at,
                  updated_at)
SELECT bot_id, client_id, connector_id, CASE WHEN is_paper THEN 'paper' ELSE 'kucoin' END, 'Trader ' || c || ' bot ' || k,
       'BTC/USDT', 'spread', '{{}}', CASE WHEN is_paper THEN 'arena' ELSE 'external' END, 'running', began, '', '', '', '',
       '', '', began, began FROM plan, the_end ORDER BY k;
INSERT INTO bot_health (bot_id, client_id, status, message, status_updated_at, last_trade_at, heartbeat_status, evidence,
                        thresholds, checked_at, due_at)
SELECT bot_id, client_id, 'healthy', 'Last trade 4 min ago.', at, at, '', '[]', '{{}}', at, at FROM plan, the_end;
INSERT INTO api_keys (id, prefix, digest, kind, scope, name, client_id, created_by, created_at)
SELECT md5('ledger key' || n)::uuid, left(key, 14), encode(sha256(convert_to(key, 'UTF8')), 'hex'),
       CASE n WHEN 0 THEN 'operator' ELSE 'client' END, 'manage', '', CASE n WHEN 1 THEN md5('ledger client1')::uuid END,
       'bench', began
  FROM the_end, (VALUES (0, '{operator_key}'), (1, '{client_key}')) keys (n, key);

CREATE UNLOGGED TABLE markets AS
SELECT n, name || '/USDT' AS symbol, price FROM (VALUES
    (0, 'BTC', 65000.0), (1, 'ETH', 3200.0), (2, 'SOL', 150.0), (3, 'XRP', 2.4), (4, 'DOGE', 0.6), (5, 'BNB', 600.0),
    (6, 'ADA', 0.9), (7, 'LTC', 95.0), (8, 'DOT', 7.0), (9, 'LINK', 18.0), (10, 'AVAX', 35.0), (11, 'ATOM', 9.0)
) m (n, name, price);

CREATE UNLOGGED TABLE pos AS
SELECT x.*, md5('ledger position' || x.k || '-' || x.j) AS digest,
       round((m.price * (1 + 0.3 * sin(x.j::float8 * 6 / x.trades + x.k)))::numeric, 4) AS entry,
       CASE WHEN x.is_paper AND x.j % 3 = 0 THEN -1 ELSE 1 END AS direction, m.symbol,
       round((100 / m.price)::numeric, 4) + 0.0001 AS quantity
  FROM (SELECT p.*, j, (pg_temp.h(p.k * 1000003 + j) * p.symbols)::int % p.symbols AS s,
               j >= p.trades / 5 - p.open_positions AS is_open,
               began + (5 * j + pg_temp.h(p.k * 100000000 + 5 * j)) / p.trades * (at - began) AS opened_at
          FROM plan p CROSS JOIN the_end CROSS JOIN LATERAL generate_series(0, p.trades / 5 - 1) j) x
  JOIN markets m ON m.n = (x.s + CASE WHEN x.is_paper THEN x.k ELSE 0 END) % 12;
ALTER TABLE pos ADD COLUMN id uuid, ADD COLUMN exit numeric, ADD COLUMN leverage numeric, ADD COLUMN fee_rate numeric;
UPDATE pos SET id = CASE WHEN is_paper THEN pg_temp.fact_id(opened_at, digest) ELSE  -- of a live one as its book makes it
                   bridge_fact_id((extract(epoch FROM opened_at) * 1000000)::bigint,
                                  'position' || chr(31) || pg_temp.fact_id(opened_at, digest || 0)) END,
               exit = round(entry * (1 + (hashint8(k * 7919 + j) % 1000 + 6)::numeric / 50000), 4),
               leverage = CASE WHEN is_paper THEN 4 ELSE 1 END, fee_rate = CASE WHEN pays_in_bnb THEN 0 ELSE 0.001 END;
ANALYZE pos;
"""

_POSITIONS = """
INSERT INTO positions (id, client_id, bot_id, connector_id, mode, market_type, symbol, currency, position_type, status,
    entry_price, exit_price, size, leverage, opened_quantity, closed_quantity, quantity, basis_quantity, basis_cost,
    basis_entry_fees, basis_fees, realized_pnl, realized_exact, exit_notional, peak_size, mark_price, marked_at,
    unrealized_pnl, opened_at, traded_at, closed_at, close_cause, source, source_id, note, updated_at)
SELECT id, client_id, bot_id, connector_id, CASE WHEN is_paper THEN 'paper' ELSE 'live' END,
       CASE WHEN is_paper THEN 'swap' ELSE 'spot' END, symbol, 'USDT', CASE direction WHEN 1 THEN 'LONG' ELSE 'SHORT' END,
       CASE WHEN is_open THEN 'open' ELSE 'closed' END, entry, CASE WHEN NOT is_open THEN exit END,
       held * quantity * entry / leverage, leverage, held * quantity, CASE WHEN is_open THEN 0 ELSE held * quantity END,
       CASE WHEN is_open THEN held * quantity ELSE 0 END, held * quantity, held * quantity * entry,
       held * quantity * entry * fee_rate, CASE WHEN is_open THEN held * quantity * entry * fee_rate ELSE 0 END,
       CASE WHEN is_open THEN 0 ELSE gain END, CASE WHEN is_open THEN 0 ELSE gain END,
       CASE WHEN is_open THEN 0 ELSE held * quantity * exit END, held * quantity * entry / leverage,
       CASE WHEN is_open THEN exit END, CASE WHEN is_open THEN at END,
       CASE WHEN is_open THEN direction * held * quantity * (exit - entry) END, opened_at, last_at,
       CASE WHEN NOT is_open THEN last_at END,
       CASE WHEN is_open THEN '' WHEN is_paper THEN 'model' ELSE 'runtime' END, '', '', '', at
  FROM (SELECT pos.*, CASE WHEN is_open THEN 5 ELSE 3 END AS held, at,
               began + (5 * j + 4 + pg_temp.h(k * 100000000 + 5 * j + 4)) / trades * (at - began) AS last_at,
               direction * 3 * quantity * (exit - entry) - 3 * quantity * (entry + exit) * fee_rate AS gain
          FROM pos, the_end) p
 ORDER BY opened_at
"""

# Three entries, two exits of half of it each; an open position has five entries. One part of the year at a time.
_TRADES = """
INSERT INTO {table} (id, client_id, bot_id, connector_id, position_id, decision_id, mode, exchange, market_type, symbol, currency,
    side, trade_type, action, price, quantity, closed_quantity, size, leverage, entry_price, exit_price, pnl, fee,
    fee_currency, fee_quote, cause, executed_at, recorded_at, exchange_trade_id, exchange_order_id, source, source_id, note)
SELECT pg_temp.fact_id(t.at, digest || n), client_id, bot_id, connector_id, t.id,
       CASE WHEN is_paper AND n = 0 AND decisions > 0 THEN pg_temp.fact_id(
           the_end.began + (j * decisions / (trades / 5))::float8 / decisions * (the_end.at - the_end.began),
           'decision' || k || '-' || j * decisions / (trades / 5)) END,
       CASE WHEN is_paper THEN 'paper' ELSE 'live' END, CASE WHEN is_paper THEN '' ELSE 'kucoin' END,
       CASE WHEN is_paper THEN 'swap' ELSE 'spot' END, symbol, 'USDT',
       CASE WHEN (direction = 1) = is_entry THEN 'buy' ELSE 'sell' END, CASE WHEN is_entry THEN 'entry' ELSE 'exit' END,
       CASE direction WHEN 1 THEN 'LONG' ELSE 'SHORT' END, price, done, CASE WHEN is_entry THEN 0 ELSE done END,
       entry * done / leverage, leverage, entry, CASE WHEN NOT is_entry THEN exit END,
       CASE WHEN NOT is_entry THEN direction * done * (exit - entry) - done * (entry + exit) * fee_rate END,
       CASE WHEN pays_in_bnb THEN 0.00001 ELSE price * done * fee_rate END, CASE WHEN pays_in_bnb THEN 'BNB' ELSE 'USDT' END,
       CASE WHEN NOT pays_in_bnb THEN price * done * fee_rate END,
       CASE WHEN NOT is_paper THEN 'runtime' WHEN is_entry OR mod(j, 4) > 0 THEN 'model' ELSE 'stop_loss' END, t.at, t.at,
       CASE WHEN is_paper THEN '' ELSE k || '-' || 5 * j + n END, CASE WHEN is_paper THEN '' ELSE 'o' || k || '-' || j END,
       '', '', ''
  FROM (SELECT p.*, n, n < 3 OR is_open AS is_entry, CASE WHEN n < 3 OR is_open THEN entry ELSE exit END AS price,
               CASE WHEN n < 3 OR is_open THEN quantity ELSE quantity * 1.5 END AS done,
               began + (5 * j + n + pg_temp.h(k * 100000000 + 5 * j + n)) / trades * (the_end.at - began) AS at
          FROM pos p CROSS JOIN the_end CROSS JOIN generate_series(0, 4) n
         WHERE p.opened_at BETWEEN %(begin)s - interval '60 days' AND %(end)s) t, the_end
 WHERE t.at >= %(begin)s AND t.at < %(end)s ORDER BY t.at
"""

_DECISIONS = """
INSERT INTO bot_decisions (id, client_id, bot_id, decided_at, prompt_sent, decisions_json, notes_json, execution_success,
                           source, source_id, recorded_at)
SELECT pg_temp.fact_id(d.at, 'decision' || k || '-' || i), client_id, bot_id, d.at,
       {prompt} || (SELECT string_agg(m.symbol || ' ' || round((m.price * (1 + pg_temp.h(i * 31 + m.n)))::numeric, 4)
                                      || ' ' || md5(i::text || m.n), E'\n') FROM markets m),
       jsonb_build_array(jsonb_build_object('action', 'LONG', 'symbol', 'BTCUSDT', 'size', 100 + i % 50, 'leverage', 4,
           'reasoning', 'The averages cross and volume rises; three entries of this kind were winners. ' || md5(i::text))),
       jsonb_build_array('opened at ' || 60000 + i % 5000, 'balance is ' || 10000 - i % 900), i % 5 > 0, '', '', d.at
  FROM (SELECT p.*, i, the_end.began + i::float8 / decisions * (the_end.at - the_end.began) AS at
          FROM plan p CROSS JOIN the_end CROSS JOIN LATERAL generate_series(0, p.decisions - 1) i) d
 ORDER BY d.at
"""

_SNAPSHOTS = """
INSERT INTO bot_state_snapshots (client_id, bot_id, taken_at, balance, realized_pnl, unrealized_pnl, total_value, trade_count,
                                 closed_trade_count, win_rate, fees, open_positions, benchmark_price, source)
SELECT client_id, bot_id, taken_at, CASE WHEN k % 10 > 0 THEN value - 60 END, value - 10000, 12.5,
       CASE WHEN k % 10 > 0 THEN value END, n, n / 3, round(0.4 + k % 20 / 100.0, 18), n * 0.1, open_positions,
       round((60000 * (1 + 0.1 * sin(n::float8 / 700)))::numeric, 2), ''
  FROM (SELECT p.*, n, round((10000 * (1 + 0.05 * sin(n::float8 / 97 + p.k) + 0.01 * pg_temp.h(p.k * 10007 + n)))::numeric, 6)
               AS value,
               CASE WHEN n < {ticks} THEN the_end.at - n * interval '10 minutes'
                    ELSE date_trunc('day', the_end.at - {ticks} * interval '10 minutes', 'UTC')
                         - (n - {ticks}) * interval '1 day' END AS taken_at
          FROM plan p CROSS JOIN the_end CROSS JOIN generate_series(0, {each} - 1) n) s
 ORDER BY taken_at, k
"""

_ACCOUNTS = """
INSERT INTO bot_accounts (bot_id, client_id, mode, currency, allocated_capital, cash_flow, realized_pnl_adjustment,
                          balance_adjustment, complete_since, opened_at, updated_at)
SELECT p.bot_id, p.client_id, CASE WHEN is_paper THEN 'paper' ELSE 'live' END, 'USDT', CASE WHEN k % 10 > 0 THEN 10000 END,
       coalesce(s.pnl, 0) - coalesce(o.bound, 0), 0, 0, began, began, at
  FROM plan p CROSS JOIN the_end
  LEFT JOIN bot_stats s ON s.bot_id = p.bot_id
  LEFT JOIN (SELECT bot_id, sum(size + basis_fees) AS bound FROM positions WHERE status = 'open' GROUP BY bot_id) o
         ON o.bot_id = p.bot_id
"""
_PROMPT = (
    "You are a careful trader. You hold positions on paper, you are told prices, your balance and your last trades, and you "
    "answer with a list of decisions in JSON. "
)
_PLAIN_INDEXES = """
SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
 WHERE i.indrelid = ANY(ARRAY['trades', 'positions', 'bot_decisions', 'bot_state_snapshots']::regclass[])
   AND NOT i.indisprimary AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid)
"""
PARTS = 24


def plant_ledger(conninfo: str, *, size: LedgerSize, say: Say) -> LedgerWorld:
    """Fill an empty, migrated database; the connection must be a superuser's."""
    from ledger.services import recomputed  # noqa: F401 - what it needs at the end should fail at the begin

    began = time.monotonic()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(_SESSION.encode())
        _plan(connection, size)
        indexes = connection.execute(_PLAIN_INDEXES).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}".encode())
        say(f"bots and a plan stand after {time.monotonic() - began:.0f} s")
        _side_by_side(conninfo, [_rows_beside_trades(size), _trades(connection)])
        say(f"trades, positions, decisions and snapshots stand after {time.monotonic() - began:.0f} s")
        _side_by_side(conninfo, [[(definition, {})] for _, definition in indexes])
        connection.execute("ANALYZE")
        say(f"indexes stand after {time.monotonic() - began:.0f} s")
        add_up(connection)
        connection.execute(_ACCOUNTS.encode())
        connection.execute("DROP TABLE pos, plan, markets, the_end")
        say(f"statistics stand after {time.monotonic() - began:.0f} s")
    settle(conninfo)
    return read_world(conninfo, size)


def _rows_beside_trades(size: LedgerSize) -> list[tuple[str, dict[str, Any]]]:
    prompt = " ".join(f"{word} {hashlib.md5(word.encode()).hexdigest()[:5]}" for word in (_PROMPT * 8).split())[:2200]
    each = size.snapshots // size.bots
    return [
        (_POSITIONS, {}),
        (_DECISIONS.format(prompt=f"'{prompt}'"), {}),
        (_SNAPSHOTS.format(ticks=min(TICKS_10_MIN, each), each=each), {}),
    ]


def _trades(connection: psycopg.Connection[Any]) -> list[tuple[str, dict[str, Any]]]:
    statement = _TRADES.format(table="trades")
    return [(statement, {"begin": begin, "end": end}) for begin, end in _parts(connection)]


def _side_by_side(conninfo: str, jobs: list[list[tuple[str, dict[str, Any]]]]) -> None:
    """Run lists of statements, two lists at a time; each statement commits."""

    def work(statements: list[tuple[str, dict[str, Any]]]) -> None:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(_SESSION.encode())
            for statement, params in statements:
                connection.execute(statement.encode(), params or None)

    with ThreadPoolExecutor(max_workers=2) as pool:
        for done in [pool.submit(work, statements) for statements in jobs]:
            done.result()


def add_up(connection: psycopg.Connection[Any]) -> None:
    """The statistics from the rows, by the statements with which the product repairs them."""
    from ledger.services.recomputed import PREPARE, REPAIR

    with connection.transaction():
        for statement in (*PREPARE, *(each for statements in REPAIR.values() for each in statements)):
            connection.execute(statement.encode(), {"bot": None} if "%(bot)s" in statement else None)


def settle(conninfo: str) -> None:
    """Visibility maps and statistics as after autovacuum, and nothing left to write."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


def read_world(conninfo: str, size: LedgerSize) -> LedgerWorld:
    with psycopg.connect(conninfo) as connection:
        row = connection.execute(
            "SELECT max(s.taken_at), md5('ledger bot1')::uuid, md5('ledger bot2')::uuid, md5('ledger client1')::uuid "
            "FROM bot_state_snapshots s WHERE s.bot_id = md5('ledger bot1')::uuid"
        ).fetchone()
    assert row is not None
    return LedgerWorld(size, row[0].astimezone(UTC), row[1], row[2], row[3])


def kept(folder: Path, size: LedgerSize) -> bool:
    """Whether a folder holds such a world already."""
    marker = folder / "ledger-world.json"
    return marker.exists() and json.loads(marker.read_text()) == asdict(size)


def keep(folder: Path, size: LedgerSize) -> None:
    (folder / "ledger-world.json").write_text(json.dumps(asdict(size)))


def _plan(connection: psycopg.Connection[Any], size: LedgerSize) -> None:
    values = {
        "skew": SKEW, "bots": size.bots, "clients": min(CLIENTS, size.bots // 4), "positions": size.positions,
        "decisions": size.decisions, "operator_key": OPERATOR_KEY, "client_key": CLIENT_KEY,
    }  # fmt: skip
    connection.execute(_BEGIN.format(**values).encode())


def _parts(connection: psycopg.Connection[Any]) -> list[tuple[datetime, datetime]]:
    """The year in parts, so that rows come in the order of time and no sort spills to disk."""
    row = connection.execute("SELECT began, at FROM the_end").fetchone()
    assert row is not None
    began, ended = row
    edges = [began + (ended - began) * n / PARTS for n in range(PARTS)]
    return list(zip(edges, [*edges[1:], ended + (ended - began)], strict=True))
