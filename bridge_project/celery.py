"""The Celery app: a few fixed ticks that only look for due rows; rows carry what is due and when."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bridge_project.settings")

app = Celery("bridge")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _keep_our_logging(**_: Any) -> None:
    """Celery would configure logging of its own; Django has done it."""


@worker_init.connect
def _log_in_as_operators(**_: Any) -> None:
    from ground.scope import use_operator_outside_scopes

    use_operator_outside_scopes()
