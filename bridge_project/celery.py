"""The Celery app: a few fixed ticks that only look for due rows; rows carry what is due and when."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, task_postrun, task_prerun, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bridge_project.settings")

app = Celery("bridge")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.CELERY_DB_REUSE_MAX = 10**9  # tasks, until Celery closes every connection; it would after each (below)


@setup_logging.connect
def _keep_our_logging(**_: Any) -> None:
    """Celery would configure logging of its own; Django has done it."""


@worker_init.connect
def _log_in_as_operators(**_: Any) -> None:
    from ground.scope import use_operator_outside_scopes

    use_operator_outside_scopes()


@task_prerun.connect
@task_postrun.connect
def _keep_good_connections(**_: Any) -> None:
    """As between requests: a connection that failed is closed and no other. A new one for each task costs more than most tasks
    do, and forgets the plans that the server kept for it."""
    from django.db import close_old_connections

    close_old_connections()
