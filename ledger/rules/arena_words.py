"""What the old arena's notes say about a decision: was it carried out, or only answered?"""

from __future__ import annotations

import re
from typing import Any

_REFUSED = re.compile(
    r"❌|⛔|🚫|\b(?:reject|refus|fail|error|invalid|insufficient|skipp?ed|ignored|cannot|could not|unable|too small|not found|"
    r"denied|blocked|exceed|warning)",
    re.IGNORECASE,
)
_EXECUTED = re.compile(r"✅|\b(?:success|opened|closed|executed|filled)", re.IGNORECASE)
_HOLDS = frozenset({"HOLD", "WAIT", "NONE", "NOTHING"})


def was_executed(*, decisions: list[Any], notes: list[Any]) -> bool:
    """Whether what was decided came about, and not merely whether the model answered.

    True where a note says that something was opened, closed or executed, or where all that was decided was to hold; but
    never where a note says that something was refused, skipped or went wrong. A note that says neither (a price, an
    adjusted size) counts for nothing, and an answer without any decision carried nothing out.
    """
    said = [note for note in notes if isinstance(note, str)]
    if any(_REFUSED.search(note) for note in said):
        return False
    if any(_EXECUTED.search(note) for note in said):
        return True
    return bool(decisions) and all(_is_hold(decision) for decision in decisions)


def _is_hold(decision: Any) -> bool:
    action = decision.get("action") if isinstance(decision, dict) else None
    return isinstance(action, str) and action.upper() in _HOLDS
