"""From what Hummingbot runs back to the strategy label and config that it was rendered from. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bots.rules.drift import is_same
from bots.rules.templates import validate_config
from bots.rules.words import TemplateKind
from bots.types import Template
from ground.errors import InvalidInput

_PLACEHOLDER = re.compile(r"\{([A-Za-z0-9_.]+)\}")
_OF_THE_BOT = "bot."
_INTERVAL_SECONDS = "interval.seconds"
_UNITS = ((604800, "w"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


class _DoesNotFitError(Exception):
    """The content is not of this template."""


@dataclass(frozen=True, slots=True)
class Unrendered:
    """A template and the config that make it render such a content."""

    strategy: str
    config: Mapping[str, Any]
    strangers: tuple[str, ...]  # keys of the content that the template does not write
    others: tuple[str, ...] = ()  # further templates that fit as well


def unrender(templates: Iterable[Template], content: Mapping[str, Any], *, kind: TemplateKind) -> Unrendered | None:
    """The template that fits best: the one that leaves the fewest keys unexplained, then the first by name.

    None where none fits. What Hummingbot adds by itself (keys that begin with an underscore) is no stranger.
    """
    fitting = sorted(
        (found for template in templates if template.kind == kind and (found := _fitted(template, content))),
        key=lambda found: (len(found.strangers), found.strategy),
    )
    if not fitting:
        return None
    best = fitting[0]
    others = tuple(found.strategy for found in fitting[1:] if len(found.strangers) == len(best.strangers))
    return Unrendered(best.strategy, best.config, best.strangers, others)


def _fitted(template: Template, content: Mapping[str, Any]) -> Unrendered | None:
    config: dict[str, Any] = {}
    try:
        for key, pattern in template.mapping.items():
            if key not in content and _is_the_bots(pattern):
                continue
            for name, value in _unified(pattern, content.get(key)):
                if name in config and not is_same(config[name], value):
                    return None
                config[name] = value
        _take_interval(config)
        validate_config(template, config)
    except (_DoesNotFitError, InvalidInput):
        return None
    strangers = tuple(sorted(key for key in content if key not in template.mapping and not key.startswith("_")))
    return Unrendered(template.name, config, strangers)


def _unified(pattern: Any, value: Any) -> Iterator[tuple[str, Any]]:
    """What each placeholder of the pattern stands for; those of the bot itself are left out."""
    if isinstance(pattern, Mapping) and isinstance(value, Mapping):
        if pattern.keys() != value.keys():
            raise _DoesNotFitError
        for key, item in pattern.items():
            yield from _unified(item, value[key])
    elif isinstance(pattern, list) and isinstance(value, list | tuple):
        if len(pattern) != len(value):
            raise _DoesNotFitError
        for item, other in zip(pattern, value, strict=True):
            yield from _unified(item, other)
    elif match := _placeholder(pattern):
        if not match.startswith(_OF_THE_BOT):
            yield match, value
    elif not is_same(pattern, value):
        raise _DoesNotFitError


def _placeholder(pattern: Any) -> str:
    match = _PLACEHOLDER.fullmatch(pattern) if isinstance(pattern, str) else None
    return match[1] if match else ""


def _is_the_bots(pattern: Any) -> bool:
    return _placeholder(pattern).startswith(_OF_THE_BOT)


def _take_interval(config: dict[str, Any]) -> None:
    """The interval may stand in the content in seconds alone."""
    seconds = config.pop(_INTERVAL_SECONDS, None)
    if seconds is None or "interval" in config:
        return
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds <= 0:
        raise _DoesNotFitError
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    config["interval"] = f"{seconds // size}{unit}"
