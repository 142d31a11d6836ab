"""An operator who is signed in to the admin, in a process that logs in to the database as web processes do."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client as HttpClient

from tests.fixtures import Cast


@pytest.fixture
def desk(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> HttpClient:
    """The cast's world, seen by operator alice; outside of scopes queries go as operators do, as in the web process."""
    alice = User.objects.create_superuser("alice", password="correct horse battery")
    monkeypatch.setattr("ground.scope._outside", "operator")
    http = HttpClient()
    http.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return http
