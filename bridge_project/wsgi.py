"""The web process: granian serves ``bridge_project.wsgi:application``."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bridge_project.settings")
pages = get_wsgi_application()

from bridge_project.keyed import KeyedHandler, is_keyed  # noqa: E402 - settings must stand first
from ground.scope import use_operator_outside_scopes  # noqa: E402

keyed = KeyedHandler()
use_operator_outside_scopes()
get_resolver().url_patterns  # noqa: B018 - imports every view now, not in the first request
gc.collect()
gc.freeze()  # what is loaded stays to the end: looking through it again and again was a tenth of the work


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Requests of programs with an API key go the short way, all others through every middleware."""
    return keyed(environ, start_response) if is_keyed(environ) else pages(environ, start_response)
