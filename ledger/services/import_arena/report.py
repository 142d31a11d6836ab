"""What an import did, for a person and for a machine. Made inside the import's transaction, while its tables are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from ground.sql import fetch_all, run
from ledger.rules.arena_shape import plain
from ledger.services.import_arena.heads import BotHead
from ledger.services.import_arena.owners import Target

LISTED = 10_000
"""So many refused items stand in the stored report; all of them are printed and in ``--report``."""
_PAGE = 5_000

_STAGED = """
    SELECT bot, count(*) FROM arena_staging_{table} GROUP BY bot
"""
_REFUSED = "SELECT bot, section, count(*) FROM arena_staging_refusals WHERE bot IS NOT NULL GROUP BY 1, 2"
_KNOWN = "SELECT bot, count(*), count(*) FILTER (WHERE NOT is_same) FROM {table} GROUP BY bot"
_PARTNERS = """
    SELECT p.bot, count(*) FILTER (WHERE p.is_entry), count(*) FILTER (WHERE NOT p.is_entry) FROM arena_pool p
     WHERE NOT p.is_stored AND NOT EXISTS (SELECT 1 FROM arena_pairs x WHERE x.entry_id = p.id)
       AND NOT EXISTS (SELECT 1 FROM arena_pairs x WHERE x.exit_id = p.id)
       AND NOT EXISTS (SELECT 1 FROM arena_held h WHERE h.entry_id = p.id)
     GROUP BY p.bot
"""
_CLOSED = """
    SELECT e.bot, count(*) FROM arena_pairs x JOIN arena_pool e ON e.id = x.entry_id GROUP BY e.bot
"""
_GONE = "SELECT bot, count(*) FROM arena_gone GROUP BY bot"
_OPENED = """
    SELECT bot, count(*) FILTER (WHERE stored_id IS NULL), count(*) FILTER (WHERE stored_id IS NOT NULL)
      FROM arena_open GROUP BY bot
"""
_SUMS = """
    SELECT b.index, b.is_left_alone, a.allocated_capital, a.balance, a.realized_pnl_adjustment, a.balance_adjustment,
           s.trades, s.closed_trades, coalesce(s.pnl, 0), s.positions_open, s.positions_closed, s.decisions, s.wins
      FROM arena_bots b JOIN bot_accounts a ON a.bot_id = b.bot_id LEFT JOIN bot_stats s ON s.bot_id = b.bot_id
"""
_CHANGED = """
    SELECT coalesce(path, 'bots[' || bot || '].orders[' || index || ']') FROM arena_known WHERE NOT is_same
    UNION ALL
    SELECT coalesce(path, 'bots[' || bot || '].botLogs[' || index || ']') FROM arena_known_logs WHERE NOT is_same
     LIMIT 10000
