"""Items into the staging tables: normalised, by COPY, committed a chunk at a time together with how far it came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection, transaction

from ledger.rules.arena_items import read_log, read_order, read_position, read_snapshot
from ledger.rules.arena_values import Refused
from ledger.services.import_arena.seam import Item, Number, Section, path_of

COMMIT_EVERY = 50_000
_FLUSH_BYTES = 1024 * 1024
_LONGEST_KEY = 200
_NULL = "\\N"
_READERS: dict[Section, tuple[str, Callable[[Any], tuple[Any, ...]]]] = {
    Section.ORDER: ("orders", read_order),
    Section.LOG: ("logs", read_log),
    Section.POSITION: ("positions", read_position),
}
_COLUMNS = {
    "orders": "bot, index, path, source_id, symbol, trade_type, action, price, entry_price, size, leverage, quantity, pnl, "
    "fee, at_us, position_ref, extra",
    "positions": "bot, index, path, source_id, symbol, action, entry_price, size, leverage, quantity, unrealized_pnl, "
    "stop_loss, take_profit, liquidation_price, opened_us, extra",
    "logs": "bot, index, path, source_id, at_us, prompt, decisions, notes, execution_success, extra",
    "snapshots": "index, bot_id, at_us, balance, realized_pnl, total_value, trade_count, win_rate, extra",
    "fields": "seq, section, bot, index, key, raw, secret",
    "refusals": "bot, section, path, reason",
}


class Stager:
    """Takes items in the order of their source. The first ``done`` of them are staged already and only counted."""

    def __init__(self, *, done: int = 0, commit_every: int = COMMIT_EVERY) -> None:
        self.count, self._done, self._commit_every = 0, done, commit_every
        self._rows: dict[str, list[str]] = {table: [] for table in _COLUMNS}
        self._size = 0

    def add(self, item: Item) -> None:
        """Take the next item."""
        self.count += 1
        if self.count <= self._done:
            return
        section = item.section
        if item.problem:
            self._refuse(item, item.problem)
        elif section in _READERS:
            table, reader = _READERS[section]
            try:
                row = reader(item.value)
            except Refused as reason:
                self._refuse(item, str(reason))
            else:
                if section == Section.ORDER:
                    self._put_line(table, _order_line(item, row))
                else:
                    self._put(table, (item.bot, item.index, item.key or None, *row))
        elif section == Section.SNAPSHOT:
            self._snapshot(item)
        elif len(item.key) > _LONGEST_KEY:
            self._refuse(item, f"Its key is longer than {_LONGEST_KEY} characters.")
        else:
            raw = "{}" if section == Section.BOT else item.raw
            self._put("fields", (self.count, section, item.bot, item.index, item.key, raw, item.secret))
        if self._size >= _FLUSH_BYTES or self.count % self._commit_every == 0:
            self.flush()

    def flush(self) -> None:
        """Write what is held and commit it, together with the count of items that are staged now."""
        if self.count <= self._done:
            return
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")  # these tables do not outlive a crash in any case
            for table, rows in self._rows.items():
                if rows:
                    with cursor.copy(f"COPY arena_staging_{table} ({_COLUMNS[table]}) FROM STDIN") as copy:
                        copy.write("".join(rows).encode())
                    rows.clear()
            cursor.execute("UPDATE arena_staging_state SET items = %s", [self.count])
        self._size = 0

    def _snapshot(self, item: Item) -> None:
        try:
            self._put("snapshots", (item.index, *read_snapshot(item.value)))
        except Refused as reason:
            self._refuse(item, str(reason))

    def _refuse(self, item: Item, reason: str) -> None:
        self._put("refusals", (item.bot, item.section, path_of(item), reason))

    def _put(self, table: str, values: tuple[Any, ...]) -> None:
        self._put_line(table, "\t".join([_copied(value) for value in values]) + "\n")

    def _put_line(self, table: str, line: str) -> None:
        self._rows[table].append(line)
        self._size += len(line)


def _order_line(item: Item, row: tuple[Any, ...]) -> str:
    """The same as ``_put`` makes, for what most items are: only ids and ``extra`` can hold what must be escaped."""
    source_id, symbol, kind, action, price, entry, size, leverage, quantity, pnl, fee, at_us, reference, extra = row
    return (
        f"{item.bot}\t{item.index}\t{_copied(item.key or None)}\t{_copied(source_id)}\t{symbol}\t{kind}\t{action}\t{price}\t"
        f"{entry or _NULL}\t{size}\t{leverage}\t{quantity or _NULL}\t{pnl or _NULL}\t{fee or _NULL}\t{at_us}\t"
        f"{_copied(reference)}\t{_copied(extra)}\n"
    )


def _copied(value: Any) -> str:
    """A value in COPY's text format."""
    if value is None:
        return _NULL
    if type(value) is Number:
        return value
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, int):
        return str(value)
    text: str = value
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if "\n" in text or "\t" in text or "\r" in text:
        text = text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return text
