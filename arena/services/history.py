"""What a bot is shown of its past: the summary in force, and its newest decisions word for word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from arena.models import HistorySummary
from arena.rules.statuses import SummaryStatus
from ledger.models import BotDecision

MOST_SHOWN = 50
COLUMNS = ("id", "decided_at", "decisions_json", "notes_json", "execution_success")
"""Of a decision, all that is read here: never the prompt, which is large."""


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
    rows = HistorySummary.objects.filter(bot_id=bot_id, status=SummaryStatus.DONE, cleared_at=None)
    found = rows.order_by("-number").values_list("summary", "summarized_to").first()
    return found or ("", None)


def newest_decisions(bot_id: UUID, *, since: datetime | None, most: int) -> list[PastDecision]:
    """The newest ``most`` decisions, whatever a summary says of them too, and behind them those after ``since`` that no
    summary stands for, MOST_SHOWN in all; newest first, never the oldest, which an old system showed."""
    rows = BotDecision.objects.filter(bot_id=bot_id).order_by("-decided_at", "-id").only(*COLUMNS)
    found = rows[: most if since is None else max(most, MOST_SHOWN)]
    return [past_decision(row) for place, row in enumerate(found) if place < most or (since and row.decided_at > since)]


def past_decision(row: BotDecision) -> PastDecision:
    """A stored decision, as prompts and replays take it."""
    decisions = row.decisions_json if isinstance(row.decisions_json, list) else [row.decisions_json]
    notes = row.notes_json if isinstance(row.notes_json, list) else [row.notes_json]
    words = tuple(str(note.get("text", note)) if isinstance(note, dict) else str(note) for note in notes)
    return PastDecision(row.id, row.decided_at, tuple(decisions), words, row.execution_success)
