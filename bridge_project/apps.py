from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class BridgeProjectConfig(AppConfig):
    name = "bridge_project"
    verbose_name = "Trading Bridge"

    def ready(self) -> None:
        # Every Django process needs the app that shared tasks belong to; bin/up, which runs none, starts sooner without.
        import_module("bridge_project.celery")
