from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.exchanges.fake import FakeExchange, fake_exchange


@pytest.fixture(scope="session")
def fake_server() -> Iterator[FakeExchange]:
    with fake_exchange() as server:
        yield server


@pytest.fixture
def fake(fake_server: FakeExchange) -> FakeExchange:
    """A server that plays any exchange, and knows nothing yet."""
    fake_server.replies.clear()
    fake_server.seen.clear()
    return fake_server
