"""Tables of the ledger: facts, the accounts they move, figures that triggers keep, imports, and settings."""

from __future__ import annotations

from ledger.models.accounts import BotAccount
from ledger.models.days import PositionDay
from ledger.models.facts import BotDecision, BotStateSnapshot, Position, Trade
from ledger.models.figures import BotFee, BotTradeHour, EquityBucket, LeaderboardEntry
from ledger.models.imports import ArenaImport, KeptDocument
from ledger.models.operations import LedgerSettings, LedgerState
from ledger.models.spans import BotTradeSpan

__all__ = [
    "ArenaImport",
    "BotAccount",
    "BotDecision",
    "BotFee",
    "BotStateSnapshot",
    "BotTradeHour",
    "BotTradeSpan",
    "EquityBucket",
    "KeptDocument",
    "LeaderboardEntry",
    "LedgerSettings",
    "LedgerState",
    "Position",
    "PositionDay",
    "Trade",
]
