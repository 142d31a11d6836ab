"""Asking models over the libraries' own clients and real HTTP: what goes out, what comes back, and every way it can fail."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from arena.gateways import wire
from arena.gateways.ask import ask, hear, read_answer
from arena.rules.provider_addresses import check_base_url, is_public
from arena.rules.statuses import ProviderKind
from arena.types_models import Finish, Heard, ModelAnswer, ModelRequest, ProviderAccess, Step, Tool, ToolResult
from ground.errors import BadCredentials, GatewayError, RateLimited, Rejected, Unavailable, UnknownOutcome
from sandbox.testing import Sandbox, start

KEY = "sk-planted-SECRET-0123456789abcdef"
PROMPT = "Market data:\nBTC/USDT 61000 (+1.2%)\nETH/USDT 3050 (-2.0%)"
KINDS = list(ProviderKind)
PLACES = {
    ProviderKind.OPENAI: ("openai/v1", "gpt-4o-mini", "openai_chat_completions"),
    ProviderKind.OPENAI_COMPATIBLE: ("openai/v1", "deepseek-chat", "openai_chat_completions"),
    ProviderKind.ANTHROPIC: ("anthropic", "claude-sonnet-4-6", "anthropic_messages"),
    ProviderKind.GOOGLE: ("google", "gemini-3-flash", "google_generate_content"),
}
RSI = Tool(
    "rsi",
    "Relative strength.",
    {
        "type": "object",
        "properties": {"symbol": {"type": "string"}, "period": {"type": "integer", "minimum": 2}},
        "required": ["symbol", "period"],
        "additionalProperties": False,
    },
)
ASKED = ModelRequest(system="You trade.", user=PROMPT, max_output_tokens=900)


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with start() as sandbox:
        yield sandbox


@pytest.fixture
def models(running: Sandbox) -> Sandbox:
    running.clear_faults()
    running.control("DELETE", "/model/script")
    running.control("DELETE", "/model/calls")
    running.control("DELETE", "/calls")
    running.add_model_key(KEY)
    return running


def access(sandbox: Sandbox, kind: ProviderKind, **fields: Any) -> ProviderAccess:
    path, model, _ = PLACES[kind]
    given = {"model": model, "api_key": KEY, "base_url": f"{sandbox.model_base}/{path}", "is_trusted": True}
    return ProviderAccess(name="House model", kind=kind, **{**given, "max_attempts": 2, **fields})


def asked_times(sandbox: Sandbox) -> int:
    return len(sandbox.calls(system="model"))


def broken_rules(kind: ProviderKind, request: Any) -> list[str]:
    schema = json.loads((Path(__file__).parent / "schemas" / f"{PLACES[kind][2]}.json").read_text())
    Draft202012Validator.check_schema(schema)
    return [error.message for error in Draft202012Validator(schema).iter_errors(request)]


# What goes out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "request_",
    [
        ASKED,
        ModelRequest(system="", user=PROMPT, temperature=Decimal("0.7")),
        ModelRequest(system="You trade.", user="Äöü 行情 \U0001f680 {{x}}", tools=(RSI,), temperature=Decimal(0)),
    ],
    ids=["plain", "warm", "tools"],
)
def test_writes_requests_as_the_provider_publishes_them(
    models: Sandbox, kind: ProviderKind, request_: ModelRequest
) -> None:
    answer = ask(access(models, kind), request_, timeout_s=30)
    assert answer.error is None
    [call] = models.model_calls()
    assert broken_rules(kind, call["request"]) == []
    assert request_.user in [text for _, text in call["turns"]]
    assert ("system", "You trade.") in map(tuple, call["turns"]) or not request_.system


@pytest.mark.parametrize("kind", KINDS)
def test_brings_results_of_tools_back_until_the_model_decides(models: Sandbox, kind: ProviderKind) -> None:
    models.script_model(
        {"text": "First the figures.", "calls": [{"name": "rsi", "arguments": {"symbol": s, "period": 14}} for s in "ab"]},
        {"calls": [{"name": "rsi", "arguments": {"symbol": "c", "period": 7}}]},
        '[{"action": "HOLD"}]',
    )  # fmt: skip
    steps: tuple[Step, ...] = ()
    answers = []
    for _ in range(3):
        asked = ModelRequest(system="You trade.", user=PROMPT, tools=(RSI,), steps=steps)
        answer = ask(access(models, kind), asked, timeout_s=30)
        answers.append(answer)
        results = tuple(ToolResult(one.id, one.name, f'{{"rsi": "of {one.arguments}"}}') for one in answer.tool_calls)
        steps = (*steps, Step(answer.said, results))
    assert [answer.finish for answer in answers] == [Finish.TOOLS, Finish.TOOLS, Finish.STOP]
    assert [len(answer.tool_calls) for answer in answers] == [2, 1, 0]
    assert json.loads(answers[0].tool_calls[1].arguments) == {"symbol": "b", "period": 14}
    assert (answers[0].text, answers[2].text) == ("First the figures.", '[{"action": "HOLD"}]')
    last = models.model_calls()[-1]
    assert broken_rules(kind, last["request"]) == []
    assert sum(role == "tool" for role, _ in last["turns"]) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_refuse_what_is_not_published(kind: ProviderKind) -> None:
    assert broken_rules(kind, {})
    assert broken_rules(kind, {"messages": [], "contents": [], "model": "m", "max_tokens": 1, "made_up": 1})


# What comes back


@pytest.mark.parametrize("kind", KINDS)
def test_hands_back_the_raw_words_before_anything_reads_them(models: Sandbox, kind: ProviderKind) -> None:
    kept: list[Heard] = []
    models.script_model({"text": "[]", "usage": [123, 45], "model_said": f"{PLACES[kind][1]}-0613"})
    answer = ask(access(models, kind), ASKED, timeout_s=30, keep=kept.append)
    assert kept == [answer.heard]
    assert (answer.heard.status, answer.heard.attempts, answer.heard.may_have_cost) == (200, 1, True)
    assert (answer.text, answer.finish, answer.error) == ("[]", Finish.STOP, None)
    assert (answer.input_tokens, answer.output_tokens) == (123, 45)
    assert answer.model == f"{PLACES[kind][1]}-0613"
    assert json.loads(answer.heard.reply or "")
    again = read_answer(access(models, kind), ASKED, answer.heard)
    assert replace(again, said="") == replace(answer, said="")
    assert asked_times(models) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fault", "finish"), [("truncated", Finish.LENGTH), ("refuses", Finish.REFUSED)])
def test_tells_why_a_model_stopped(models: Sandbox, kind: ProviderKind, fault: str, finish: Finish) -> None:
    models.fault("model:all", fault)
    answer = ask(access(models, kind), ASKED, timeout_s=30)
    assert (answer.finish, answer.error) == (finish, None)
    assert answer.input_tokens
    assert answer.output_tokens


def test_reads_no_usage_where_none_is_told(models: Sandbox) -> None:
    """Many compatible servers leave it away; nothing is made up then."""
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "[]"}}]}  # fmt: skip
    models.script_model({"body": json.dumps(body)})
    answer = ask(access(models, ProviderKind.OPENAI_COMPATIBLE), ASKED, timeout_s=30)
    assert (answer.text, answer.input_tokens, answer.output_tokens, answer.error) == ("[]", None, None, None)


def test_words_that_no_database_holds_are_made_storable(models: Sandbox) -> None:
    def say(content: str) -> ModelAnswer:
        message = {"role": "assistant", "content": content}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m\x00", "choices": [choice]}
        models.script_model({"body": json.dumps(body)})
        return ask(access(models, ProviderKind.OPENAI_COMPATIBLE), ASKED, timeout_s=30)

    answer = say("a\x00b")
    assert (answer.text, answer.model, answer.error) == ("a\ufffdb", "m", None)
    half = say("half \ud83d of a pair")  # the library may refuse it; whatever is handed back can be stored
    assert (half.text + half.said + (half.heard.reply or "")).encode()


@pytest.mark.parametrize(
    "body", ["[" * 100_000, '{"choices": ' + "[" * 100_000, '{"choices": [1]}', '{"choices": null}', "[]", "null", "{}"]
)
def test_answers_of_any_shape_are_unreadable_and_nothing_worse(models: Sandbox, body: str) -> None:
    for kind in KINDS:
        models.script_model({"body": body})
        answer = ask(access(models, kind), ASKED, timeout_s=30)
        assert isinstance(answer.error, Unavailable) or (answer.text, answer.tool_calls) == ("", ())
        assert answer.heard.may_have_cost


# What fails: (fault, its options, the error, whether it may have cost something, requests that went out)

FAULTS = [
    ("rate_limit", {"retry_after_s": 900}, RateLimited, False, 1),
    ("server_error", {}, Unavailable, False, 2),
    ("overloaded", {}, Unavailable, False, 2),
    ("no_money", {}, Rejected, False, 1),
    ("html", {}, Unavailable, True, 1),
    ("html", {"status": 502}, Unavailable, False, 2),
    ("empty", {}, Unavailable, True, 1),
    ("garbage", {}, Unavailable, True, 1),
    ("cut", {}, Unavailable, True, 1),
    ("cut_connection", {}, UnknownOutcome, True, 1),
    ("drop", {}, UnknownOutcome, True, 1),
    ("lost_answer", {}, UnknownOutcome, True, 1),
    ("redirect", {}, Rejected, False, 1),
    ("giant", {}, Unavailable, True, 1),
]


@pytest.mark.parametrize("kind", [ProviderKind.OPENAI, ProviderKind.ANTHROPIC, ProviderKind.GOOGLE])
@pytest.mark.parametrize(("fault", "options", "error", "cost", "times"), FAULTS)
def test_names_each_failure_and_repeats_only_what_was_not_done(
    models: Sandbox, kind: ProviderKind, fault: str, options: dict[str, Any], error: type, cost: bool, times: int
) -> None:
    models.fault("model:all", fault, **options)
    answer = ask(access(models, kind), ASKED, timeout_s=30)
    assert type(answer.error) is error
    assert answer.heard.may_have_cost is cost
    assert (asked_times(models), answer.heard.attempts) == (times, times)
    assert (answer.text, answer.tool_calls) == ("", ())
    if fault not in ("drop", "lost_answer"):
        assert answer.heard.reply is not None
        assert len(answer.heard.reply) <= wire.MAX_REPLY_BYTES
        assert "\x00" not in answer.heard.reply
    with pytest.raises(GatewayError):
        answer.raise_for_error()


@pytest.mark.parametrize("kind", [ProviderKind.ANTHROPIC, ProviderKind.GOOGLE])
@pytest.mark.parametrize(("fault", "options"), [("rate_limit", {"retry_after_s": 1}), ("server_error", {})])
def test_asks_again_when_the_trouble_passes(
    models: Sandbox, kind: ProviderKind, fault: str, options: dict[str, Any]
) -> None:
    models.fault("model:all", fault, count=1, **options)
    answer = ask(access(models, kind), ASKED, timeout_s=30)
    assert (answer.error, answer.heard.attempts, asked_times(models)) == (None, 2, 2)


def test_does_not_ask_again_when_the_wait_is_longer_than_its_time(models: Sandbox) -> None:
    models.fault("model:google", "rate_limit", count=1, retry_after_s=20)
    answer = ask(access(models, ProviderKind.GOOGLE), ASKED, timeout_s=5)
    assert isinstance(answer.error, RateLimited)
    assert answer.error.retry_after_s == 20
    assert asked_times(models) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_names_a_bad_key_and_an_unknown_model(models: Sandbox, kind: ProviderKind) -> None:
    assert isinstance(ask(access(models, kind, api_key="sk-wrong-key-1"), ASKED, timeout_s=30).error, BadCredentials)
    unknown = ask(access(models, kind, model="no-such-model"), ASKED, timeout_s=30).error
    assert isinstance(unknown, Rejected)
    assert "no-such-model" in unknown.message
    assert asked_times(models) == 2


def test_repeats_the_providers_words_for_a_refusal_on_one_line(models: Sandbox) -> None:
    models.set_model(context_tokens=5)
    refused = ask(access(models, ProviderKind.ANTHROPIC), ASKED, timeout_s=30).error
    models.set_model(context_tokens=200_000)
    assert isinstance(refused, Rejected)
    assert "prompt is too long" in refused.message


@pytest.mark.parametrize(("fault", "options"), [("latency", {"seconds": 3}), ("drip", {"seconds": 0.2})])
def test_ends_when_its_time_is_over_however_slowly_the_other_side_drips(
    models: Sandbox, fault: str, options: dict[str, Any]
) -> None:
    ask(access(models, ProviderKind.OPENAI), ASKED, timeout_s=30)  # the library is loaded, the rest is waiting
    models.fault("model:all", fault, **options)
    answer = ask(access(models, ProviderKind.OPENAI), ASKED, timeout_s=1)
    assert isinstance(answer.error, UnknownOutcome)
    assert "time" in answer.error.message or "too long" in answer.error.message
    assert answer.heard.attempts == 1


def test_nothing_listens(models: Sandbox) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else gets the port meanwhile
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        answer = ask(access(models, ProviderKind.OPENAI, base_url=address), ASKED, timeout_s=10)
    assert isinstance(answer.error, Unavailable)
    assert (answer.heard.reply, answer.heard.may_have_cost, answer.heard.attempts) == (None, False, 2)


# Secrets


@pytest.mark.parametrize("kind", KINDS)
def test_no_key_in_errors_replies_or_logs(
    models: Sandbox, kind: ProviderKind, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    heard: list[ModelAnswer] = []
    echoes = {"error": {"message": f"Bad key {KEY} at https://x/?key={KEY}", "type": "x"}}
    for reply in (
        {"body": json.dumps(echoes), "status": 400},
        {"body": json.dumps(echoes), "status": 401},
        {"body": f"<html>{KEY}</html>", "content_type": "text/html"},
        {"text": f"my key is {KEY}"},
    ):
        models.script_model(reply)
        heard.append(ask(access(models, kind), ASKED, timeout_s=30))
    models.fault("model:all", "cut_connection")
    heard.append(ask(access(models, kind), ASKED, timeout_s=30))
    for answer in heard:
        told = f"{answer!r} {answer.heard.reply} {answer.said} {answer.error} {getattr(answer.error, '__dict__', '')}"
        assert "SECRET" not in told
        assert answer.error is None or answer.error.__cause__ is None
    assert "SECRET" not in caplog.text + repr(access(models, kind))


def test_sends_no_header_that_tells_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-the-shell")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-of-the-shell")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with listener() as (url, requests):
        for kind in KINDS:
            hear(ProviderAccess("x", kind, PLACES[kind][1], KEY, url, is_trusted=True), ASKED, timeout_s=10)
        hear(ProviderAccess("x", ProviderKind.OPENAI_COMPATIBLE, "m", "", url, is_trusted=True), ASKED, timeout_s=10)
    names = {name.lower() for headers in requests for name in headers}
    assert names <= {
        "host", "accept", "content-type", "content-length", "authorization", "x-api-key", "x-goog-api-key",
        "anthropic-version", "accept-encoding", "connection", "user-agent",
    }  # fmt: skip
    assert all(KEY in str(headers) for headers in requests[:4])
    assert "of-the-shell" not in str(requests)
    assert "authorization" not in {name.lower() for name in requests[4]}  # a server without keys gets none


# Addresses


@pytest.mark.parametrize(
    "address",
    [
        "http://api.example.com/v1", "https://localhost/v1", "https://127.0.0.1", "https://10.1.2.3/v1", "https://[::1]/v1",
        "https://169.254.169.254/latest", "https://[::ffff:10.0.0.1]", "https://[64:ff9b::a00:1]", "https://router",
        "https://db.internal", "https://printer.local/", "https://2130706433/", "https://0x7f.1/", "https://100.64.0.1",
        "https://user:pw@api.example.com", "https://api.example.com/v1?key=x", "ftp://api.example.com", "nonsense", "",
        "https://api.example.com/a b", "https://[bad", "https://0.0.0.0", "https://224.0.0.1",
    ],
)  # fmt: skip
def test_a_clients_address_must_be_public_and_encrypted(address: str) -> None:
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$") as refused:
        check_base_url(address, is_trusted=False)
    assert not address or address not in str(refused.value)


def test_accepts_public_addresses_of_clients_and_any_of_operators() -> None:
    assert check_base_url(" https://api.deepseek.com/v1/ ", is_trusted=False) == "https://api.deepseek.com/v1"
    assert check_base_url("https://1.1.1.1:8443", is_trusted=False) == "https://1.1.1.1:8443"
    assert check_base_url("http://10.0.0.5:11434/v1", is_trusted=True) == "http://10.0.0.5:11434/v1"
    assert [is_public(ip) for ip in ("2606:4700::1111", "fe80::1", "fd00::1", "::ffff:127.0.0.1", "8.8.8.8", "x")] == [
        True, False, False, False, True, False,
    ]  # fmt: skip


def test_a_public_name_that_leads_into_a_private_network_is_not_asked(models: Sandbox) -> None:
    """The name looks public; what counts is where it leads at the moment of asking, and only that is connected to."""
    with pytest.raises(wire.NoAddress) as refused:
        wire.resolve("https://localhost/v1", is_trusted=False, timeout_s=5)
    assert refused.value.is_private
    answer = ask(access(models, ProviderKind.OPENAI, is_trusted=False), ASKED, timeout_s=10)
    assert isinstance(answer.error, Rejected)
    assert asked_times(models) == 0


def test_a_certificate_nobody_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    with listener(certificate=self_signed(tmp_path)) as (url, requests):
        provider = ProviderAccess("x", ProviderKind.OPENAI, "gpt-4o", KEY, url, is_trusted=True)
        answer = ask(provider, ASKED, timeout_s=10)
    assert isinstance(answer.error, Unavailable)
    assert "certificate" in answer.error.message
    assert (requests, answer.heard.attempts) == ([], 1)


def listener(certificate: Path | None = None) -> Any:
    """A server that answers everything with 418: its address, and the headers that came."""
    import contextlib

    @contextlib.contextmanager
    def serve() -> Iterator[tuple[str, list[dict[str, str]]]]:
        seen: list[dict[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                seen.append(dict(self.headers.items()))
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(418)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"{'https' if certificate else 'http'}://localhost:{server.server_port}", seen
        finally:
            server.shutdown()
            server.server_close()

    return serve()


def self_signed(folder: Path) -> Path:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "server.pem"
    file.write_bytes(plain + made.public_bytes(serialization.Encoding.PEM))
    return file
