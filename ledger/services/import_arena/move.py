"""From the staging tables into the ledger, in one transaction that the caller opens. Ledger rows are added, positions
closed and accounts brought to what the state says; nothing is ever deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from ground.encrypted import decrypt
from ground.sql import fetch_all, run
from ledger.rules.arena_shape import exact_value
from ledger.services.import_arena import facts_sql, orders_sql
from ledger.services.import_arena.baselines import keep_baselines
from ledger.services.import_arena.heads import BotHead
from ledger.services.import_arena.owners import Target, lock_accounts

_KINDS = {"user": "user", "provider": "provider", "setting": "setting", "bot_row": "bot_row", "table_row": "table"}
_KEYS = {"user": "id", "provider": "id", "setting": "key", "bot_row": "id"}


def move(
    targets: Sequence[Target], heads: Sequence[BotHead], *, source: str, now: datetime, tell: Callable[[str], None]
) -> dict[str, int]:
    """Write what is staged for these bots. Gives how many rows were written, by table."""
    values = {"source": source, "now_us": int(now.timestamp()) * 1_000_000}
    _settings()
    lock_accounts(list(targets))
    _map(targets)
    tell("matching orders")
    _match_orders(values)
    tell("writing positions and trades")
    written = _write_orders(values)
    tell("writing decisions, snapshots and documents")
    written |= _write_decisions(values)
    run(facts_sql.SNAPSHOTS_REFUSED)
    written["snapshots"] = run(facts_sql.SNAPSHOTS, values)
    written["documents"] = _write_documents(targets, source)
    _settle(heads, values)
    written["snapshots"] += run(facts_sql.STATES, values)
    keep_baselines(source=source)
    return written


def _settings() -> None:
    """For this transaction: room to sort in, a quick look at the temporary tables, and what the audit says of it."""
    run("SET LOCAL work_mem = '96MB'")
    run("SET LOCAL default_statistics_target = 10")
    run("SET LOCAL jit = off")
    run("SELECT set_config('app.reason', 'imported', true)")


def _map(targets: Sequence[Target]) -> None:
    run(orders_sql.BOTS)
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO arena_bots (index, bot_id, client_id, source_id, mode, currency) "
            "SELECT %s, a.bot_id, a.client_id, %s, a.mode, a.currency FROM bot_accounts a WHERE a.bot_id = %s",
            [(target.head.index, target.head.source_id, target.bot_id) for target in targets],
        )
    run(orders_sql.FACTS)
    run("ANALYZE arena_bots")


def _match_orders(values: dict[str, Any]) -> None:
    """Which orders are new, which of them belong together, and which positions they make."""
    run("ANALYZE arena_staging_orders")
    run(orders_sql.STORED)
    run("ANALYZE arena_stored")
    if run(orders_sql.TWICE):
        run(orders_sql.TWICE_REFUSED)
        run(orders_sql.TWICE_REMOVED)
        run(orders_sql.BOTH_KINDS, values)
    run(orders_sql.OTHER_KIND_STORED, values)
    run(orders_sql.KNOWN, values)
    run(orders_sql.KNOWN_INDEX)
    run(orders_sql.LEFT_ALONE, values)
    run(orders_sql.OFFSETS, values)
    run("ANALYZE arena_known")
    run(orders_sql.POOL, values)
    run(orders_sql.POSITIONS_TWICE)
    run(orders_sql.OPEN, values)
    run(orders_sql.GONE, values)
    run(orders_sql.POOL_STORED, values)
    for table in ("arena_pool", "arena_open", "arena_gone"):
        run(f"ANALYZE {table}")
    run(orders_sql.HELD)
    for keys in orders_sql.HOLD_KEYS:
        run(orders_sql.hold(keys))
    run("ANALYZE arena_held")
    run(orders_sql.SINCE, values)
    run(orders_sql.NAMED, values)
    _pair(values)


def _pair(values: dict[str, Any]) -> None:
    run(orders_sql.PAIRS)
    for keys, entries, exits in orders_sql.PAIR_PASSES:
        unpaired = (  # counted, since a plan for the first one alone would look through the pairs again for each exit
            f"SELECT count(*) FROM arena_pool p WHERE NOT p.is_entry AND {exits} "  # noqa: S608 - constants
            "AND NOT EXISTS (SELECT 1 FROM arena_pairs x WHERE x.exit_id = p.id)"
        )
        if fetch_all(unpaired)[0][0]:
            run(orders_sql.pair(keys, entries, exits), values)
            run("ANALYZE arena_pairs")


def _write_orders(values: dict[str, Any]) -> dict[str, int]:
    run(facts_sql.GONE_CLOSED)  # first, since a live bot holds one open position of a symbol
    run(facts_sql.GONE_AWAY, values)
    opened = run(facts_sql.OPEN_POSITIONS, values)
    run(facts_sql.OPEN_POSITIONS_AGAIN, values)
    closed = run(facts_sql.CLOSED_POSITIONS, values)
    trades = run(facts_sql.TRADES, values)
    run(facts_sql.STORED_TRADES)
    return {"trades": trades, "positions": opened + closed}


def _write_decisions(values: dict[str, Any]) -> dict[str, int]:
    run("ANALYZE arena_staging_logs")
    run(facts_sql.LOGS_TWICE)
    run(facts_sql.STORED_LOGS)
    run("ANALYZE arena_stored_logs")
    run(facts_sql.LOGS_KNOWN, values)
    run(facts_sql.LOG_OFFSETS, values)
    return {"decisions": run(facts_sql.DECISIONS, values)}


def _write_documents(targets: Sequence[Target], source: str) -> int:
    written = run(facts_sql.BOT_DOCUMENTS, {"source": source}) + run(facts_sql.STATE_DOCUMENTS, {"source": source})
    clients = {target.head.user_id: target.client_id for target in targets}
    bots = {target.head.source_id: target for target in targets}
    for section, index, key, raw, secret in _table_rows():
        value = exact_value(raw)
        found = value if isinstance(value, dict) else {}
        name = found.get(_KEYS.get(section, ""), "") or (f"{key}[{index}]" if section == "table_row" else key)
        bot = bots.get(str(name)) if section == "bot_row" else None
        user = found.get("id") if section == "user" else found.get("user_id") or found.get("userId")
        client = bot.client_id if bot else clients.get(str(user))
        row = {"source": source, "client": client, "bot": bot.bot_id if bot else None, "kind": _KINDS[section],
               "key": str(name)[:200] or str(index), "body": raw, "rank": index or 0}  # fmt: skip
        written += run(facts_sql.TABLE_DOCUMENT, row | {"secret": _secret_to_store(row, secret)})
    return written


def _table_rows() -> Iterator[tuple[Any, ...]]:
    """The staged rows of old tables, a few at a time."""
    last = 0
    while rows := fetch_all(
        "SELECT seq, section, index, key, raw, secret FROM arena_staging_fields WHERE section = ANY(%s) AND seq > %s "
        "ORDER BY seq LIMIT 100",
        [list(_KINDS), last],
    ):
        yield from (tuple(row[1:]) for row in rows)
        last = rows[-1][0]


def _secret_to_store(row: dict[str, Any], token: str) -> str | None:
    """The token, unless the same secret is stored already under another one (each encryption gives a new token)."""
    if not token:
        return None
    stored = fetch_all(
        "SELECT secret FROM kept_documents WHERE source = %(source)s AND kind = %(kind)s AND key = %(key)s "
        "AND client_id IS NOT DISTINCT FROM %(client)s AND secret IS NOT NULL",
        row,
    )
    if stored and decrypt(stored[0][0]) == decrypt(token):
        return None
    return token


def _settle(heads: Sequence[BotHead], values: dict[str, Any]) -> None:
    run(facts_sql.HEADS)
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO arena_heads (index, capital, balance, realized) VALUES (%s, %s, %s, %s)",
            [(head.index, _not_negative(head.initial_balance), head.balance, head.realized_pnl) for head in heads],
        )
    run(facts_sql.ACCOUNTS, values)
    run(facts_sql.ACCOUNTS_LEFT_ALONE, values)


def _not_negative(amount: str | None) -> str | None:
    return None if amount is None or amount.startswith("-") else amount
