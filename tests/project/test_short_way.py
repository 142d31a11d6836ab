"""Requests with an API key go past the middleware that only browsers need, and answer exactly as on the long way."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings

from bridge_project.keyed import KeyedHandler, is_keyed
from tests.fixtures import EVM, Cast

OF_PAGES = {"content-security-policy", "vary", "content-length"}  # the length varies with ids and ages


def environ_of(method: str, path: str, body: Any, headers: dict[str, str]) -> dict[str, Any]:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    path, _, query = path.partition("?")
    return {
        "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "SERVER_NAME": "bridge", "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "bridge", "REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(raw), "wsgi.errors": io.StringIO(), "CONTENT_LENGTH": str(len(raw)),
        "CONTENT_TYPE": "application/json", **headers,
    }  # fmt: skip


def ask(handler: Any, environ: dict[str, Any]) -> tuple[str, Any, dict[str, str]]:
    seen: list[Any] = []
    answer = handler(environ, lambda status, headers: seen.append((status, headers)))
    body = b"".join(answer)
    answer.close()
    status, headers = seen[0]
    return status, json.loads(body or b"null"), {name.lower(): value for name, value in headers}


@pytest.fixture
def ways() -> tuple[Any, Any]:
    return WSGIHandler(), KeyedHandler()


def test_both_ways_answer_alike(cast: Cast, ways: tuple[Any, Any]) -> None:
    new_bot = {"name": "n", "account": "client_acme", "connector": "kucoin", "pair": "btc-usdt", "strategy": "own"}
    asked = [
        ("GET", "/bots", None), ("GET", "/bots?account=client_globex", None), ("GET", "/bots?limit=0", None),
        ("GET", "/bots?limit=1", None), ("GET", "/bots?limit=1&offset=1", None), ("GET", "/bots?cursor=x", None),
        ("GET", "/bots?kind=what", None), ("GET", "/bots?search=maker&status=created", None),
        ("GET", f"/clients/by-wallet/{EVM.upper().replace('X', 'x')}", None), ("GET", "/clients/by-wallet/0x\x00", None),
        ("GET", f"/bots/{cast.acme_bot}", None), ("GET", f"/bots/{cast.globex_bot}", None), ("DELETE", "/bots", None),
        ("GET", "/bots/none/such/path", None), ("POST", "/bots/create", new_bot), ("POST", "/bots/create", b"{no json"),
        ("POST", "/bots/create", {**new_bot, "account": "client_globex"}), ("OPTIONS", "/bots", None),
    ]  # fmt: skip
    callers = (cast.operator, cast.acme_manages, cast.acme_reads, cast.globex_manages, cast.acme_bot_pings)
    for token in (*(caller.key for caller in callers), "tbo_aaaaaaaaaa_" + "a" * 43, "tb nonsense"):
        for method, path, body in asked:
            headers = {"HTTP_AUTHORIZATION": f"Bearer {token}", "HTTP_ORIGIN": "https://dashboard.example"}
            answers = [ask(way, environ_of(method, path, body, dict(headers))) for way in ways]
            where = (token, method, path)
            (long_status, long_body, long_headers), (status, shown, short_headers) = answers
            assert status == long_status, (where, answers)
            assert _same(shown) == _same(long_body), where
            assert _kept(short_headers) == _kept(long_headers), where
            assert short_headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'", where


def _kept(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in OF_PAGES}


def _same(body: Any) -> Any:
    """Without what a second identical creation and a later moment change."""
    if isinstance(body, dict):
        moving = {"id", "created_at", "updated_at", "status_updated_at", "age_s", "bots", "total", "next", "pagination"}
        return {name: _same(value) for name, value in body.items() if name not in moving}
    return body


def test_pings_answer_alike_on_both_ways(cast: Cast, ways: tuple[Any, Any]) -> None:
    key = cast.acme_bot_pings.key
    asked = [
        ("GET", f"/ping/{key}?rid=a%20b"), ("GET", f"/ping/{key}/none"), ("DELETE", f"/ping/{key}"),
        ("GET", f"/ping/{cast.operator.key}"), ("OPTIONS", f"/ping/{key}"), ("POST", f"/ping/{key}x/fail"),
    ]  # fmt: skip
    for method, path in asked:
        answers = [ask(way, environ_of(method, path, b"words", {})) for way in ways]
        assert answers[0][:2] == answers[1][:2], path
        headers = [{name: value for name, value in answer[2].items() if name not in OF_PAGES} for answer in answers]
        assert headers[0] == headers[1], path


def test_a_list_along_with_the_key_is_the_list_read_apart(cast: Cast) -> None:
    for caller in (cast.operator, cast.acme_manages, cast.globex_manages):
        whole = caller.get("/bots").body
        apart = caller.get("/bots?offset=0").body
        assert whole["bots"] == apart["bots"] and whole["total"] == apart["total"] == len(whole["bots"])
    assert [bot["account"] for bot in cast.globex_manages.get("/bots").body["bots"]] == ["client_globex"]
    assert cast.globex_manages.get("/bots?account=client_acme").body["bots"] == []
    assert cast.globex_manages.get(f"/clients/by-wallet/{EVM}").status == 404
    assert cast.acme_bot_pings.get("/bots").status == 403


def test_a_foreign_host_is_refused_on_both_ways(cast: Cast, ways: tuple[Any, Any]) -> None:
    environ = environ_of("GET", "/bots", None, {"HTTP_AUTHORIZATION": f"Bearer {cast.operator.key}"})
    with override_settings(ALLOWED_HOSTS=["bridge.example"]):
        assert [ask(way, dict(environ))[0] for way in ways] == ["400 Bad Request"] * 2


def test_only_keys_on_api_paths_go_the_short_way() -> None:
    for path, header, short in (
        ("/bots", "Bearer tbo_x", True), ("/clients/create", "Bearer tbc_x", True), ("/admin/", "Bearer tbo_x", False),
        ("/bots", "Basic x", False), ("/bots", "", False), ("/static/x", "Bearer tbo_x", False),
        ("/ping/tbp_x", "", True), ("/ping/tbp_x/fail", "", True), ("/ping/x", "", False), ("/pings/tbp_x", "", False),
    ):  # fmt: skip
        assert is_keyed({"PATH_INFO": path, "HTTP_AUTHORIZATION": header}) is short
