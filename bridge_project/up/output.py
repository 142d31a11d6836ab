"""One stream for the lines of many processes, each behind the name of its process."""

from __future__ import annotations

import contextlib
import os
import sys

WIDTH = 8
COLORS = (36, 32, 33, 35, 34, 96, 92, 93)
LONGEST_LINE_BYTES = 64 * 2**10


class Output:
    """Writes whole lines of bytes: no locale, however broken, can make that fail."""

    def __init__(self, stream: int | None = None) -> None:
        self._stream = sys.stdout.fileno() if stream is None else stream
        self._colored = os.isatty(self._stream) and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self._names: list[str] = []

    def say(self, name: str, text: str) -> None:
        for line in text.splitlines() or [""]:
            self.line(name, line.encode(errors="replace"))

    def line(self, name: str, line: bytes) -> None:
        # A terminal that went away must not end what runs.
        with contextlib.suppress(OSError):
            words = self._prefix(name) + line.rstrip() + b"\n"
            while words:
                words = words[os.write(self._stream, words) :]

    def _prefix(self, name: str) -> bytes:
        if name not in self._names:
            self._names.append(name)
        label = f"{name:<{WIDTH}} | "
        if self._colored:
            label = f"\033[{COLORS[self._names.index(name) % len(COLORS)]}m{label}\033[0m"
        return label.encode()


class Lines:
    """Cuts what a pipe gives into lines; a line without end is cut where it gets too long."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE_BYTES:
            lines.append(self._rest)
            self._rest = b""
        return lines

    def end(self) -> list[bytes]:
        rest, self._rest = self._rest, b""
        return [rest] if rest else []
