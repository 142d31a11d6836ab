"""The sandbox's Hummingbot API against the recorded one: its paths, schemas, and every example of these routers."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import jsonschema
import pytest

from sandbox.hummingbot.api import ROUTES
from sandbox.testing import Sandbox, start
from tests.sandbox import recordings, scenarios

pytestmark = pytest.mark.skipif(not recordings.CONTRACT.exists(), reason=recordings.ABSENT)

# What nothing here plays, and one recording that is of a process that did not start.
_NOT_PLAYED = (
    "archived-bots.orders", "archived-bots.performance", "archived-bots.status", "portfolio.", "trading.", "api.",
)  # fmt: skip
PLAYED = [name for name in recordings.names() if not name.startswith(_NOT_PLAYED)]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Time passes only when a scenario says so."""
    with start(speed=0.001) as running:
        yield running


def _send(sandbox: Sandbox, request: dict[str, Any]) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Raw, so that an encoded slash in a path arrives as it was recorded."""
    address = urlsplit(sandbox.hummingbot_url)
    query = urlencode(request["query"] or {})
    passwords = {"basic (valid)": "admin", "basic (wrong password)": "wrong"}
    headers = {"Content-Type": "application/json"}
    if request["auth"] in passwords:
        login = base64.b64encode(f"admin:{passwords[request['auth']]}".encode()).decode()
        headers["Authorization"] = f"Basic {login}"
    body = None if request["body"] is None else json.dumps(request["body"])
    connection = http.client.HTTPConnection(address.netloc, timeout=10)
    connection.request(
        request["method"], f"{address.path}{request['path']}{'?' + query if query else ''}", body, headers
    )
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    return reply.status, reply.headers, content


def _schema(document: dict[str, Any], method: str, path: str, status: int) -> dict[str, Any] | None:
    """Of the answer that the matching operation documents for this status."""
    for route in ROUTES.all:
        if route.method == method and route.pattern.match(path):
            answers = document["paths"][route.template][method.lower()]["responses"]
            content = answers.get(str(status), {}).get("content", {})
            found: dict[str, Any] | None = content.get("application/json", {}).get("schema")
            return found
    return None


def test_every_route_is_in_the_recorded_openapi_document() -> None:
    paths = recordings.openapi()["paths"]
    assert [r for r in ROUTES.all if r.method.lower() not in paths.get(r.template, {})] == []


def test_every_router_of_the_examples_is_played() -> None:
    routers = {name.split(".")[0] for name in PLAYED}
    assert routers == {
        "accounts",
        "archived-bots",
        "bot-orchestration",
        "connectors",
        "controllers",
        "docker",
        "error",
        "root",
        "scripts",
    }


@pytest.mark.parametrize("name", PLAYED)
def test_answers_as_recorded(sandbox: Sandbox, name: str) -> None:
    recorded = recordings.example(name)
    request = scenarios.request(name, scenarios.prepare(sandbox, name))
    status, headers, content = _send(sandbox, request)

    assert (status, headers["Content-Type"]) == (recorded["status"], recorded["headers"]["content-type"])
    for header in set(recorded["headers"]) - {"content-type"}:
        assert headers[header] == recorded["headers"][header]
    if isinstance(recorded["body"], str):
        assert content.decode() == recorded["body"]
        return
    assert recordings.differences(recorded["body"], json.loads(content)) == []
    document = recordings.openapi()
    if schema := _schema(document, request["method"], request["path"], status):
        jsonschema.validate(json.loads(content), schema | {"components": document["components"]})


# What these words of a status mean, bot by bot: a shape alone would not notice a wrong word.
_WORDS = [name for name in PLAYED if name.startswith(("bot-orchestration.status.", "bot-orchestration.bot-status."))]


@pytest.mark.parametrize("name", _WORDS)
def test_says_the_recorded_words_about_a_bot(sandbox: Sandbox, name: str) -> None:
    request = scenarios.request(name, scenarios.prepare(sandbox, name))
    _, _, content = _send(sandbox, request)
    assert _words(json.loads(content)["data"]) == _words(recordings.example(name)["body"]["data"])


def _words(data: dict[str, Any]) -> dict[str, Any]:
    """Status, activity and source of one bot, or of each."""
    if "status" in data:
        return {key: data[key] for key in ("status", "recently_active", "source", "error") if key in data}
    return {bot: _words(fields) for bot, fields in data.items()}


# Recorded sentences that hold no name, number or address of the machine they were recorded on.
_SENTENCES = [name for name in PLAYED if name.startswith(("accounts.", "controllers.", "scripts.", "error.", "root"))]


@pytest.mark.parametrize("name", _SENTENCES)
def test_uses_the_recorded_sentences(sandbox: Sandbox, name: str) -> None:
    request = scenarios.request(name, scenarios.prepare(sandbox, name))
    _, _, content = _send(sandbox, request)
    assert json.loads(content) == recordings.example(name)["body"]
