"""From a strategy's config to its bot's; and what changed between two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bots.types import Template


def with_interval(template: Template, config: Mapping[str, Any], interval: str) -> dict[str, Any]:
    """What the strategy's bot is configured with: the interval too, where the template has a place for it."""
    return {**config, "interval": interval} if knows_interval(template) and "interval" not in config else dict(config)


def from_bot(
    template: Template | None, bot_config: Mapping[str, Any], *, config: Mapping[str, Any], interval: str
) -> tuple[dict[str, Any], str]:
    """``(config, interval)`` of the strategy whose bot has this config; those that were given where they still say it."""
    knows = template is not None and knows_interval(template)
    own = str(template.defaults.get("interval") or interval) if template and knows else interval
    given = {"interval": interval, **config} if knows else dict(config)
    if ({"interval": own, **bot_config} if knows else dict(bot_config)) == given:
        return dict(config), interval
    found = dict(bot_config)
    return found, str(found.pop("interval", own)) if knows else interval


def knows_interval(template: Template) -> bool:
    """Whether the template has a place for a strategy's interval."""
    properties = template.schema.get("properties")
    return "interval" in template.defaults or "interval" in (properties if isinstance(properties, dict) else {})


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """``(key, before, after)`` of every key that is not the same in both, in order; None where there is none."""
    keys = sorted({*before, *after})
    return [(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)]
