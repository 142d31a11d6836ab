"""The short way of requests that bring an API key to the API: sessions, forms and pages are none of their business.

What a browser needs (sessions, CSRF tokens, sign-in, second factor, messages, static files) was a fifth of the work of a
small request. A key is looked up by the view itself, the same as on the long way; the headers are those of the long way
but for the content policy, which is the strictest there is, since nothing here is ever shown as a page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string

PATHS = ("/bots", "/clients")
PINGS = "/ping/tb"
MIDDLEWARE = (
    "bridge_project.middleware.RequestBoundary",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "bridge_project.keyed.AnswerHeaders",
)


def is_keyed(environ: dict[str, Any]) -> bool:
    """Whether a request is for the API and brings something that only a key can be, or is a ping, which has it inside."""
    given: str = environ.get("HTTP_AUTHORIZATION", "")
    path: str = environ.get("PATH_INFO", "")
    return (given[:9] == "Bearer tb" and path.startswith(PATHS)) or path.startswith(PINGS)


class AnswerHeaders:
    """What the long way's middleware adds to an answer that is no page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.get_host()  # a host that is not ours is refused here as there
        response = self.get_response(request)
        headers = response.headers
        headers.setdefault("X-Frame-Options", settings.X_FRAME_OPTIONS)
        headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        if not response.streaming:
            headers.setdefault("Content-Length", str(len(response.content)))
        return response


class KeyedHandler(WSGIHandler):
    """Django's handler with a short chain of middleware; none of it has hooks besides being called."""

    def load_middleware(self, is_async: bool = False) -> None:
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        handler = convert_exception_to_response(self._get_response)  # type: ignore[attr-defined]
        for path in reversed(MIDDLEWARE):
            handler = convert_exception_to_response(import_string(path)(handler))
        self._middleware_chain = handler
