"""Tables of health: checks and changes of verdicts, uptime, what was learned, circuits, heartbeats, and settings."""

from __future__ import annotations

from health.models.checks import BotHealthLog, CheckRequest, HealthSettings
from health.models.circuits import ExchangeCircuit, HealthRound, HealthState
from health.models.heartbeats import HeartbeatLog, HeartbeatPlan, TradeGap
from health.models.learned import BotCadence
from health.models.transitions import HealthTransition, UptimeDay

__all__ = [
    "BotCadence",
    "BotHealthLog",
    "CheckRequest",
    "ExchangeCircuit",
    "HealthRound",
    "HealthSettings",
    "HealthState",
    "HealthTransition",
    "HeartbeatLog",
    "HeartbeatPlan",
    "TradeGap",
    "UptimeDay",
]
