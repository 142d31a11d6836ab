"""Health in the admin."""

from __future__ import annotations

from health.admin import facts as facts
from health.admin import plans as plans
from health.admin import settings as settings
from health.admin.badges import HealthFilter, health_badge
from health.admin.bots import HealthOfBots

__all__ = ["HealthFilter", "HealthOfBots", "health_badge"]
