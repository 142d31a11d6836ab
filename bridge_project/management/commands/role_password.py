"""Print the password of a database role, for an administrator who must create it by hand."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Prints the password that the operator or client database role must have."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("role", choices=["operator", "client"])

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(settings.DATABASES[options["role"]]["PASSWORD"])
