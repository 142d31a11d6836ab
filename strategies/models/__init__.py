"""Tables of strategies: what runs, what ran, every config they had, and how they were brought back."""

from __future__ import annotations

from strategies.models.restores import RestoreRun, RestoreStep, RestoreWatch
from strategies.models.strategies import ActiveStrategy, StrategyHistory, StrategyVersion

__all__ = ["ActiveStrategy", "RestoreRun", "RestoreStep", "RestoreWatch", "StrategyHistory", "StrategyVersion"]
