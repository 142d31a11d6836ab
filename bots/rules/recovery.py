"""When a bot that is wanted running, and is not, is deployed again by itself. Pure.

A run that ends is a failure, counted once for each deployment. The waits grow; a run of five minutes has it count from
the start again. After too many failures in a row, or at once when its config was refused, it is left for a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID
from zlib import crc32

from bots.rules.words import DeploymentStatus, RuntimeStatus

MOST_FAILURES = 5
RAN_WELL = timedelta(minutes=5)
_FIRST_WAIT_S, _LONGEST_WAIT_S, _SPREAD = 10, 600, 0.25
SILENT_ANSWERS = timedelta(seconds=60)  # a strategy seen stopped: Hummingbot may only have restarted
NOWHERE_FOR = timedelta(seconds=60)  # in none of its lists for so long, over several looks, is believed to be gone
FRESH = timedelta(seconds=60)  # what was observed before that decides nothing


class Down(StrEnum):
    """Why a bot that is wanted running is not."""

    NOT_DEPLOYED = "not_deployed"  # nothing was ever deployed
    FAILED = "failed"  # its deployment failed
    ENDED = "ended"  # its deployment is over
    EXITED = "exited"  # its container has ended
    STOPPED = "stopped"  # its container is up, its strategy has stopped
    NEVER_RAN = "never_ran"  # its container is up, no strategy ever reported
    NOWHERE = "nowhere"  # Hummingbot knows nothing of it any more


class Move(StrEnum):
    """What to do for a bot now. Each is applied in one transaction that holds the bot's row."""

    REST = "rest"  # it runs, somebody is at it, or it must wait
    FORGET = "forget"  # it has run well since: its failures are forgotten
    NOTE = "note"  # count this failure, and wait
    QUARANTINE = "quarantine"  # a person must act
    DEPLOY = "deploy"  # nothing of it can live: a new deployment
    REPLACE = "replace"  # its container has ended: end that deployment, and open a new one
    TAKE_DOWN = "take_down"  # it may live: stop it first, the reconciler opens a new one once it is gone


@dataclass(frozen=True, slots=True)
class Situation:
    """The newest deployment of a bot that is wanted running, and what was observed of it."""

    deployment: DeploymentStatus | None
    sequence: int = 0
    is_refused: bool = False  # its config was, by us or by Hummingbot
    message: str = ""
    confirmed_at: datetime | None = None
    ended_at: datetime | None = None
    runtime: RuntimeStatus | None = None
    runtime_since: datetime | None = None
    explanation: str = ""
    nowhere_since: datetime | None = None  # in none of Hummingbot's lists, look after look
    is_leaving: bool = False  # a former container of this bot is still being taken down
    last_heartbeat_at: datetime | None = None  # what the bot says of itself, past Hummingbot
    looked_at: datetime | None = None  # when Hummingbot last answered; None while it is away


@dataclass(frozen=True, slots=True)
class Past:
    """What is stored of a bot's recovery."""

    failures: int = 0
    counted_sequence: int | None = None  # of the newest deployment whose failure was counted
    next_at: datetime | None = None
    is_planned: bool = False  # next_at was set by whoever restores many in turn
    quarantined_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    move: Move
    failures: int = 0
    next_at: datetime | None = None
    reason: str = ""


def decide(*, situation: Situation, past: Past | None, now: datetime, spread: float) -> Decision:
    """What to do for a bot that is wanted running. ``spread`` in 0..1 keeps many from coming back at one instant."""
    known = past or Past()
    if known.quarantined_at is not None:
        return Decision(Move.REST)
    down = what_is_down(situation, now)
    if down is None:
        return Decision(Move.FORGET if past is not None and _runs_well(situation, now) else Move.REST)
    if past is None or known.counted_sequence != situation.sequence:
        return _note(down, situation, known, now, spread)
    if situation.is_leaving or (known.next_at is not None and now < known.next_at):
        return Decision(Move.REST)
    return Decision(_MOVES[down])


