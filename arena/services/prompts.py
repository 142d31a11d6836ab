"""Writing the next version of a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from django.db.models import Max

from arena.models import Participant, PromptVersion
from arena.rules.prompt import check_prompt, unknown_placeholders
from ground.scope import Scope


@dataclass(frozen=True, slots=True)
class SavedPrompt:
    """A version; ``unknown`` are the placeholders in it that nothing fills in."""

    id: UUID
    number: int
    unknown: tuple[str, ...]


def add_version(*, scope: Scope, participant: Participant, text: str, now: datetime, note: str = "") -> SavedPrompt:
    """The participant's prompt from now on, within the transaction that holds its row; what is in force already stays so.

    Raises InvalidInput.
    """
    text = check_prompt(text)
    unknown = unknown_placeholders(text)
    in_force = participant.prompt
    if in_force is not None and in_force.text == text:
        return SavedPrompt(in_force.id, in_force.number, unknown)
    newest = PromptVersion.objects.filter(bot_id=participant.bot_id).aggregate(newest=Max("number"))["newest"] or 0
    version = PromptVersion(
        id=uuid4(), bot_id=participant.bot_id, client_id=participant.client_id, number=newest + 1, text=text,
        made_by=scope.actor, made_at=now, note=note[:300],
    )  # fmt: skip
    version.save(force_insert=True)
    participant.prompt, participant.updated_at = version, now
    participant.save(update_fields=["prompt", "updated_at"])
    return SavedPrompt(version.id, version.number, unknown)
