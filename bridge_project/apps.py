from __future__ import annotations

from importlib import import_module
from typing import Any

from django.apps import AppConfig, apps
from django.db.models.signals import pre_migrate


class BridgeProjectConfig(AppConfig):
    name = "bridge_project"
    verbose_name = "Trading Bridge"

    def ready(self) -> None:
        # Every Django process needs the app that shared tasks belong to; bin/up, which runs none, starts sooner without.
        import_module("bridge_project.celery")
        pre_migrate.connect(_refuse_foreign_tables, sender=apps.get_app_config("clients"))


def _refuse_foreign_tables(**_: Any) -> None:
    """Whoever starts the migrations: never into a database that holds somebody else's tables of our names."""
    from bridge_project.installation import refuse_foreign_tables

    refuse_foreign_tables()
