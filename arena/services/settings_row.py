"""The arena's settings as they are now."""

from __future__ import annotations

from arena.models import ArenaSettings


def arena_settings() -> ArenaSettings:
    """The one row; defaults where somebody deleted it."""
    return ArenaSettings.objects.filter(pk=1).first() or ArenaSettings()
