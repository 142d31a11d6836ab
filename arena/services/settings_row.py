"""The arena's settings as they are now."""

from __future__ import annotations

from arena.models import ArenaSettings
from ground.hot_rows import hot_rows


def arena_settings() -> ArenaSettings:
    """The one row; defaults where somebody deleted it."""
    return next(iter(hot_rows(ArenaSettings, "WHERE t.id = 1")), None) or ArenaSettings()
