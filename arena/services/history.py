"""What a bot is shown of its past: the summary in force, and its newest decisions word for word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from arena.rules.statuses import SummaryStatus
from ground.hot_rows import hot_rows
from ground.sql import fetch_hot
from ledger.models import BotDecision

MOST_SHOWN = 50
COLUMNS = ("id", "decided_at", "decisions_json", "notes_json", "execution_success")
"""Of a decision, all that is read here: never the prompt, which is large."""

_IN_FORCE = f"""
    SELECT summary, summarized_to FROM history_summaries
     WHERE bot_id = %s AND status = '{SummaryStatus.DONE}' AND cleared_at IS NULL ORDER BY number DESC LIMIT 1
"""  # noqa: S608 - made of a constant
_NEWEST = "WHERE t.bot_id = %(bot)s ORDER BY t.decided_at DESC, t.id DESC LIMIT %(most)s"


@dataclass(frozen=True, slots=True)
class PastDecision:
    """One earlier cycle of a bot."""

    id: UUID
    decided_at: datetime
    decisions: tuple[Any, ...]  # as they were read
    notes: tuple[str, ...]  # what came of them
    is_success: bool


def summary_in_force(bot_id: UUID) -> tuple[str, datetime | None]:
    """The newest summary that nobody cleared, and until when it speaks; empty and None: there is none."""
    found = fetch_hot(_IN_FORCE, [bot_id])
    return (found[0], found[1]) if found else ("", None)


def newest_decisions(bot_id: UUID, *, since: datetime | None, most: int) -> list[PastDecision]:
    """The newest ``most`` decisions, whatever a summary says of them too, and behind them those after ``since`` that no
    summary stands for, MOST_SHOWN in all; newest first, never the oldest, which an old system showed."""
    given = {"bot": bot_id, "most": most if since is None else max(most, MOST_SHOWN)}
    found = hot_rows(BotDecision, _NEWEST, given, only=COLUMNS)
    return [past_decision(row) for place, row in enumerate(found) if place < most or (since and row.decided_at > since)]


def past_decision(row: BotDecision) -> PastDecision:
    """A stored decision, as prompts and replays take it."""
    decisions = row.decisions_json if isinstance(row.decisions_json, list) else [row.decisions_json]
    notes = row.notes_json if isinstance(row.notes_json, list) else [row.notes_json]
    words = tuple(str(note.get("text", note)) if isinstance(note, dict) else str(note) for note in notes)
    return PastDecision(row.id, row.decided_at, tuple(decisions), words, row.execution_success)
