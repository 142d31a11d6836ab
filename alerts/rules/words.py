"""Every status word of incidents, messages and channels, with what it means."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """How bad an incident is."""

    INFO = "info"  # worth knowing, nothing to do
    WARNING = "warning"  # somebody should look in working hours
    CRITICAL = "critical"  # somebody must act now


class EventKind(StrEnum):
    """What happened to an incident; each is one row of its history."""

    OPENED = "opened"
    WORSENED = "worsened"  # its severity rose
    EASED = "eased"  # its severity fell
    ACKNOWLEDGED = "acknowledged"  # somebody has taken it on
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


class ChannelKind(StrEnum):
    """How a message leaves."""

    APPRISE = "apprise"  # one of the services that apprise knows: Telegram, Slack, ntfy, ...
    WEBHOOK = "webhook"  # a signed POST to an address of ours or theirs
    EMAIL = "email"


class MessageKind(StrEnum):
    """Why a message is sent on a channel."""

    OPENED = "opened"
    WORSENED = "worsened"
    REMINDER = "reminder"  # still open
    ESCALATED = "escalated"  # still open and nobody has taken it on
    RESOLVED = "resolved"
    TEST = "test"  # somebody pressed the button


class DeliveryStatus(StrEnum):
    """Where one message on one channel stands."""

    WAITING = "waiting"  # due at ``due_at``
    SENDING = "sending"  # a worker has it, until its lease ends
    SENT = "sent"  # the channel accepted it
    FAILED = "failed"  # given up, ``error`` says why
    SKIPPED = "skipped"  # not sent on purpose, ``error`` says why


DELIVERY_MOVES: dict[DeliveryStatus, tuple[DeliveryStatus, ...]] = {
    DeliveryStatus.WAITING: (DeliveryStatus.SENDING, DeliveryStatus.SKIPPED),
    DeliveryStatus.SENDING: (
        DeliveryStatus.SENT,
        DeliveryStatus.WAITING,
        DeliveryStatus.FAILED,
        DeliveryStatus.SENDING,
    ),
    DeliveryStatus.SENT: (),
    DeliveryStatus.FAILED: (DeliveryStatus.WAITING,),  # a person sends it again
    DeliveryStatus.SKIPPED: (),
}
