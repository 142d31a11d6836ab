"""A file that holds what nobody else may read, and that is either whole or not there."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ground.errors import Conflict


@contextmanager
def private_file(path: Path, *, replace: bool = False) -> Iterator[IO[bytes]]:
    """Write to ``.NAME.part`` beside it (mode 0600), and give it its name once everything is on the disk.

    Raises Conflict where a file of the name exists and may not be replaced, or somebody else is writing it; OSError.
    """
    if path.is_dir():
        raise Conflict(f"{path} is a folder; name a file.")
    if path.exists() and not replace:
        raise Conflict(f"{path} exists already. Choose another name, or add --replace.")
    part = path.with_name(f".{path.name}.part")
    number = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(number, "w+b") as file:
        _claim(file, part, path)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    _remember(path.parent)


def _claim(file: IO[bytes], part: Path, path: Path) -> None:
    taken = f"Somebody else is writing {path} just now."
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if part.stat().st_ino != os.fstat(file.fileno()).st_ino:
            raise Conflict(taken)  # it was finished between our opening and locking it
    except (BlockingIOError, FileNotFoundError):
        raise Conflict(taken) from None
    os.fchmod(file.fileno(), 0o600)
    file.truncate()  # what a killed run left


def _remember(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
