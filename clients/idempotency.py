"""``Idempotency-Key``: the same key and body gives the first answer again, the same key with another body is refused."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from clients.models import IdempotentAnswer
from clients.views import ScopedView
from ground.errors import Conflict, InvalidInput
from ground.http import exact_json, json_response
from ground.scope import Scope

Handler = Callable[..., HttpResponse]


def idempotent(handler: Handler) -> Handler:
    """For a POST without outside calls: key, effect and answer are one transaction, so none is there without the others.

    A second request with the key waits for the first at the unique index and then repeats its answer.
    """

    @functools.wraps(handler)
    def wrapped(view: ScopedView, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        key = _read_key(request)
        if key is None:
            return handler(view, request, *args, **kwargs)
        digest = _digest(request)
        with view.scope.transaction():
            row, made = _claim(view.scope, key, digest)
            if not made:
                return _repeat(row, digest)
            response = handler(view, request, *args, **kwargs)
            _store(row, response)
            return response

    return wrapped


def idempotent_start(handler: Handler) -> Handler:
    """For a POST that calls outside and is itself safe to repeat: only its answer is remembered."""

    @functools.wraps(handler)
    def wrapped(view: ScopedView, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        key = _read_key(request)
        if key is None:
            return handler(view, request, *args, **kwargs)
        digest = _digest(request)
        with view.scope.transaction():
            row, made = _claim(view.scope, key, digest)
        if not made and (row.status is not None or row.request_digest != digest):
            return _repeat(row, digest)
        response = handler(view, request, *args, **kwargs)
        with view.scope.transaction():
            _store(row, response)
        return response

    return wrapped


def forget_old_answers(*, scope: Scope) -> int:
    """Drop answers older than a day; returns how many."""
    with scope.transaction():
        return IdempotentAnswer.objects.filter(created_at__lt=timezone.now() - timedelta(days=1)).delete()[0]


def _read_key(request: Request) -> str | None:
    key: str | None = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= 200 and key.isprintable()):
        raise InvalidInput("Idempotency-Key must have 1 to 200 printable characters.", code="bad_idempotency_key")
    return key


def _digest(request: Request) -> str:
    body = exact_json(dict(sorted(cast(dict[str, Any], request.data).items())))
    return hashlib.sha256(f"{request.method} {request.path}\n{body}".encode()).hexdigest()


def _claim(scope: Scope, key: str, digest: str) -> tuple[IdempotentAnswer, bool]:
    mine = {"actor": scope.actor, "key": key}
    made = IdempotentAnswer.objects.bulk_create(
        [IdempotentAnswer(**mine, request_digest=digest, client_id=scope.client_id)], ignore_conflicts=True
    )
    row = IdempotentAnswer.objects.select_for_update().get(**mine)
    return row, bool(made) and row.status is None and row.request_digest == digest


def _store(row: IdempotentAnswer, response: HttpResponse) -> None:
    IdempotentAnswer.objects.filter(id=row.id, status=None).update(
        status=response.status_code, body=response.content.decode()
    )


def _repeat(row: IdempotentAnswer, digest: str) -> HttpResponse:
    if row.request_digest != digest:
        raise Conflict("This Idempotency-Key was used with another request.", code="idempotency_key_reused")
    return json_response(row.body or "{}", status=row.status or 200)
