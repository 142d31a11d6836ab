"""The web process: granian serves ``bridge_project.wsgi:application``."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bridge_project.settings")
application = get_wsgi_application()

from ground.scope import use_operator_outside_scopes  # noqa: E402 - settings must stand first

use_operator_outside_scopes()
