from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.exchanges.fake import FakeExchange, fake_exchange


@pytest.fixture
def fake() -> Iterator[FakeExchange]:
    """A server that plays any exchange."""
    with fake_exchange() as server:
        yield server
