"""What every source of old arena data gives: a file of JSON and an old database feed the same staging with this."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from ground.errors import BridgeError
from ledger.rules.arena_shape import NotANumber, Number

__all__ = ["TABLE_OF", "Item", "NotANumber", "Number", "Progress", "Section", "Source", "Unreadable", "path_of"]

Progress = Callable[[int], None]
"""Told how many bytes of the source have been read so far."""


class Unreadable(BridgeError):
    """The source cannot be read whole: nothing is imported from it."""

    code = "unreadable"


class Section(StrEnum):
    """Which part of the old system an item is."""

    ORDER = "order"  # bots[i].orders[j]
    LOG = "log"  # bots[i].botLogs[j]
    POSITION = "position"  # bots[i].portfolio.positions[j]
    BOT_FIELD = "bot_field"  # bots[i].<key>, every other key of a bot; for the lists and the portfolio just [] or {}
    PORTFOLIO_FIELD = "portfolio_field"  # bots[i].portfolio.<key>, every other key of a portfolio
    BOT = "bot"  # the end of bots[i]: nothing more comes for it; ``problem`` when it is no object
    STATE_FIELD = "state_field"  # <key> of the state itself
    WRAPPER_FIELD = "wrapper_field"  # a key beside ``state``, where the state is wrapped as its row was
    BOT_ROW = "bot_row"  # a row of the old table bots
    USER = "user"  # of users; a source leaves password hashes out
    PROVIDER = "provider"  # of llm_providers; a source leaves secrets out unless a key was given
    SETTING = "setting"  # of system_settings
    SNAPSHOT = "snapshot"  # of bot_state_snapshots
    TABLE_ROW = "table_row"  # of any other table worth keeping; ``key`` is the table's name


TABLE_OF = {
    Section.BOT_ROW: "tables.bots",
    Section.USER: "tables.users",
    Section.PROVIDER: "tables.llm_providers",
    Section.SETTING: "tables.system_settings",
    Section.SNAPSHOT: "tables.bot_state_snapshots",
}


class Item(NamedTuple):
    """One piece of the old system.

    ``value`` is parsed JSON in which numbers are ``Number`` (their own text, so that no digit is lost), and ``raw`` the
    JSON text it was parsed from. An item that cannot be taken at all (too large, not UTF-8, nested too deep) has a
    ``problem``, the reason as a sentence, and no value. ``bot`` counts the state's bots from 0, as does ``index`` within
    the section. ``key`` is the field's, or says where an order, a log or a position stood if not in the state. ``secret``
    is a provider's key, encrypted by ``ground.encrypted``.
    """

    section: Section
    bot: int | None = None
    index: int | None = None  # type: ignore[assignment] # hides a method of tuples that nobody calls
    key: str = ""
    value: Any = None
    raw: str = ""
    problem: str = ""
    secret: str = ""


class Source(Protocol):
    """A file, or an old database. Reading twice gives the same items in the same order as long as nobody writes to it."""

    label: str  # what reports call it, without credentials
    size: int | None  # bytes, for the progress
    notes: list[str]  # sentences for the report; filled while ``items`` runs

    def fingerprint(self) -> str:
        """A digest of everything ``items`` will give: an import that was interrupted goes on only if it is the same."""
        ...

    def items(self, progress: Progress) -> Iterator[Item]:
        """Everything, once. Raises Unreadable; then nothing is imported."""
        ...


def path_of(item: Item) -> str:
    """Where the item stands: ``bots[0].orders[3]``, ``bots[2].portfolio.balance``, ``tables.users[0]``."""
    bot, section = f"bots[{item.bot}]", item.section
    if item.key and section in (Section.ORDER, Section.LOG, Section.POSITION):
        return item.key
    if section == Section.ORDER:
        return f"{bot}.orders[{item.index}]"
    if section == Section.LOG:
        return f"{bot}.botLogs[{item.index}]"
    if section == Section.POSITION:
        return f"{bot}.portfolio.positions[{item.index}]"
    if section == Section.BOT_FIELD:
        return bot + _member(item.key)
    if section == Section.PORTFOLIO_FIELD:
        return f"{bot}.portfolio{_member(item.key)}"
    if section == Section.BOT:
        return bot
    if section in (Section.STATE_FIELD, Section.WRAPPER_FIELD):
        return _member(item.key).removeprefix(".")
    return f"{TABLE_OF.get(section, f'tables.{item.key}')}[{item.index}]"


def _member(key: str) -> str:
    short = key if len(key) <= 80 else key[:79] + "…"
    return f".{short}" if short.isidentifier() else f"[{ascii(short)}]"
