"""What each bot of the state says of itself, and which user it belongs to, from the staged fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ground.sql import fetch_all
from ledger.rules.arena_shape import Number, exact_value
from ledger.rules.arena_values import MAX_ID, Refused, amount_of, id_of
from ledger.rules.words import Mode

NOBODY = "nobody"
"""The user of bots that name none."""

_BOT_KEYS = ("id", "userId", "user_id", "name", "tradingMode", "initialBalance", "realizedPnl", "tradeCount", "winRate")
_FIELDS = """
    SELECT bot, section, key, raw FROM arena_staging_fields
     WHERE section = 'bot' OR section = 'bot_field' AND key = ANY(%s) OR section = 'portfolio_field' AND key = 'balance'
     ORDER BY bot, seq
"""
_AMOUNTS = {"initialBalance": "initial_balance", "realizedPnl": "realized_pnl", "tradeCount": "trade_count",
            "winRate": "win_rate", "balance": "balance"}  # fmt: skip


@dataclass(slots=True)
class BotHead:
    """A bot of the state. Amounts are text, None where the state does not tell them."""

    index: int
    source_id: str = ""
    user_id: str = NOBODY
    name: str = ""
    mode: Mode = Mode.PAPER
    initial_balance: str | None = None
    balance: str | None = None
    realized_pnl: str | None = None
    trade_count: str | None = None
    win_rate: str | None = None
    problem: str = ""  # why it cannot be taken at all
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class User:
    """A user of the old arena, as far as it is known."""

    source_id: str
    name: str = ""
    email: str = ""


def read_heads() -> list[BotHead]:
    """The bots in the order of the state; those without an id, or with one that came before, have a problem."""
    heads: dict[int, BotHead] = {}
    for bot, section, key, raw in fetch_all(_FIELDS, [list(_BOT_KEYS)]):
        head = heads.setdefault(bot, BotHead(bot))
        if section != "bot":
            _take(head, key, exact_value(raw))
    seen: set[tuple[str, str]] = set()
    for head in heads.values():
        if not head.source_id:
            head.problem = head.problem or "It has no id."
        elif (head.user_id, head.source_id) in seen:
            head.problem = "A bot before it has the same id; that one was taken."
        seen.add((head.user_id, head.source_id))
        head.name = head.name or head.source_id
    return [heads[index] for index in sorted(heads)]


def read_users() -> dict[str, User]:
    """The users that a source told of, by their old id."""
    rows = fetch_all("SELECT raw FROM arena_staging_fields WHERE section = 'user' ORDER BY seq")
    return {user.source_id: user for user in _users(exact_value(raw) for (raw,) in rows)}


def _users(values: Iterable[Any]) -> Iterable[User]:
    for value in values:
        if isinstance(value, dict) and isinstance(value.get("id"), str) and value["id"]:
            words = [value.get(key) for key in ("name", "username", "display_name", "email")]
            name = next((word for word in words if isinstance(word, str) and word.strip()), "")
            email = value.get("email")
            yield User(str(value["id"]), name.strip()[:200], email[:254] if isinstance(email, str) else "")


def _take(head: BotHead, key: str, value: Any) -> None:
    if key == "id":
        try:
            head.source_id = id_of(value, "id")
        except Refused as reason:
            head.problem = str(reason)
    elif key in ("userId", "user_id"):
        if isinstance(value, str) and 0 < len(value) <= MAX_ID:
            head.user_id = str(value)
    elif key == "name":
        head.name = value.strip()[:200] if isinstance(value, str) and not isinstance(value, Number) else ""
    elif key == "tradingMode":
        head.mode = Mode.LIVE if value in ("live", "real") else Mode.PAPER
    elif value is not None:
        try:
            setattr(head, _AMOUNTS[key], amount_of(value, key))
        except Refused as reason:
            head.notes.append(f"{reason} It was not taken.")
