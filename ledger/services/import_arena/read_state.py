"""The old state as items, in the order in which it was written, from a JSON text of any size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from ledger.services.import_arena.json_stream import JsonStream, Read
from ledger.services.import_arena.seam import Item, Progress, Section, Unreadable

_LISTS = {"orders": Section.ORDER, "botLogs": Section.LOG}
_TWICE = "This key stands there twice; the first one was taken."


class FileSource:
    """A file that holds the state: bare, or as it stood in its row, ``{"state": {...}}``, also as a string of JSON."""

    def __init__(self, path: Path) -> None:
        self.path, self.label = path, path.name
        self.notes: list[str] = []
        self._digest = ""
        try:
            self.size: int | None = path.stat().st_size
        except OSError as error:
            raise Unreadable(f"{path} cannot be read: {error.strerror or error}.") from None

    def fingerprint(self) -> str:
        try:
            with self.path.open("rb") as file:
                self._digest = hashlib.file_digest(file, "sha256").hexdigest()
            return self._digest
        except OSError as error:
            raise Unreadable(f"{self.path} cannot be read: {error.strerror or error}.") from None

    def items(self, progress: Progress) -> Iterator[Item]:
        seen = hashlib.sha256()
        done = 0
        expected = self._digest or self.fingerprint()
        with self.path.open("rb", buffering=0) as file:

            def read(size: int) -> bytes:
                nonlocal done
                chunk = file.read(size)
                seen.update(chunk)
                done += len(chunk)
                progress(done)
                return chunk

            yield from read_state(read)
        if seen.hexdigest() != expected:
            raise Unreadable(f"{self.path} was changed while it was read.")


def read_state(read: Read, *, limit: int | None = None) -> Iterator[Item]:
    """Every item of the state. Raises Unreadable: cut off, not JSON, or no arena state."""
    stream = JsonStream(read) if limit is None else JsonStream(read, limit=limit)
    if stream.peek() == '"':
        yield from read_state(stream.string_content(), limit=limit)
    else:
        yield from _state(stream, limit)
    stream.end()


def _state(stream: JsonStream, limit: int | None) -> Iterator[Item]:
    if stream.peek() != "{":
        raise Unreadable("The state is not a JSON object.")
    seen: set[str] = set()
    before: list[Item] = []  # what stands before the bots can still turn out to lie beside a wrapped state
    section = Section.STATE_FIELD
    for key in stream.members():
        if key in seen:
            stream.value()
            yield Item(section, key=key, problem=_TWICE)
        elif key == "bots":
            before.append(Item(section, key=key, value=[], raw="[]"))
            yield from _bots(stream)
        elif key == "state" and "bots" not in seen and stream.peek() in '{"':
            section = Section.WRAPPER_FIELD
            yield from _wrapped(stream, limit)
            seen.add("bots")
        elif "bots" in seen:
            yield _field(stream, section, key)
        else:
            before.append(_field(stream, section, key))
        seen.add(key)
        if "bots" in seen and before:
            yield from (item._replace(section=section) for item in before)
            before.clear()
    if "bots" not in seen:
        raise Unreadable("This is no arena state: it has no list of bots.")


def _wrapped(stream: JsonStream, limit: int | None) -> Iterator[Item]:
    if stream.peek() == '"':
        yield from read_state(stream.string_content(), limit=limit)
    else:
        yield from _state(stream, limit)


def _bots(stream: JsonStream) -> Iterator[Item]:
    if stream.peek() != "[":
        raise Unreadable("This is no arena state: its bots are not a list.")
    for bot in stream.elements():
        if stream.peek() == "{":
            yield from _bot(stream, bot)
            yield Item(Section.BOT, bot=bot)
        else:
            stream.value()
            yield Item(Section.BOT, bot=bot, problem="A bot must be an object.")


def _bot(stream: JsonStream, bot: int) -> Iterator[Item]:
    seen: set[str] = set()
    for key in stream.members():
        if key in seen:
            stream.value()
            yield Item(Section.BOT_FIELD, bot, key=key, problem=_TWICE)
        elif key in _LISTS:
            yield from _list(stream, _LISTS[key], bot, Section.BOT_FIELD, key)
        elif key == "portfolio" and stream.peek() == "{":
            yield from _portfolio(stream, bot)
        else:
            yield _field(stream, Section.BOT_FIELD, key, bot)
        seen.add(key)


def _portfolio(stream: JsonStream, bot: int) -> Iterator[Item]:
    seen: set[str] = set()
    yield Item(Section.BOT_FIELD, bot, key="portfolio", value={}, raw="{}")
    for key in stream.members():
        if key in seen:
            stream.value()
            yield Item(Section.PORTFOLIO_FIELD, bot, key=key, problem=_TWICE)
        elif key == "positions":
            yield from _list(stream, Section.POSITION, bot, Section.PORTFOLIO_FIELD, key)
        else:
            yield _field(stream, Section.PORTFOLIO_FIELD, key, bot)
        seen.add(key)


def _list(stream: JsonStream, section: Section, bot: int, outside: Section, key: str) -> Iterator[Item]:
    if stream.peek() != "[":
        item = _field(stream, outside, key, bot)
        yield item if item.value is None else Item(outside, bot, key=key, problem="A list was expected here.")
        return
    yield Item(outside, bot, key=key, value=[], raw="[]")  # says that the list was there
    value = stream.value
    for index in stream.elements():
        piece = value()
        yield Item(section, bot, index, "", piece.value, piece.raw, piece.problem)


def _field(stream: JsonStream, section: Section, key: str, bot: int | None = None) -> Item:
    piece = stream.value()
    return Item(section, bot, None, key, piece.value, piece.raw, piece.problem)