"""
_SNAPSHOTS = "SELECT count(*) FROM arena_staging_snapshots"


def refuse_bots(heads: Sequence[BotHead]) -> None:
    """Put the bots that cannot be taken, and how much of them is not taken, among what is refused."""
    staged = {table: dict(fetch_all(_STAGED.format(table=table))) for table in ("orders", "logs", "positions")}
    for head in heads:
        if head.problem:
            counts = {name: staged[name].get(head.index, 0) for name in staged}
            lost = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
            reason = f"{head.problem} Nothing of it was taken{f': {lost}' if lost else ''}."
            run(
                "INSERT INTO arena_staging_refusals (bot, section, path, reason) VALUES (%s, 'bot', %s, %s)",
                [head.index, f"bots[{head.index}]", reason],
            )


def make_report(
    heads: Sequence[BotHead], targets: Sequence[Target], written: dict[str, int], **words: Any
) -> dict[str, Any]:
    """The whole report as JSON can hold it; of the refused items the first ``LISTED``."""
    return {
        **words,
        "written": written,
        "bots": [_bot(target, figures) for target, figures in _with_figures(targets)],
        "snapshots_read": fetch_all(_SNAPSHOTS)[0][0],
        "changed": [path for (path,) in fetch_all(_CHANGED)],
        "refused_count": fetch_all("SELECT count(*) FROM arena_staging_refusals")[0][0],
        "refused": [{"path": path, "reason": reason} for path, reason in refusals(most=LISTED)],
    }


def refusals(*, most: int | None = None) -> Iterator[tuple[str, str]]:
    """Every refused item, ``(path, reason)``, in the order in which they were met."""
    last, given = 0, 0
    while most is None or given < most:
        rows = fetch_all(
            "SELECT seq, path, reason FROM arena_staging_refusals WHERE seq > %s ORDER BY seq LIMIT %s",
            [last, _PAGE if most is None else min(_PAGE, most - given)],
        )
        if not rows:
            return
        yield from ((path, reason) for _, path, reason in rows)
        last, given = rows[-1][0], given + len(rows)


def lines_of(report: dict[str, Any]) -> Iterator[str]:
    """The report as a person reads it, without the refused items."""
    kind = "A dry run: nothing was written." if report["dry_run"] else "Everything below is in the ledger."
    yield f"Import of {report['origin']} as '{report['source']}'. {kind}"
    for bot in report["bots"]:
        yield from _lines_of_bot(bot)
    written = report["written"]
    yield "Written: " + ", ".join(f"{count:,} {name}" for name, count in written.items()) + "."
    if report["snapshots_read"]:
        yield f"Snapshots: {report['snapshots_read']:,} read."
    yield from report["notes"]
    for path in report["changed"]:
        yield f"Changed since it was imported, the stored one was kept: {path}"
    yield f"{report['refused_count']:,} items were refused."


def _with_figures(targets: Sequence[Target]) -> Iterator[tuple[Target, dict[str, Any]]]:
    by_bot: dict[str, dict[int, tuple[Any, ...]]] = {
        "orders": _by_bot(_STAGED.format(table="orders")), "logs": _by_bot(_STAGED.format(table="logs")),
        "known": _by_bot(_KNOWN.format(table="arena_known")), "known_logs": _by_bot(_KNOWN.format(table="arena_known_logs")),
        "partners": _by_bot(_PARTNERS), "closed": _by_bot(_CLOSED), "gone": _by_bot(_GONE), "opened": _by_bot(_OPENED),
        "sums": _by_bot(_SUMS),
    }  # fmt: skip
    refused: dict[int, dict[str, int]] = {}
    for bot, section, count in fetch_all(_REFUSED):
        refused.setdefault(bot, {})[section] = count
    for target in targets:
        figures: dict[str, Any] = {name: found.get(target.head.index) for name, found in by_bot.items()}
        yield target, figures | {"refused": refused.get(target.head.index, {})}


def _by_bot(statement: str) -> dict[int, tuple[Any, ...]]:
    return {row[0]: tuple(row[1:]) for row in fetch_all(statement)}


def _bot(target: Target, figures: dict[str, Any]) -> dict[str, Any]:
    head, refused = target.head, figures["refused"]
    orders, known, changed = _counts(figures, "orders", "known")
    logs, known_logs, changed_logs = _counts(figures, "logs", "known_logs")
    (closed,), (gone,) = figures["closed"] or (0,), figures["gone"] or (0,)
    entries, exits = figures["partners"] or (0, 0)
    opened, still_open = figures["opened"] or (0, 0)
    left_alone, capital, balance, adjustment, balance_adjustment, trades, ended, pnl, *_ = figures["sums"]
    is_open, is_closed, decisions, wins = figures["sums"][-4:]
    return {
        "path": f"bots[{head.index}]", "id": head.source_id, "name": head.name, "bot_id": str(target.bot_id),
        "account": target.account, "mode": str(target.mode), "is_new": target.is_new, "is_left_alone": left_alone,
        "orders": {"read": orders + refused.get("order", 0), "new": orders - known, "known": known, "changed": changed,
                   "refused": refused.get("order", 0), "entries_without_partner": entries,
                   "exits_without_partner": exits},
        "positions": {"open_in_state": opened + still_open, "new": opened, "known": still_open, "closed": closed,
                      "gone": gone, "refused": refused.get("position", 0)},
        "decisions": {"read": logs + refused.get("log", 0), "new": logs - known_logs, "known": known_logs,
                      "changed": changed_logs, "refused": refused.get("log", 0)},
        "sums": {
            "trade_count": {"old": head.trade_count, "executions": trades or 0, "closed": ended or 0},
            "win_rate": {"old": head.win_rate, "ledger": _plain(Decimal(wins) / ended if ended else None)},
            "realized_pnl": {"old": head.realized_pnl, "trades": _plain(pnl), "adjustment": _plain(adjustment)},
            "balance": {"old": head.balance, "ledger": _plain(balance), "capital": _plain(capital),
                        "adjustment": _plain(balance_adjustment)},
        },
        "ledger": {"trades": trades or 0, "positions_open": is_open or 0, "positions_closed": is_closed or 0,
                   "decisions": decisions or 0},
        "notes": head.notes,
    }  # fmt: skip


def _counts(figures: dict[str, Any], staged: str, known: str) -> tuple[int, int, int]:
    (count,), (stored, changed) = figures[staged] or (0,), figures[known] or (0, 0)
    return count, stored, changed


def _plain(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def _lines_of_bot(bot: dict[str, Any]) -> Iterator[str]:
    orders, positions, decisions, sums = bot["orders"], bot["positions"], bot["decisions"], bot["sums"]
    yield f"\n{bot['name']} ({bot['id']}), {bot['mode']}, of {bot['account']}: bot {bot['bot_id']}"
    yield (
        f"  orders     {orders['read']:,} read, {orders['new']:,} new, {orders['known']:,} known, {orders['refused']:,} "
        f"refused; without a partner {orders['entries_without_partner']:,} entries and "
        f"{orders['exits_without_partner']:,} exits"
    )
    yield (
        f"  positions  {positions['open_in_state']:,} open in the state ({positions['new']:,} new), "
        f"{positions['closed']:,} closed, {positions['gone']:,} no longer there, {positions['refused']:,} refused"
    )
    yield (
        f"  decisions  {decisions['read']:,} read, {decisions['new']:,} new, {decisions['known']:,} known, "
        f"{decisions['refused']:,} refused"
    )
    realized, balance, count = sums["realized_pnl"], sums["balance"], sums["trade_count"]
    yield (
        f"  trades     {count['executions']:,} executions, {count['closed']:,} of them closed something; "
        f"the state says {_said(count['old'])}"
    )
    yield (
        f"  realised   {realized['trades']} in trades, the state says {_said(realized['old'])}: "
        f"carried as an adjustment of {realized['adjustment']}"
    )
    yield (
        f"  balance    {_said(balance['ledger'])}, the state says {_said(balance['old'])}: "
        f"carried as an adjustment of {balance['adjustment']}"
    )
    if bot["is_left_alone"]:
        yield "  Its account was left alone: the ledger has later trades of it, or some that are not of this import."
    yield from (f"  {note}" for note in bot["notes"])


def _said(value: Any) -> str:
    return "nothing" if value is None else str(value)
