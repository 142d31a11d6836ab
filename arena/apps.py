from __future__ import annotations

from django.apps import AppConfig


class ArenaConfig(AppConfig):
    name = "arena"

    def ready(self) -> None:
        from arena.services.participants import check_may_start
        from bots.rules.words import RuntimeKind
        from bots.services.start_bot import MAY_START

        MAY_START[RuntimeKind.ARENA] = check_may_start
