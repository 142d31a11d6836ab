"""How what Hummingbot holds of a bot differs from what is wanted, field by field. Pure.

A field is "status", or "config." and a key of the controller's config in Hummingbot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from bots.rules.templates import PLACEHOLDER
from bots.rules.words import BotStatus, DesiredStatus, RuntimeStatus

STATUS_FIELD = "status"
CONFIG_FIELD = "config."
STATUS_GRACE = timedelta(minutes=2)  # until then the reconciler is at it

MISSING: Any = object()
"""Stands for a key that is not there, which null is not."""


class DriftStatus(StrEnum):
    OPEN = "open"  # seen, and nobody has chosen
    IGNORED = "ignored"  # somebody accepts exactly this difference until a date
    PUSHING = "pushing"  # somebody chose ours; a worker is giving it to Hummingbot
    CLOSED = "closed"  # no longer there


DRIFT_MOVES: dict[DriftStatus, tuple[DriftStatus, ...]] = {
    DriftStatus.OPEN: (DriftStatus.IGNORED, DriftStatus.PUSHING, DriftStatus.CLOSED),
    DriftStatus.IGNORED: (DriftStatus.OPEN, DriftStatus.PUSHING, DriftStatus.CLOSED),
    DriftStatus.PUSHING: (DriftStatus.OPEN, DriftStatus.CLOSED),
    DriftStatus.CLOSED: (),
}


class Changed(StrEnum):
    """Where a config was changed since it was deployed."""

    HERE = "here"  # the definition was changed; what runs is what was deployed
    THERE = "there"  # somebody changed what runs
    BOTH = "both"


class Resolution(StrEnum):
    """How a difference ended."""

    PUSHED = "pushed"  # Hummingbot took ours
    ADOPTED = "adopted"  # theirs became the wish
    GONE = "gone"  # it went by itself: changed back, stopped, deployed anew


@dataclass(frozen=True, slots=True)
class Difference:
    field: str
    ours: Any  # a JSON value, MISSING: nothing is wanted there
    theirs: Any  # a JSON value, MISSING: nothing is there
    changed: Changed


def config_differences(
    *, ours: Mapping[str, Any], deployed: Mapping[str, Any] | None, theirs: Mapping[str, Any]
) -> list[Difference]:
    """Where the running controller's config is not what ours renders to, in the order of names.

    ``deployed`` is what was rendered when it was deployed, None where that can no longer be said. Keys that begin with
    an underscore are Hummingbot's own notes.
    """
    names = sorted(name for name in {*ours, *theirs} if not name.startswith("_"))
    return [
        Difference(CONFIG_FIELD + name, mine, other, _changed(mine, other, (deployed or {}).get(name, MISSING)))
        for name in names
        if not is_same(mine := ours.get(name, MISSING), other := theirs.get(name, MISSING))
    ]


def status_difference(
    *, desired: DesiredStatus, status: BotStatus, runtime: RuntimeStatus | None, since: datetime | None, now: datetime
) -> Difference | None:
    """Whether a bot verifiably does other than wanted, for longer than the reconciler needs; ``since`` when.

    What cannot be told, and what is on its way, is no difference.
    """
    if since is not None and now - since < STATUS_GRACE:
        return None
    if desired == DesiredStatus.RUNNING and status == BotStatus.ERROR:
        seen = str(runtime) if runtime and runtime != RuntimeStatus.RUNNING else "not deployed"
        return Difference(STATUS_FIELD, str(desired), seen, Changed.THERE)
    if desired == DesiredStatus.STOPPED and status == BotStatus.STOPPING and runtime == RuntimeStatus.RUNNING:
        return Difference(STATUS_FIELD, str(desired), str(runtime), Changed.THERE)
    return None


def is_same(one: Any, other: Any) -> bool:
    """Whether two JSON values mean the same to a controller: 0.003, 0.0030 and "0.003" do, true and 1 do not."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(is_same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, bool) or isinstance(other, bool) or one is MISSING or other is MISSING:
        return one is other
    first, second = _number(one), _number(other)
    if first is not None and second is not None:
        return first == second
    return bool(one == other)


def adopted(*, mapping: Mapping[str, Any], key: str, theirs: Any) -> dict[str, Any] | None:
    """The keys of the bot's own config, with values, that make the template render ``theirs`` under Hummingbot's ``key``.

    None where no config of the bot can say so: a constant of the template, the bot's pair, another shape.
    """
    if key not in mapping:
        return None
    found: dict[str, Any] = {}
    for name, value in _unified(mapping[key], theirs):
        if not name or "." in name or (name in found and not is_same(found[name], value)):
            return None
        found[name] = value
    return found or None


def placeholders_of(mapping: Mapping[str, Any], key: str) -> set[str]:
    """The keys of the bot's config that Hummingbot's ``key`` is made of."""
    return set(_names(mapping.get(key))) if key in mapping else set()


def _unified(pattern: Any, value: Any) -> Iterator[tuple[str, Any]]:
    """What each placeholder of the pattern stands for; an empty name where the value does not fit the pattern."""
    if isinstance(pattern, dict) and isinstance(value, dict) and pattern.keys() == value.keys():
        for key, item in pattern.items():
            yield from _unified(item, value[key])
    elif isinstance(pattern, list) and isinstance(value, list) and len(pattern) == len(value):
        for item, other in zip(pattern, value, strict=True):
            yield from _unified(item, other)
    elif isinstance(pattern, str) and (match := PLACEHOLDER.fullmatch(pattern)):
        yield match[1], value
    elif not is_same(pattern, value):
        yield "", value


def _names(pattern: Any) -> Iterator[str]:
    if isinstance(pattern, dict | list):
        for item in pattern.values() if isinstance(pattern, dict) else pattern:
            yield from _names(item)
    elif isinstance(pattern, str) and (match := PLACEHOLDER.fullmatch(pattern)):
        yield match[1]


def _changed(ours: Any, theirs: Any, deployed: Any) -> Changed:
    if is_same(theirs, deployed):
        return Changed.HERE
    return Changed.THERE if is_same(ours, deployed) else Changed.BOTH


def _number(value: Any) -> Decimal | None:
    if not isinstance(value, int | float | Decimal | str):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
