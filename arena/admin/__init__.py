"""The arena in the admin: participants, prompts, providers, what was asked and what it cost, switches, markets."""

from __future__ import annotations

from arena.admin import budgets as budgets
from arena.admin import calls as calls
from arena.admin import halts as halts
from arena.admin import history as history
from arena.admin import markets as markets
from arena.admin import participants as participants
from arena.admin import prompts as prompts
from arena.admin import providers as providers
from arena.admin import settings as settings
from arena.admin import shadow as shadow
