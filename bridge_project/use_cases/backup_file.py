"""The file of a backup: a zip with one member per table in COPY's text form, and a manifest that tells what is whole."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from ground.errors import BridgeError

FORMAT = "trading-bridge-backup"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
READ_BYTES = 1024 * 1024
LARGEST_MANIFEST_BYTES = 16 * 1024 * 1024


class DamagedBackup(BridgeError):
    """The file is no backup, or not the whole of one."""

    code = "damaged_backup"


@dataclass(frozen=True, slots=True)
class Member:
    """One table's rows in the file. ``numbers`` is the last number that its own counter gave, where it has one."""

    table: str
    columns: list[str]
    rows: int
    size: int
    sha256: str
    numbers: int | None = None

    @property
    def name(self) -> str:
        return f"tables/{self.table}.copy"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds and what it needs.

    ``client`` is None for a backup of everything, else ``{id, account_identifier, name}``. ``credentials`` counts the
    stored secrets by the fingerprint of the key that opens them ("" where none of the keys did).
    """

    app_version: str
    made_at: str
    server_version: str
    migrations: list[str]
    client: dict[str, str] | None
    credentials: dict[str, int]
    tables: list[Member] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(member.rows for member in self.tables)


class BackupWriter:
    """Adds tables to a new file, one after the other; each is compressed and digested as it comes.

    Without ``finish`` there is no manifest, so that nobody takes for a backup what an error left.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, allowZip64=True, compresslevel=1)

    def __enter__(self) -> BackupWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with suppress(OSError) if kind else nullcontext():
            self._zip.close()

    def add(self, table: str, columns: list[str], blocks: Iterable[bytes], *, numbers: int | None) -> Member:
        digest, rows, size = hashlib.sha256(), 0, 0
        with self._zip.open(f"tables/{table}.copy", "w", force_zip64=True) as member:
            for block in blocks:
                member.write(block)
                digest.update(block)
                rows, size = rows + block.count(b"\n"), size + len(block)
        return Member(table, columns, rows, size, digest.hexdigest(), numbers)

    def finish(self, manifest: Manifest) -> None:
        told = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(manifest)}
        self._zip.writestr(MANIFEST, json.dumps(told, indent=1, ensure_ascii=False))


class BackupReader:
    """Reads a file back, and refuses what is not as the manifest says."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._zip = archive
        self.manifest = _manifest(archive)
        expected = sorted([MANIFEST, *(member.name for member in self.manifest.tables)])
        if sorted(archive.namelist()) != expected:
            raise DamagedBackup("The backup does not hold the tables that its manifest lists.")

    def blocks(self, member: Member) -> Iterator[bytes]:
        """A table's rows. Raises DamagedBackup, at the latest after the last block: only then are they all right."""
        digest, rows, size = hashlib.sha256(), 0, 0
        with _complaints(f"table {member.table}"), self._zip.open(member.name) as file:
            while block := file.read(READ_BYTES):
                digest.update(block)
                rows, size = rows + block.count(b"\n"), size + len(block)
                yield block
        if (digest.hexdigest(), rows, size) != (member.sha256, member.rows, member.size):
            raise DamagedBackup(f"The backup is damaged: table {member.table} is not what was written.")

    def check(self) -> None:
        """Read everything once. Raises DamagedBackup."""
        for member in self.manifest.tables:
            for _ in self.blocks(member):
                pass


@contextmanager
def open_backup(path: Path) -> Iterator[BackupReader]:
    """Raises DamagedBackup for what is no backup or cut off; OSError."""
    with path.open("rb") as file:
        with _complaints("the file"):
            archive = zipfile.ZipFile(file)
        with archive:
            yield BackupReader(archive)


@contextmanager
def _complaints(what: str) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, KeyError) as error:
        raise DamagedBackup(f"The backup is damaged or cut off ({what} cannot be read).") from error


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    with _complaints("its manifest"):
        if archive.getinfo(MANIFEST).file_size > LARGEST_MANIFEST_BYTES:
            raise DamagedBackup("The backup's manifest is too large to be one.")
        raw = archive.read(MANIFEST)
    try:
        told: dict[str, Any] = json.loads(raw)
        if told.pop("format") != FORMAT:
            raise DamagedBackup("This is not a backup of Trading Bridge.")
        version = told.pop("format_version")
        if version != FORMAT_VERSION:
            raise DamagedBackup(
                f"The backup has format {version}, this version reads {FORMAT_VERSION}: "
                f"restore it with version {told.get('app_version')}."
            )
        return Manifest(**{**told, "tables": [Member(**member) for member in told["tables"]]})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DamagedBackup("This is not a backup of Trading Bridge: its manifest cannot be read.") from None
