"""Whether a message that is due leaves, waits or is not sent at all."""

from __future__ import annotations

from datetime import datetime, timedelta

from alerts.rules.words import DeliveryStatus, MessageKind
from alerts.types import Go, Pending, PutOff, Silence, Skip

TELLS = (MessageKind.OPENED, MessageKind.WORSENED, MessageKind.ESCALATED, MessageKind.REMINDER)
"""Messages that say that something is wrong; a recovery goes where one of them went."""

AFTER_FIRST = timedelta(seconds=2)  # a recovery waits for the message it ends


def next_step(*, pending: Pending, silence: Silence | None, now: datetime) -> Go | PutOff | Skip:
    """What becomes of a message that is due.

    What a silence kept back is told only if it is still true, and once: the newest message says it. What was not kept back is
    told even when it is over by now, for a channel that could not be reached must not swallow an outage.
    """
    if pending.kind == MessageKind.TEST:
        return Go()
    if not pending.is_channel_enabled:
        return Skip("The channel is switched off.")
    step = _of_recovery(pending, now) if pending.kind == MessageKind.RESOLVED else _of_telling(pending)
    if step is None:
        return PutOff(silence.until, silence.why, is_silence=True) if silence else Go()
    return step


def _of_telling(pending: Pending) -> Skip | None:
    follows_up = pending.kind in (MessageKind.REMINDER, MessageKind.ESCALATED)
    if pending.is_resolved and (follows_up or pending.is_held):
        return Skip("It was over before this could be told.")
    if follows_up and pending.taken_on_by:
        return Skip(f"{pending.taken_on_by} has taken it on.")
    if pending.is_held and any(_says_it(kind, status) for kind, status, is_newer in pending.others if is_newer):
        return Skip("A newer message says it.")
    return None


def _of_recovery(pending: Pending, now: datetime) -> PutOff | Skip | None:
    told = {status for kind, status, _ in pending.others if kind in TELLS}
    if pending.is_held and pending.is_broken_again:
        return Skip("It broke again before this could be told.")
    if told & {DeliveryStatus.WAITING, DeliveryStatus.SENDING}:
        return PutOff(now + AFTER_FIRST, "Waits for the message that it began.")
    return None if DeliveryStatus.SENT in told else Skip("Nobody was told that it began.")


def _says_it(kind: MessageKind, status: DeliveryStatus) -> bool:
    return kind in TELLS and status not in (DeliveryStatus.SKIPPED, DeliveryStatus.FAILED)
