"""Turns at an exchange's host, shared by every thread and process of this server.

A token bucket per host, kept as the moment until which its tokens are spoken for (the generic cell rate algorithm): a
turn moves that moment on by its cost and waits for what lies beyond the burst. One Lua script in Redis, by Redis's own
clock, so that no two workers disagree. "Too many requests" pauses a host, or one key there, for everybody. While Redis
is away each process counts for itself: checks go on, a little less polite.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

import redis
from structlog import get_logger

log = get_logger(__name__)

_AWAY_S = 10.0  # how long Redis is left alone after it did not answer
_REDIS_TIMEOUT_S = 1.0
_REMEMBER_S = 3600 + 600  # longer than the longest pause


@dataclass(frozen=True, slots=True)
class Turn:
    """When to send. Not granted means that the wait would be too long, and that nothing was taken."""

    wait_s: float
    is_granted: bool = True
    is_pause: bool = False  # the exchange itself asked for the wait


class Limiter(Protocol):
    def take(self, host: str, *, key: str, cost_s: float, burst_s: float, most_wait_s: float) -> Turn:
        """A turn that costs so many seconds of the host's pace, for a key's fingerprint or "" for a public request."""
        ...

    def pause(self, host: str, *, key: str, seconds: float) -> None:
        """Nobody sends for so long: with this key, or to this host at all when ``key`` is empty."""
        ...


@dataclass
class _Host:
    spoken_until: float = 0.0
    paused_until: dict[str, float] = field(default_factory=dict)


class LocalLimiter:
    """For one process alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}

    def take(self, host: str, *, key: str, cost_s: float, burst_s: float, most_wait_s: float) -> Turn:
        with self._lock:
            now = time.monotonic()
            about = self._hosts.setdefault(host, _Host())
            about.paused_until = {of: until for of, until in about.paused_until.items() if until > now}
            paused_host, paused_key = about.paused_until.get("", now), about.paused_until.get(key, now)
            if paused_host > now:  # afterwards one by one, not all at once
                about.spoken_until = max(about.spoken_until, paused_host + burst_s)
            spoken = max(about.spoken_until, now)
            wait_s = max(spoken - burst_s - now, paused_host - now, paused_key - now, 0.0)
            is_pause = max(paused_host, paused_key) > now
            if wait_s > most_wait_s:
                return Turn(wait_s, is_granted=False, is_pause=is_pause)
            about.spoken_until = spoken + cost_s
            return Turn(wait_s, is_pause=is_pause)

    def pause(self, host: str, *, key: str, seconds: float) -> None:
        with self._lock:
            paused = self._hosts.setdefault(host, _Host()).paused_until
            paused[key] = max(paused.get(key, 0.0), time.monotonic() + seconds)


# Milliseconds throughout. KEYS: the bucket, the host's pause, the key's pause. ARGV: cost, burst, longest wait, memory.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local spoken = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local host = tonumber(redis.call('GET', KEYS[2]) or '0')
local key = tonumber(redis.call('GET', KEYS[3]) or '0')
local burst = tonumber(ARGV[2])
if host > now then spoken = math.max(spoken, host + burst) end
local wait = math.max(spoken - burst - now, host - now, key - now, 0)
local is_pause = (host > now or key > now) and 1 or 0
if wait > tonumber(ARGV[3]) then return {math.ceil(wait), 0, is_pause} end
redis.call('SET', KEYS[1], string.format('%.3f', spoken + tonumber(ARGV[1])), 'PX', ARGV[4])
return {math.ceil(wait), 1, is_pause}
"""
_PAUSE = """
local time = redis.call('TIME')
local until_ms = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
if until_ms > tonumber(redis.call('GET', KEYS[1]) or '0') then
  redis.call('SET', KEYS[1], string.format('%.0f', until_ms), 'PX', math.ceil(tonumber(ARGV[1])) + 1000)
end
return 1
"""


class SharedLimiter:
    """For every process that uses the same Redis."""

    def __init__(self, client: redis.Redis, *, prefix: str = "bridge:limit") -> None:
        self._prefix = prefix
        self._take = client.register_script(_TAKE)
        self._pause = client.register_script(_PAUSE)
        self._alone = LocalLimiter()
        self._away_until = 0.0

    def take(self, host: str, *, key: str, cost_s: float, burst_s: float, most_wait_s: float) -> Turn:
        keys = [self._key(host, "bucket"), self._key(host, "paused"), self._key(host, f"paused:{key or '-'}")]
        limits = [cost_s * 1000, burst_s * 1000, most_wait_s * 1000, _REMEMBER_S * 1000]
        answer = self._run(self._take, keys, limits)
        if answer is None:
            return self._alone.take(host, key=key, cost_s=cost_s, burst_s=burst_s, most_wait_s=most_wait_s)
        wait_ms, is_granted, is_pause = answer
        return Turn(int(wait_ms) / 1000, is_granted=bool(is_granted), is_pause=bool(is_pause))

    def pause(self, host: str, *, key: str, seconds: float) -> None:
        self._alone.pause(host, key=key, seconds=seconds)  # also for the case that Redis goes away meanwhile
        name = f"paused:{key}" if key else "paused"
        self._run(self._pause, [self._key(host, name)], [seconds * 1000])

    def _key(self, host: str, name: str) -> str:
        return f"{self._prefix}:{{{host}}}:{name}"  # the braces keep a host's keys together in a cluster

    def _run(self, script: Any, keys: list[str], arguments: list[float]) -> Any:
        """What the script gave; None while Redis is away."""
        if time.monotonic() < self._away_until:
            return None
        try:
            return script(keys=keys, args=arguments)
        except redis.RedisError as error:
            self._away_until = time.monotonic() + _AWAY_S
            log.warning("limits_not_shared", error=type(error).__name__, retry_s=_AWAY_S)
            return None


def open_limiter(redis_url: str) -> SharedLimiter:
    """The limiter of all processes that use this Redis; nothing is sent before the first turn."""
    client = redis.Redis.from_url(redis_url, socket_timeout=_REDIS_TIMEOUT_S, socket_connect_timeout=_REDIS_TIMEOUT_S)
    return SharedLimiter(client)
