from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.testing import start
from tests.arena.stage import Stage
from tests.fixtures import Cast


@pytest.fixture
def stage(cast: Cast, settings: Any) -> Iterator[Stage]:
    """An arena at the sandbox's binance, with BTC, ETH and DOGE; its prices stand still until a test moves them."""
    with start(speed=0) as sandbox:
        yield Stage(sandbox, cast)
