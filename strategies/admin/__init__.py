"""Strategies in the admin."""

from __future__ import annotations

from strategies.admin import facts as facts
from strategies.admin import restores as restores
from strategies.admin import strategies as strategies
