"""CPU time of processes, from /proc."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import psutil


def tree(pid: int) -> list[int]:
    """A process and everything below it."""
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.Error:
        return []


def backends(postmaster: int) -> list[int]:
    """PostgreSQL's processes that serve connections (not those that write and clean up for all)."""
    found = []
    for pid in tree(postmaster)[1:]:
        with contextlib.suppress(OSError):
            if b"[local]" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def spent(pids: Iterable[int]) -> dict[int, int]:
    """Nanoseconds of CPU that each has used so far, all threads together."""
    return {pid: _spent(pid) for pid in pids}


def between(before: dict[int, int], after: dict[int, int]) -> int:
    """Nanoseconds used between two looks; who is new counts from its birth, who has gone not at all."""
    return sum(now - before.get(pid, 0) for pid, now in after.items())


def _spent(pid: int) -> int:
    """From the process's own total: threads that ended are in it, and A's come and go."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return 0
    return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
