"""Folders for unix sockets, whose whole path the kernel limits to some hundred bytes."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import stat
import tempfile
from pathlib import Path

from bridge_project.up.processes import StartRefused, write_atomically

LONGEST_SOCKET_NAME = "/.s.PGSQL.5432.lock"
LONGEST_PATH_BYTES = 100


def socket_folder(home: Path, *, owner: int | None = None) -> Path:
    """A folder only we may enter in which sockets can be made: BRIDGE_HOME/run, else one in the temp folder.

    ``owner`` asks for a folder that this user can reach too (BRIDGE_HOME may be closed to it). The temp folder's name
    is kept in BRIDGE_HOME, so that whoever comes later finds the same sockets.
    """
    run = home / "run"
    if owner is None and _fits(run) and _takes_sockets(run):
        return run
    note = run / ("sockets.path" if owner is None else f"sockets-{owner}.path")
    try:
        known = Path(note.read_text(encoding="utf-8"))
    except OSError:
        known = None
    if known and _is_private(known, owner):
        return known
    made = _make_temp_folder(owner)
    write_atomically(note, str(made))
    return made


def keep_fresh(folder: Path) -> None:
    """Touch the folder and what is in it: cleaners of the temp folder remove what looks old."""
    for path, _, files in os.walk(folder):
        for name in (".", *files):
            os.utime(Path(path) / name, follow_symlinks=False)


def remove(home: Path, folder: Path) -> None:
    """Remove a folder that socket_folder made outside BRIDGE_HOME; BRIDGE_HOME/run stays."""
    for note in (home / "run").glob("sockets*.path"):
        if note.read_text(encoding="utf-8") == str(folder):
            shutil.rmtree(folder, ignore_errors=True)
            note.unlink(missing_ok=True)


def _fits(folder: Path) -> bool:
    return len(os.fsencode(str(folder) + LONGEST_SOCKET_NAME)) <= LONGEST_PATH_BYTES


def _takes_sockets(folder: Path) -> bool:
    """Some mounted folders refuse sockets."""
    probe = folder / f".{secrets.token_hex(3)}"
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(str(probe))
        return True
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)


def _is_private(folder: Path, owner: int | None) -> bool:
    try:
        seen = folder.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(seen.st_mode)
        and seen.st_uid == (os.geteuid() if owner is None else owner)
        and not seen.st_mode & 0o077
    )


def _make_temp_folder(owner: int | None) -> Path:
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 (mkdtemp makes a private folder in it)
        if not _fits(Path(parent) / "bridge-12345678"):
            continue
        try:
            made = Path(tempfile.mkdtemp(prefix="bridge-", dir=parent))
        except OSError:
            continue
        if owner is not None:
            os.chown(made, owner, -1)
        return made
    raise StartRefused("No temp folder with a short enough path for unix sockets: set TMPDIR to one.")
