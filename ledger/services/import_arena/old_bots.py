"""Rows of the old relational tables as items of the bots they belong to.

An old system that had begun to write tables has facts in both places. What the state holds is taken first; a row whose id
stands there already, or a decision whose prompt was sent in the same minute, is the same fact.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ledger.rules.arena_shape import Number, written
from ledger.rules.arena_values import Refused, moment_of
from ledger.services.import_arena.old_reader import FACTS, OldReader, is_empty, parsed
from ledger.services.import_arena.old_secrets import readable
from ledger.services.import_arena.seam import Item, Section

_US = 1_000_000
_SAME_CYCLE_S = 60
_OF_BOT = {
    "user_id": "userId", "name": "name", "prompt": "prompt", "provider_id": "provider", "provider": "provider",
    "trading_mode": "tradingMode", "mode": "tradingMode", "initial_balance": "initialBalance",
    "is_paused": "isPaused",
}  # fmt: skip
_OF_DECISION = {"prompt_sent": "prompt", "decisions_json": "decisions", "notes_json": "notes"}
_IMPLIED = {"user_id", "bot_id"}


class RowsOfBots:
    """Adds to a state's items what the tables hold beyond it; ``notes`` gets a sentence for what is left out."""

    def __init__(self, reader: OldReader, notes: list[str]) -> None:
        self._reader, self._notes = reader, notes
        self._filled = {table for table in FACTS if not is_empty(reader, table)}
        self._known: set[str] = set()
        self._bots = 0
        if "positions" in self._filled:
            notes.append(
                "Of the old table positions only open ones are taken, of bots that the state does not hold: in the state "
                "portfolio.positions says what is open, and closed positions are made from entries and exits."
            )

    def along(self, items: Iterator[Item]) -> Iterator[Item]:
        """The state's items, each bot's followed by its rows."""
        bot_id, seen = "", _Seen()
        for item in items:
            if item.section == Section.BOT:
                self._bots = (item.bot or 0) + 1
                if bot_id and not item.problem:
                    self._known.add(bot_id)
                    yield from self._rows(bot_id, item.bot or 0, seen)
                bot_id, seen = "", _Seen()
            elif item.section == Section.BOT_FIELD and item.key == "id" and isinstance(item.value, str):
                bot_id = str(item.value)
            elif self._filled:
                seen.note(item)
            yield item

    def of_bots_without_state(self) -> Iterator[Item]:
        """Bots that only stand in the table, as a state would hold them."""
        columns, _ = readable("bots", self._reader.columns("bots"))
        if "id" not in columns:
            return
        for row in self._reader.rows("bots", columns):
            if isinstance(row, str) or not isinstance(row["id"], str) or str(row["id"]) in self._known:
                continue
            yield from self._bot(row, self._bots)
            self._bots += 1

    def _bot(self, row: dict[str, Any], bot: int) -> Iterator[Item]:
        fields = {"id": str(row["id"])}
        fields |= {name: row[column] for column, name in _OF_BOT.items() if row.get(column) is not None}
        for key, value in fields.items():
            yield Item(Section.BOT_FIELD, bot, key=key, value=value, raw=written(value))
        for key in ("orders", "botLogs"):
            yield Item(Section.BOT_FIELD, bot, key=key, value=[], raw="[]")
        yield from self._rows(fields["id"], bot, _Seen())
        yield Item(Section.BOT_FIELD, bot, key="portfolio", value={}, raw="{}")
        yield Item(Section.PORTFOLIO_FIELD, bot, key="positions", value=[], raw="[]")
        yield from self._positions(fields["id"], bot)
        yield Item(Section.BOT, bot)

    def _rows(self, bot_id: str, bot: int, seen: _Seen) -> Iterator[Item]:
        index = seen.orders
        for place, row in self._of("trades", bot_id):
            if isinstance(row, str) or not seen.has_order(row):
                yield _item(Section.ORDER, bot, index, place, row)
                index += 1
        index = seen.logs
        for place, row in self._of("bot_decisions", bot_id):
            log = row if isinstance(row, str) else _log_of(row)
            if isinstance(log, str) or not seen.has_log(log):
                yield _item(Section.LOG, bot, index, place, log)
                index += 1

    def _positions(self, bot_id: str, bot: int) -> Iterator[Item]:
        rows = [(place, row) for place, row in self._of("positions", bot_id) if isinstance(row, str) or _is_open(row)]
        for index, (place, row) in enumerate(rows):
            kept = row if isinstance(row, str) else {k: v for k, v in row.items() if k not in ("status", "closed_at")}
            yield _item(Section.POSITION, bot, index, place, kept)

    def _of(self, table: str, bot_id: str) -> Iterator[tuple[str, dict[str, Any] | str]]:
        if table not in self._filled:
            return
        columns = [name for name in self._reader.columns(table) if name not in _IMPLIED]
        for index, row in enumerate(self._reader.rows(table, columns, bot_id=bot_id)):
            yield f"tables.{table}[bot_id={bot_id}][{index}]", row


class _Seen:
    """What the state holds of one bot: hashes of ids and prompts, so that a million of them stay small."""

    def __init__(self) -> None:
        self.orders = self.logs = 0
        self._ids: set[int] = set()
        self._cycles: dict[int, list[int]] = {}

    def note(self, item: Item) -> None:
        if item.section == Section.ORDER:
            self.orders = (item.index or 0) + 1
            if isinstance(item.value, dict):
                self._ids.add(hash(str(item.value.get("id"))))
        elif item.section == Section.LOG:
            self.logs = (item.index or 0) + 1
            if isinstance(item.value, dict):
                self._cycles.setdefault(hash(item.value.get("prompt")), []).append(_second(item.value))

    def has_order(self, row: dict[str, Any]) -> bool:
        return hash(str(row.get("id"))) in self._ids

    def has_log(self, log: dict[str, Any]) -> bool:
        near = self._cycles.get(hash(log.get("prompt")), ())
        return any(abs(second - _second(log)) <= _SAME_CYCLE_S for second in near)


def _item(section: Section, bot: int, index: int, place: str, row: dict[str, Any] | str) -> Item:
    if isinstance(row, str):
        return Item(section, bot, index, place, problem=row)
    return Item(section, bot, index, place, row, written(row))


def _log_of(row: dict[str, Any]) -> dict[str, Any]:
    log = {_OF_DECISION.get(name, name): value for name, value in row.items()}
    if isinstance(log.get("id"), Number):
        log["id"] = f"decision_{log['id']}"
    return log | {key: parsed(log[key]) for key in ("decisions", "notes") if key in log}


def _is_open(row: dict[str, Any]) -> bool:
    return str(row.get("status", "open")).lower() == "open"


def _second(log: dict[str, Any]) -> int:
    try:
        return moment_of(log.get("timestamp"), "timestamp") // _US
    except Refused:
        return 0
