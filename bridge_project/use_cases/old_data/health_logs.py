"""The old log of health: streamed into a table of this session, then moved with its bots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from bridge_project.use_cases.old_data.bots import health_word
from bridge_project.use_cases.old_data.bridge_rows import LOGS
from bridge_project.use_cases.old_data.report import KNOWN, MADE, Report
from bridge_project.use_cases.old_data.values import OldRow, Refused, count_of, instant_of, text_of
from ground.sql import fetch_all, fetch_one, run

_TABLES = """
    CREATE TEMP TABLE import_bridge_logs (
        number bigint, bot text, checked_at timestamptz, previous text, status text, reason text, trade_count integer,
        last_trade_at timestamptz);
    CREATE TEMP TABLE import_bridge_bots (source_id text PRIMARY KEY, bot_id uuid, client_id uuid)
"""
_FORGET = "DROP TABLE IF EXISTS import_bridge_logs, import_bridge_bots"
_COPY = (
    "COPY import_bridge_logs (number, bot, checked_at, previous, status, reason, trade_count, last_trade_at) FROM STDIN"
)
# The old log's ids are not kept: a line is known by what it says, and by how many there are that say it.
_MOVE = """
    INSERT INTO bot_health_logs (bot_id, client_id, checked_at, previous_status, new_status, reason, actor, trade_count,
                                 last_trade_at, evidence)
    SELECT l.bot_id, l.client_id, l.checked_at, l.previous, l.status, l.reason, %(actor)s, l.trade_count, l.last_trade_at,
           '[]'
      FROM (SELECT b.bot_id, b.client_id, o.number, o.checked_at, o.status, o.reason, o.trade_count, o.last_trade_at,
                   coalesce(o.previous, lag(o.status) OVER (PARTITION BY o.bot ORDER BY o.checked_at, o.number)) AS previous,
                   row_number() OVER (PARTITION BY o.bot, o.checked_at, o.status, o.reason ORDER BY o.number) AS nth
              FROM import_bridge_logs o JOIN import_bridge_bots b ON b.source_id = o.bot) l
     WHERE l.nth > (SELECT count(*) FROM bot_health_logs k WHERE k.bot_id = l.bot_id AND k.checked_at = l.checked_at
                       AND k.new_status = l.status AND k.reason = l.reason AND k.actor = %(actor)s)
     ORDER BY l.checked_at, l.number
"""
_LOST = """
    SELECT o.bot, count(*) FROM import_bridge_logs o LEFT JOIN import_bridge_bots b ON b.source_id = o.bot
     WHERE b.bot_id IS NULL GROUP BY o.bot ORDER BY o.bot
"""


def stage_logs(rows: Iterable[dict[str, Any]], report: Report) -> None:
    """Read the old log into this session, outside any transaction; lines that cannot be taken are refused."""
    run(_FORGET)
    run(_TABLES)
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for number, row in enumerate(rows):
            try:
                copy.write_row((number, *_line(row)))
            except Refused as reason:
                report.refuse(LOGS, text_of(row, "id") or f"row {number}", str(reason))


def move_logs(bots: Mapping[str, tuple[UUID, UUID]], report: Report) -> None:
    """Inside the import's transaction: ``bots`` gives each old id's bot and client."""
    run("TRUNCATE import_bridge_bots")
    with connection.cursor() as cursor, cursor.copy("COPY import_bridge_bots FROM STDIN") as copy:
        for source_id, (bot_id, client_id) in bots.items():
            copy.write_row((source_id, bot_id, client_id))
    run("ANALYZE import_bridge_logs")
    made = run(_MOVE, {"actor": f"import:{report.source}"})
    row = fetch_one("SELECT count(*) FROM import_bridge_logs o JOIN import_bridge_bots b ON b.source_id = o.bot")
    report.count(LOGS, MADE, made)
    report.count(LOGS, KNOWN, (int(row[0]) if row else 0) - made)
    for bot, number in fetch_all(_LOST):
        report.refuse(LOGS, f"bot_id={bot}", f"{number} lines of a bot that was not imported.", number=number)
    if made:
        report.note("Old checks without a change of verdict are forgotten after the days that health's settings say.")


def drop_logs() -> None:
    """Nothing is left in the session."""
    run(_FORGET)


def _line(row: OldRow) -> tuple[str, datetime, str | None, str, str, int | None, datetime | None]:
    bot, at = text_of(row, "bot_id"), instant_of(row, "checked_at", "created_at")
    if not bot or at is None:
        raise Refused("It has no bot_id." if not bot else "It has no checked_at.")
    word = text_of(row, "health_status", "new_status", "status")
    status = health_word(word)
    if status is None:
        raise Refused(f"'{word[:40]}' is no verdict on a bot's health.")
    before = text_of(row, "previous_status").lower()
    previous = None if before == "running" else health_word(before)  # then the line before it tells
    reason = text_of(row, "reason", "message", limit=1_000_000)[:500] or "no reason was kept"
    seen = count_of(row, "trade_count", "trades_found")
    return bot, at, previous, status, reason, seen, instant_of(row, "last_trade", "last_trade_time", "last_trade_at")
