"""Answers that are the same for everybody: made once in a few seconds, however many ask.

They stand in the cache, compressed. When one has grown old, whoever comes first makes the next, and the others meanwhile
get the old one; so a thousand watchers cost the database what one does.
"""

from __future__ import annotations

import gzip
import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.cache import patch_vary_headers
from redis.exceptions import RedisError

from ground.errors import BridgeError

_PREFIX = "arena:shown:"
_MAKING_S = 10  # who makes one has so long, until another tries
_LOOKS, _BETWEEN_LOOKS_S = 20, 0.05  # where there is no old one to give meanwhile
_LEVEL = 6  # gzip's level: the highest takes thrice as long for a hundredth less


class Answer(NamedTuple):
    """A body, compressed, with the time after which another is made."""

    tag: str
    body: bytes
    old_at: float


def shared_answer(key: str, *, fresh_s: float, make: Callable[[], bytes]) -> Answer:
    """The answer under ``key``, not older than some ``fresh_s`` seconds. Where ``make`` refuses (a BridgeError), an older
    answer is given to nobody any more.

    Only what was made takes room, so whoever asks may choose the key. Without a cache each has an answer made.
    """
    name = f"{_PREFIX}{key}"
    with suppress(RedisError):
        kept = _kept(name)
        if kept is not None and kept.old_at > time.time():
            return kept
        if not cache.add(_lock(name), 1, _MAKING_S) and (kept := kept or _awaited(name)) is not None:
            return kept
    try:
        answer = _answer(make(), fresh_s)
        with suppress(RedisError):
            cache.set(name, answer, fresh_s + _MAKING_S)
    except BridgeError:
        with suppress(RedisError):
            cache.delete(name)
        raise
    finally:
        with suppress(RedisError):
            cache.delete(_lock(name))
    return answer


def _kept(name: str) -> Answer | None:
    found: Answer | None = cache.get(name)
    return found


def _lock(name: str) -> str:
    return f"{name}:making"


def _awaited(name: str) -> Answer | None:
    """What somebody else is making just now, unless that takes long."""
    for _ in range(_LOOKS):
        time.sleep(_BETWEEN_LOOKS_S)
        kept = _kept(name)
        if kept is not None or cache.get(_lock(name)) is None:
            return kept
    return None


def send(request: HttpRequest, answer: Answer, *, content_type: str, fresh_s: int) -> HttpResponse:
    """The answer, or 304 to whoever has it already."""
    known = request.headers.get("If-None-Match", "")
    response: HttpResponse
    if answer.tag in (tag.strip() for tag in known.split(",")):
        response = HttpResponseNotModified()
    elif "gzip" in request.headers.get("Accept-Encoding", ""):
        response = HttpResponse(answer.body, content_type=content_type)
        response["Content-Encoding"] = "gzip"
    else:
        response = HttpResponse(gzip.decompress(answer.body), content_type=content_type)
    response["ETag"] = answer.tag
    response["Cache-Control"] = f"public, max-age={fresh_s}"
    patch_vary_headers(response, ["Accept-Encoding"])
    return response


def _answer(body: bytes, fresh_s: float) -> Answer:
    tag = f'W/"{hashlib.sha256(body).hexdigest()[:24]}"'
    return Answer(tag, gzip.compress(body, _LEVEL, mtime=0), time.time() + fresh_s)
