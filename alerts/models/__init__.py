"""Tables of alerts: incidents with their history, channels and rules, silences, and every message."""

from __future__ import annotations

from alerts.models.channels import AlertChannel, AlertRule, AlertsSettings, AlertsState, MaintenanceWindow
from alerts.models.deliveries import AlertDelivery
from alerts.models.incidents import Incident, IncidentBot, IncidentEvent, Snooze

__all__ = [
    "AlertChannel",
    "AlertDelivery",
    "AlertRule",
    "AlertsSettings",
    "AlertsState",
    "Incident",
    "IncidentBot",
    "IncidentEvent",
    "MaintenanceWindow",
    "Snooze",
]
