"""Make participants of the bots that an import brought."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from arena.services.adopt_imported import adopt_imported
from ground.scope import system_scope


class Command(BaseCommand):
    help = (
        "Makes participants of the bots that an import brought, and model providers of those it kept. It starts none of "
        "them, and a second run changes nothing. import_arena_state runs it by itself."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done = adopt_imported(scope=system_scope("adopt_arena_bots"), now=timezone.now())
        self.stdout.write(f"{done.participants} participants and {done.providers} model providers were made.")
        for note in done.notes:
            self.stdout.write(note)
