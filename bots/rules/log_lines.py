"""Lines of a bot's error log as they may be kept: without anything that could be a secret, none of them twice."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bots.types import LogLine

MOST_LINES = 5
MOST_CHARACTERS = 300
_READ_CHARACTERS = 20_000  # more of one line is not even looked at

_QUERY = re.compile(r"(https?://[^\s?#'\"]+)[?#][^\s'\"]*")
_LOGIN = re.compile(r"(https?://)[^\s/@'\"]+@")
# api_key=..., "secretKey": "...", X-MBX-APIKEY: ..., Authorization: Bearer ...
_NAMED = re.compile(
    r"(?i)([\w-]*(?:api[_-]?key|secret|passphrase|password|passwd|signature|token|authorization|credential|memo|mnemonic"
    r"|private[_-]?key|[_-]sign)[\w-]*['\"]?\s*[:=]\s*)(?:(?:bearer|basic)\s+)?('[^']*'|\"[^\"]*\"|[^\s,;&)}\]]+)"
)
# Whatever else is long and looks drawn at random: keys, signatures, private keys, tokens.
_OPAQUE = re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z_/+=-]*[0-9])[A-Za-z0-9_/+=-]{20,}(?![A-Za-z0-9])")


def without_secrets(text: str) -> str:
    """The text with addresses' queries, values that are named like secrets and long opaque words replaced by ``…``."""
    text = _LOGIN.sub(r"\1…@", _QUERY.sub(r"\1?…", text[:_READ_CHARACTERS].replace("\x00", "")))
    return _OPAQUE.sub(_veil, _NAMED.sub(r"\1…", text))


def _veil(found: re.Match[str]) -> str:
    """Paths and dotted words of plain letters stay readable; only a part that holds a digit and is long goes."""
    parts = found[0].split("/")
    return "/".join("…" if len(part) >= 20 and any(c.isdigit() for c in part) else part for part in parts)


def newest_errors(lines: Iterable[LogLine]) -> tuple[LogLine, ...]:
    """Lines that came oldest first, newest first; of those that say the same only the newest."""
    found: dict[str, LogLine] = {}
    for line in reversed(tuple(lines)):
        if line.text:
            found.setdefault(line.text, line)
    return tuple(found.values())[:MOST_LINES]
