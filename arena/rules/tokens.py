"""How many tokens a text will count, before a model has said so."""

from __future__ import annotations

import re

_WORDS = re.compile(r"[A-Za-z]+|[0-9]+|[^\S\n]+|\n+|[\x21-\x7e]")
PER_MESSAGE = 8
"""What roles and separators around one message add."""


def estimate_tokens(text: str) -> int:
    """Rather too many than too few, without any model's own vocabulary; 0 for an empty text.

    A word counts one token for its first six letters and one for each four more, a number one for each three digits, a
    punctuation sign and a line break one, a single blank none (it belongs to the word behind it), a sign beyond ASCII one
    for each two of its bytes.
    """
    count = 0
    seen = 0
    for found in _WORDS.finditer(text):
        piece = found.group()
        seen += len(piece)
        if piece[0].isalpha():
            count += 1 + max(0, len(piece) - 3) // 4
        elif piece[0].isdigit():
            count += (len(piece) + 2) // 3
        elif piece[0] == "\n":
            count += 1
        elif piece.isspace():
            count += 0 if piece == " " else 1
        else:
            count += 1
    foreign = len(text.encode("utf-8", "replace")) - seen if len(text) != seen else 0
    return count + (foreign + 1) // 2


def estimate_messages(*texts: str) -> int:
    """Of texts that are sent as one request."""
    return sum(estimate_tokens(text) + PER_MESSAGE for text in texts)
