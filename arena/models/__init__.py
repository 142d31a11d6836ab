"""Tables of the arena: participants and their prompts, model providers and what was asked of them, turns, market prices,
summaries, replays in shadow, switches, and what the stream tells. What bots did stands in the ledger's tables."""

from __future__ import annotations

from arena.models.events import ArenaEvent
from arena.models.markets import ArenaMarket, PriceBar
from arena.models.operations import ArenaSettings, ArenaState, Halt
from arena.models.participants import Participant, PromptVersion
from arena.models.providers import ClientBudget, LlmCall, LlmProvider, LlmSpend, LlmText
from arena.models.shadow import ShadowRun, ShadowTurn
from arena.models.summaries import HistorySummary
from arena.models.turns import ArenaTurn

__all__ = [
    "ArenaEvent",
    "ArenaMarket",
    "ArenaSettings",
    "ArenaState",
    "ArenaTurn",
    "ClientBudget",
    "Halt",
    "HistorySummary",
    "LlmCall",
    "LlmProvider",
    "LlmSpend",
    "LlmText",
    "Participant",
    "PriceBar",
    "PromptVersion",
    "ShadowRun",
    "ShadowTurn",
]
