"""From a strategy's config to its bot's; and what changed between two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bots.types import Template


def with_interval(template: Template, config: Mapping[str, Any], interval: str) -> dict[str, Any]:
    """What the strategy's bot is configured with: the interval too, where the template has a place for it."""
    properties = template.schema.get("properties")
    is_known = "interval" in template.defaults or "interval" in (properties if isinstance(properties, dict) else {})
    return {**config, "interval": interval} if is_known and "interval" not in config else dict(config)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """``(key, before, after)`` of every key that is not the same in both, in order; None where there is none."""
    keys = sorted({*before, *after})
    return [(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)]
