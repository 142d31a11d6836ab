"""Draw the tables and their relations as Mermaid text, into docs/tables.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import models

APPS = ("clients", "bots", "health", "strategies", "ledger", "alerts", "arena")
TYPES = {
    "UUIDField": "uuid", "CharField": "varchar", "TextField": "text", "EncryptedTextField": "ciphertext",
    "JSONField": "jsonb", "ExactJSONField": "jsonb", "DateTimeField": "timestamptz", "DecimalField": "numeric",
    "PositiveIntegerField": "integer", "PositiveSmallIntegerField": "smallint", "BooleanField": "boolean",
    "BigAutoField": "bigint",
}  # fmt: skip
HEAD = """# Tables

Made by `bin/manage draw_tables` from the models; a test fails when it is out of date. Every table of tenants carries
`client_id` (in `clients` it is `id`) and a row-level security policy on it. Where a table has `bot_id` as well, a
composite key makes sure that both mean the same client. What the words mean stands in the models' docstrings, repeated
below.
"""


class Command(BaseCommand):
    help = "Writes docs/tables.md: the tables' relations as Mermaid text. --check only says whether it is up to date."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="Change nothing; fail if the file is out of date.")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        path, text = settings.BASE_DIR / "docs" / "tables.md", draw()
        if not check:
            path.write_text(text, encoding="utf-8")
            self.stdout.write(f"wrote {path}")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            raise CommandError("docs/tables.md is out of date: run bin/manage draw_tables.")


def draw() -> str:
    """The whole page."""
    tables = [model for label in APPS if apps.is_installed(label) for model in apps.get_app_config(label).get_models()]
    lines = [HEAD, "```mermaid", "erDiagram"]
    for model in tables:
        lines += [f"    {line}" for line in _relations(model)]
    for model in tables:
        lines += [f"    {model._meta.db_table} {{", *(f"        {line}" for line in _columns(model)), "    }"]
    lines += ["```", ""]
    for model in tables:
        lines += [f"**{model._meta.db_table}** ({model._meta.app_label}.{model.__name__}). {_says(model)}", ""]
    return "\n".join(lines)


def _relations(model: type[models.Model]) -> Iterator[str]:
    for field in model._meta.concrete_fields:
        if isinstance(field, models.ForeignKey):
            there = field.remote_field.model._meta.db_table
            many = "|o" if isinstance(field, models.OneToOneField) else "}o"
            one = "o|" if field.null else "||"
            yield f"{model._meta.db_table} {many}--{one} {there} : {field.name}"


def _columns(model: type[models.Model]) -> Iterator[str]:
    for field in model._meta.concrete_fields:
        marks = [
            *(["PK"] if field.primary_key else []),
            *(["FK"] if isinstance(field, models.ForeignKey) else []),
            *(["UK"] if field.unique and not field.primary_key else []),
        ]
        target = field.target_field if isinstance(field, models.ForeignKey) else field
        kind = TYPES.get(type(target).__name__, target.get_internal_type().removesuffix("Field").lower())
        yield f"{kind} {field.column} {', '.join(marks)}".rstrip()


def _says(model: type[models.Model]) -> str:
    return " ".join((model.__doc__ or "").split())