def what_is_down(situation: Situation, now: datetime) -> Down | None:
    """Why it does not run; None when it does, may, is on its way, or cannot be told because Hummingbot is away."""
    if situation.looked_at is None or now - situation.looked_at > FRESH:
        return None
    match situation.deployment:
        case None:
            return Down.NOT_DEPLOYED
        case DeploymentStatus.FAILED:
            return Down.FAILED
        case DeploymentStatus.ENDED:
            return Down.ENDED
        case DeploymentStatus.LIVE:
            return _live(situation, now)
        case _:
            return None


def wait_after(failures: int, *, spread: float) -> timedelta:
    """10 s, 20 s, ... 10 minutes, and up to a quarter more below the longest; none before the first failure."""
    if failures < 1:
        return timedelta()
    seconds = _FIRST_WAIT_S * 2 ** min(failures - 1, 10) * (1 + _SPREAD * spread)
    return timedelta(seconds=min(seconds, _LONGEST_WAIT_S))


def spread_of(bot_id: UUID, failures: int) -> float:
    """In 0..1, the same for the same bot and count, and different for different bots."""
    return crc32(bot_id.bytes + failures.to_bytes(4, "big")) / 0xFFFFFFFF


def _live(situation: Situation, now: datetime) -> Down | None:
    since = situation.runtime_since or now
    match situation.runtime:
        case RuntimeStatus.EXITED | RuntimeStatus.ABSENT:
            return Down.EXITED
        case RuntimeStatus.FAILED:
            return Down.NEVER_RAN
        case RuntimeStatus.STOPPED if now - since >= SILENT_ANSWERS:
            return Down.STOPPED
        case RuntimeStatus.UNKNOWN if _is_gone(situation, now):
            return Down.NOWHERE
        case _:
            return None


def _is_gone(situation: Situation, now: datetime) -> bool:
    since = situation.nowhere_since
    if since is None or now - since < NOWHERE_FOR:
        return False
    return situation.last_heartbeat_at is None or situation.last_heartbeat_at < since


def _note(down: Down, situation: Situation, known: Past, now: datetime, spread: float) -> Decision:
    failures = 0 if down is Down.NOT_DEPLOYED else 1 if _ran_well(situation) else known.failures + 1
    reason = _sentence(down, situation)
    if situation.is_refused:
        return Decision(Move.QUARANTINE, failures, reason=reason)
    if failures >= MOST_FAILURES:
        sentence = f"It failed {failures} times in a row, and is left for a person: {reason}"
        return Decision(Move.QUARANTINE, failures, reason=sentence)
    next_at = known.next_at if known.is_planned else now + wait_after(failures, spread=spread)
    return Decision(Move.NOTE, failures, next_at=next_at, reason=reason)


def _ran_well(situation: Situation) -> bool:
    over_at = situation.ended_at or situation.nowhere_since or situation.runtime_since
    return situation.confirmed_at is not None and over_at is not None and over_at - situation.confirmed_at >= RAN_WELL


def _runs_well(situation: Situation, now: datetime) -> bool:
    return (
        situation.deployment is DeploymentStatus.LIVE
        and situation.runtime is RuntimeStatus.RUNNING
        and situation.confirmed_at is not None
        and now - situation.confirmed_at >= RAN_WELL
    )


def _sentence(down: Down, situation: Situation) -> str:
    """Hummingbot's or our own words where there are any."""
    said = situation.message if down is Down.FAILED else situation.explanation
    match down:
        case Down.NOT_DEPLOYED:
            return "It is wanted running, and nothing was ever deployed."
        case Down.ENDED:
            return situation.message or "Its deployment is over."
        case Down.NOWHERE:
            return "It has vanished: Hummingbot knows nothing of it any more."
        case _:
            return said or "It does not run."


_MOVES = {
    Down.NOT_DEPLOYED: Move.DEPLOY,
    Down.FAILED: Move.DEPLOY,
    Down.ENDED: Move.DEPLOY,
    Down.EXITED: Move.REPLACE,
    Down.STOPPED: Move.TAKE_DOWN,
    Down.NEVER_RAN: Move.TAKE_DOWN,
    Down.NOWHERE: Move.TAKE_DOWN,
}
