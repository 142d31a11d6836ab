"""Alerts in the admin."""

from __future__ import annotations

from alerts.admin import channels as channels
from alerts.admin import deliveries as deliveries
from alerts.admin import windows as windows
from alerts.admin.incidents import severity_badge

__all__ = ["severity_badge"]
