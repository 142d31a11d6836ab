"""The words of strategies, and which may follow which."""

from __future__ import annotations

from enum import StrEnum


class StrategyStatus(StrEnum):
    ACTIVE = "active"  # it runs, or was just started
    RESTORING = "restoring"  # it should run, does not, and is being brought back
    STOPPING = "stopping"  # somebody wants it stopped; its bot is not confirmed at rest
    QUARANTINED = "quarantined"  # it failed too often, or its config was refused: a person must act


MOVES: dict[StrategyStatus, frozenset[StrategyStatus]] = {
    StrategyStatus.ACTIVE: frozenset({StrategyStatus.RESTORING, StrategyStatus.STOPPING, StrategyStatus.QUARANTINED}),
    StrategyStatus.RESTORING: frozenset({StrategyStatus.ACTIVE, StrategyStatus.STOPPING, StrategyStatus.QUARANTINED}),
    StrategyStatus.QUARANTINED: frozenset({StrategyStatus.ACTIVE, StrategyStatus.RESTORING, StrategyStatus.STOPPING}),
    StrategyStatus.STOPPING: frozenset(),  # its row ends in the history
}

DEFAULT_REASON = "user_stopped"
DEFAULT_MODE = "bear"
DEFAULT_INTERVAL = "1m"
DESK = "desk"


def may_move(before: StrategyStatus, after: StrategyStatus) -> bool:
    """Whether a strategy may go from one status to another; to stay is no move."""
    return after in MOVES[before]


def sources_of(after: StrategyStatus) -> tuple[StrategyStatus, ...]:
    """The statuses from which a strategy may come to this one: what a compare-and-set compares with."""
    return tuple(before for before in StrategyStatus if may_move(before, after))
