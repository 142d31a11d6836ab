from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class ClientsConfig(AppConfig):
    name = "clients"

    def ready(self) -> None:
        from clients.database_roles import ensure_roles, grant_django_tables

        pre_migrate.connect(ensure_roles, sender=self)
        post_migrate.connect(grant_django_tables, sender=self)
