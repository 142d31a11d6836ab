from __future__ import annotations

from django.apps import AppConfig


class BridgeProjectConfig(AppConfig):
    name = "bridge_project"
    verbose_name = "Trading Bridge"
