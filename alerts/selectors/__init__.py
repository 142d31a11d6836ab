"""Reads of incidents, and what messages are planned from."""

from __future__ import annotations

from alerts.selectors.incidents import (
    incident_bots,
    incident_history,
    incident_messages,
    incidents_of_bot,
    open_incidents,
    snooze_of,
)

__all__ = [
    "incident_bots",
    "incident_history",
    "incident_messages",
    "incidents_of_bot",
    "open_incidents",
    "snooze_of",
]
