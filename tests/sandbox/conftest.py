from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.testing import Sandbox, start


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """World seconds pass thirty times faster, and no bot trades unless the test lets time pass."""
    with start(speed=30, mean_interval_s=60) as running:
        yield running
