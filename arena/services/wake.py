"""Telling the stream that there is something to read, so that it need not wait for its next look."""

from __future__ import annotations

import contextlib
from functools import lru_cache
from typing import Any

from django.conf import settings

CHANNEL = "bridge.arena"
_TIMEOUT_S = 0.5


def wake_stream() -> None:
    """Called on commit. Where Redis cannot be reached listeners hear it within a second all the same."""
    import redis

    with contextlib.suppress(redis.RedisError):
        _broker().publish(CHANNEL, "")


@lru_cache(maxsize=1)
def _broker() -> Any:
    import redis

    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
