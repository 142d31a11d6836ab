"""What every test may ask for. The servers behind it come from tests/plugin.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import redis

from bridge_project.up.urls import redis_client_url

# No test judges time, and CI tries the same examples in every run: a new find belongs to whoever looks for it.
hypothesis.settings.register_profile("default", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("default")


@pytest.fixture
def shared() -> Path:
    """The folder with the recorded contracts beside the checkout; the test is skipped where there is none."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the folder ../shared with the recorded contracts is not here")
    return folder


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    """This worker's own broker database, empty before and after."""
    with redis.Redis.from_url(redis_client_url(os.environ["REDIS_URL"])) as client:
        client.flushdb()
        yield client
        client.flushdb()


from tests.fixtures import cast, database, django_db_setup  # noqa: E402, F401 - fixtures that need Django's settings
from tests.homes import prepared_home  # noqa: E402, F401
