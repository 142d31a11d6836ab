"""The one table that turns errors into HTTP answers: ``{"detail", "code", "errors"?}``, never an exception's text."""

from __future__ import annotations

import math
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from rest_framework import exceptions

from ground import errors
from ground.http import TooLarge, dump
from ground.scope import close_primed

log = structlog.get_logger(__name__)

STATUS_OF: tuple[tuple[type[Exception], int], ...] = (
    (TooLarge, 413),
    (errors.InvalidInput, 400),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.TooMany, 429),
    (errors.NotReady, 503),
    (errors.Rejected, 400),
    (errors.BadCredentials, 400),
    (errors.GatewayError, 503),
)
DRF_CODES = {
    "parse_error": "malformed",
    "not_authenticated": "not_authenticated",
    "authentication_failed": "not_authenticated",
    "unsupported_media_type": "unsupported_media_type",
    "method_not_allowed": "method_not_allowed",
    "not_found": "not_found",
    "permission_denied": "forbidden",
}


def answer(error: Exception, context: dict[str, Any] | None = None) -> HttpResponse | None:
    """DRF's exception handler. None lets an error of ours (a bug) become the 500 of ``server_error``."""
    close_primed()
    if isinstance(error, errors.BridgeError):
        return _of_bridge_error(error)
    if isinstance(error, Http404):
        return reply(404, "There is nothing here by that name.", "not_found")
    if isinstance(error, PermissionDenied):
        return reply(403, "You may not do this.", "forbidden")
    if isinstance(error, OperationalError | InterfaceError):
        log.error("database_unreachable", error=type(error).__name__)
        return reply(503, "The database cannot be reached; try again shortly.", "database_unavailable", retry_after_s=5)
    if isinstance(error, exceptions.APIException):
        return _of_drf(error)
    return None


def _of_bridge_error(error: errors.BridgeError) -> HttpResponse:
    status = next((status for kind, status in STATUS_OF if isinstance(error, kind)), 500)
    candidates = getattr(error, "candidates", None)
    extra: dict[str, Any] = {"candidates": candidates} if candidates else {}
    wait = getattr(error, "retry_after_s", None)
    return reply(
        status,
        error.message,
        error.code,
        fields=error.fields,
        retry_after_s=(wait or 5) if status in (429, 503) else None,
        **extra,
    )


def _of_drf(error: exceptions.APIException) -> HttpResponse:
    code = DRF_CODES.get(str(error.default_code), str(error.default_code))
    if isinstance(error, exceptions.ValidationError):
        fields = _flat(error.detail)
        first = next((f"{name}: {texts[0]}" for name, texts in fields.items()), "The input is not valid.")
        return reply(400, first, "invalid", fields=fields)
    response = reply(
        error.status_code,
        str(error.detail),
        code,
        retry_after_s=getattr(error, "wait", None) if error.status_code == 429 else None,
    )
    if error.status_code == 401:
        response["WWW-Authenticate"] = 'Bearer realm="Trading Bridge"'
    return response


def _flat(detail: Any, name: str = "") -> dict[str, list[str]]:
    if isinstance(detail, dict):
        parts = [_flat(value, f"{name}.{key}" if name else str(key)) for key, value in detail.items()]
    elif isinstance(detail, list) and any(isinstance(item, dict | list) for item in detail):
        parts = [_flat(item, f"{name}[{index}]") for index, item in enumerate(detail) if item]
    else:
        return {name or "body": [str(item) for item in (detail if isinstance(detail, list) else [detail])]}
    return {key: texts for part in parts for key, texts in part.items()}


def reply(
    status: int,
    detail: str,
    code: str,
    *,
    fields: dict[str, list[str]] | None = None,
    retry_after_s: float | None = None,
    **extra: Any,
) -> HttpResponse:
    """An error answer in the form that all have."""
    body: dict[str, Any] = {"detail": detail, "code": code, **extra}
    if fields:
        body["errors"] = fields
    response = HttpResponse(dump(body), status=status, content_type="application/json")
    if retry_after_s is not None:
        response["Retry-After"] = str(max(1, math.ceil(retry_after_s)))
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django itself refuses before a view sees it (a bad host, a body that is too large)."""
    return reply(400, "The request is malformed.", "malformed")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A path that does not exist: a page for somebody in the admin, JSON for everybody else."""
    if request.path.startswith("/admin/"):
        return render(request, "bridge/problem.html", {"title": "There is no such page", "status": 404}, status=404)
    return reply(404, "There is no such path; /api/docs lists them all.", "not_found")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A change asked for by an admin session without its CSRF token."""
    return reply(403, "The CSRF token is missing or wrong; reload the page.", "csrf_failed")


def server_error(request: HttpRequest) -> HttpResponse:
    """A defect of ours, or a database that went away in the middle. The log has the traceback; the answer has not."""
    if request.path.startswith("/admin/"):
        title = "Something broke on our side; the log says what"
        return HttpResponse(render_to_string("bridge/problem.html", {"title": title, "status": 500}), status=500)
    return reply(500, "Something broke on our side; the operators' log says what.", "server_error")
