from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.testing import start
from tests.fixtures import Cast
from tests.strategies.desk import StrategyDesk


@pytest.fixture
def desk(cast: Cast, settings: Any) -> Iterator[StrategyDesk]:
    """Acme's kucoin key is known to the sandbox; nothing was started."""
    with start(speed=6) as sandbox:
        settings.HUMMINGBOT_API_URL = sandbox.hummingbot_url
        settings.HUMMINGBOT_API_USERNAME, settings.HUMMINGBOT_API_PASSWORD = "admin", "admin"
        sandbox.add_key("kucoin", "key-of-acme-0123456789", "secret-of-acme", passphrase="memo-of-acme")
        yield StrategyDesk(sandbox, cast)
