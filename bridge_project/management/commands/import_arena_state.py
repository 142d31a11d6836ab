"""Import the state of an old arena, from a JSON file or from its database, and have its bots take part in ours."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from arena.services.adopt_imported import adopt_imported
from ground.errors import BridgeError
from ground.scope import system_scope
from ledger.services.import_arena.import_state import Imported, Wish, import_state
from ledger.services.import_arena.report import lines_of
from ledger.services.import_arena.sources import source_of

_EVERY_S = 1.0


class Command(BaseCommand):
    help = (
        "Imports the state of an old arena (arena_state) from a JSON file of any size, an SQLite file or a PostgreSQL URL. "
        "A second run changes nothing, a later state adds only what is new. Exit code 0 when the source was read whole, "
        "also with refused items, which are listed; 1 when it could not be read, and then nothing is written."
    )

    requires_system_checks: list[str] = []  # they would load the whole site: a tenth of the memory and half a second

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("origin", metavar="FILE|DATABASE_URL", help="A file, sqlite:///file or postgresql://...")
        parser.add_argument("--dry-run", action="store_true", help="Do everything, then take it back; write nothing.")
        parser.add_argument(
            "--map", action="append", default=[], metavar="USER=ACCOUNT", dest="accounts",
            help="Give the bots of an arena user to the client with this account_identifier. May be repeated.",
        )  # fmt: skip
        parser.add_argument("--source", default="arena", help="What the old system is called in the rows (arena).")
        parser.add_argument("--report", type=Path, metavar="FILE", help="Write the whole report as JSON too.")
        parser.add_argument(
            "--with-provider-keys", action="store_true", help="Take the model providers' keys too, encrypted."
        )
        parser.add_argument("--commit-every", type=int, default=Wish().commit_every, metavar="ITEMS",
                            help="How many items are staged at a time.")  # fmt: skip

    def handle(self, *args: Any, origin: str, **options: Any) -> None:
        wish = Wish(
            source=_source(options["source"]), accounts=_accounts(options["accounts"]),
            is_dry_run=options["dry_run"], commit_every=max(1, options["commit_every"]),
        )  # fmt: skip
        if options["report"]:
            _check_writable(options["report"])
        try:
            source = source_of(origin, with_provider_keys=options["with_provider_keys"])
            done = import_state(source, wish, now=datetime.now(UTC), progress=_Progress())
        except BridgeError as error:
            raise CommandError(f"{error.message} Nothing was written.") from None
        except DatabaseError as error:
            first = str(error).strip().partition("\n")[0]
            raise CommandError(f"The database refused the import, and nothing was written: {first}") from None
        if options["report"]:
            _write_report(options["report"], done)
            done.refused.seek(0)
        for line in lines_of(done.report):
            self.stdout.write(line)
        for line in done.refused:
            path, _, reason = line.rstrip("\n").partition("\t")
            self.stdout.write(f"refused  {path}: {reason}")
        if not options["dry_run"]:
            self._adopt()

    def _adopt(self) -> None:
        done = adopt_imported(scope=system_scope("import_arena_state"), now=datetime.now(UTC))
        self.stdout.write(f"adopted  {done.participants} participants, {done.providers} model providers")
        for note in done.notes:
            self.stdout.write(f"look at  {note}")


class _Progress:
    """Says on stderr how far it is, once a second."""

    def __init__(self) -> None:
        self._said, self._began = 0.0, time.monotonic()

    def __call__(self, step: str, read: int, size: int | None) -> None:
        now = time.monotonic()
        if size is not None and now - self._said < _EVERY_S:
            return
        self._said = now
        of = f" {read / 1e6:,.0f} of {size / 1e6:,.0f} MB ({100 * read // size if size else 100} %)" if size else ""
        sys.stderr.write(f"{now - self._began:6.0f} s  {step}{of}\n")
        sys.stderr.flush()


def _accounts(given: list[str]) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in given]
    if any(not user or not account for user, _, account in pairs):
        raise CommandError("--map takes USER=ACCOUNT.")
    return {user: account for user, _, account in pairs}


def _source(name: str) -> str:
    if not 0 < len(name) <= 50 or not name.isprintable():
        raise CommandError("--source takes a name of at most 50 characters.")
    return name


def _check_writable(path: Path) -> None:
    """Before the import, not after it."""
    try:
        path.open("a", encoding="utf-8").close()
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}. Nothing was imported.") from None


def _write_report(path: Path, done: Imported) -> None:
    """The stored report, but with every refused item; these are written one by one, however many there are."""
    head = json.dumps({**done.report, "refused": []}, ensure_ascii=False, default=str)
    with path.open("w", encoding="utf-8") as file:
        file.write(head.removesuffix("[]}") + "[")
        for number, line in enumerate(done.refused):
            where, _, reason = line.rstrip("\n").partition("\t")
            file.write((",\n" if number else "\n") + json.dumps({"path": where, "reason": reason}, ensure_ascii=False))
        file.write("\n]}\n")
