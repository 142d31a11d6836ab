"""How bad an incident is."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    INFO = "info"  # worth knowing, nothing to do
    WARNING = "warning"  # somebody should look in working hours
    CRITICAL = "critical"  # somebody must act now
