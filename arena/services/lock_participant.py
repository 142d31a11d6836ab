"""Finding the participant that somebody wants to do something with."""

from __future__ import annotations

from uuid import UUID

from arena.models import Participant
from arena.rules.statuses import EventKind
from arena.services.events import NewEvent
from ground.errors import Forbidden, NotFound
from ground.scope import Scope


def check_may_change(scope: Scope) -> None:
    """Raises Forbidden for a key that may only read."""
    if not scope.can_manage:
        raise Forbidden("This key may only read.")


def in_the_name_of(scope: Scope) -> Scope:
    """The scope in which the house does what a client may ask for and no client's role may write: facts of the ledger.

    The audit still names who asked. Whoever uses it looks at ``scope.client_id`` himself, as ``lock_participant`` does.
    """
    return Scope(actor=scope.actor)


def lock_participant(scope: Scope, bot_id: UUID) -> Participant:
    """The participant with its bot, locked until the open transaction ends. Raises NotFound, for another tenant's too."""
    rows = Participant.objects.select_for_update(of=("self",)).select_related("bot", "prompt")
    if scope.client_id is not None:
        rows = rows.filter(client_id=scope.client_id)
    if scope.bot_id is not None:
        rows = rows.filter(bot_id=scope.bot_id)
    found = rows.filter(bot_id=bot_id, bot__retired_at=None).first()
    if found is None:
        raise NotFound("There is no such bot in the arena.")
    return found


def state_event(participant: Participant, **changed: object) -> NewEvent:
    """Something of the bot's state moved, as listeners are told."""
    return NewEvent(participant.client_id, participant.bot_id, EventKind.STATE, dict(changed))
