"""Signs of life of worker and beat, kept in the broker: they must be readable without asking either."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache

import redis
from django.conf import settings

SILENT_AFTER_S = 20.0
_KEY = "bridge:pulse:{}"


@lru_cache(maxsize=1)
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)


def beat_pulse(name: str) -> None:
    """Say that ``name`` (worker, beat) lives now."""
    _redis().set(_KEY.format(name), repr(time.time()), ex=86400)


def last_pulses(*names: str) -> dict[str, datetime | None]:
    """When each was last heard. Raises redis.RedisError when the broker does not answer."""
    values = _redis().mget([_KEY.format(name) for name in names])
    return {
        name: datetime.fromtimestamp(float(value), tz=UTC) if value else None
        for name, value in zip(names, values, strict=True)
    }


def ping_broker() -> None:
    """Raises redis.RedisError when the broker does not answer."""
    _redis().ping()
