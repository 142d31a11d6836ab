"""Each kind of channel against the real other side: a web server, a mail server, a service that apprise knows."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import logging
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from alerts.gateways.apprise import AppriseGateway, is_apprise_address
from alerts.gateways.email import EmailGateway, MailServer
from alerts.gateways.message import Message
from alerts.gateways.webhook import WebhookGateway, sign
from alerts.rules.words import MessageKind, Severity
from bridge_project.up.urls import mail_config
from ground.errors import BadCredentials, GatewayError, RateLimited, Rejected, Unavailable, UnknownOutcome
from ground.scope import system_scope
from tests.alerts.mailboxes import mail_server
from tests.alerts.receivers import KEY, Receiver, documented, receiver, wait_until

SECRET = "secret-part"  # stands in every address used here
MESSAGE = Message(
    delivery_id=UUID("7d3c9a52-7c4d-4b7e-9b63-0d0f9d6f3a11"),
    incident_id=UUID("11111111-2222-4333-8444-555555555555"),
    kind=MessageKind.OPENED,
    severity=Severity.CRITICAL,
    title="acme's maker stopped – out of USDT",
    body="It trades BTC/USDT on kucoin.\nIts last trade was 40 min ago.",
    payload={"event": "opened", "title": "acme's maker stopped – out of USDT"},
)


@pytest.fixture
def web() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def webhook(url: str, *, timeout_s: float = 5, now: dt.datetime | None = None) -> WebhookGateway:
    return WebhookGateway(url, KEY, clock=lambda: now or timezone.now(), timeout_s=timeout_s)


# -- the signed webhook -----------------------------------------------------------------------------------------------


def test_receiver_accepts_what_we_signed_and_nothing_that_was_changed(web: Receiver) -> None:
    webhook(web.url).send(MESSAGE)
    (request,) = web.requests
    assert documented.verify_webhook(request.headers, request.body, KEY) == str(MESSAGE.delivery_id)
    assert json.loads(request.body) == MESSAGE.payload and request.headers["Content-Type"] == "application/json"
    headers = dict(request.headers.items())
    for changed, body, key in (
        ({}, request.body + b" ", KEY),
        ({}, request.body, "another key"),
        ({"Bridge-Delivery": str(uuid4())}, request.body, KEY),
        ({"Bridge-Timestamp": str(int(headers["Bridge-Timestamp"]) + 1)}, request.body, KEY),
        ({"Bridge-Signature": "v1=" + "0" * 64}, request.body, KEY),
        ({"Bridge-Signature": "v1=ä"}, request.body, KEY),
        ({"Bridge-Signature": ""}, request.body, KEY),
        ({"Bridge-Timestamp": "soon"}, request.body, KEY),
        ({"Bridge-Timestamp": "²"}, request.body, KEY),
        ({"Bridge-Timestamp": "9" * 5000}, request.body, KEY),
    ):
        with pytest.raises(documented.Refused):
            documented.verify_webhook(headers | changed, body, key)
    both = {"Bridge-Signature": "v1=" + "0" * 64 + ", " + headers["Bridge-Signature"]}
    assert documented.verify_webhook(headers | both, request.body, KEY), "while a key is being changed there are two"


def test_receiver_refuses_what_is_played_back_after_five_minutes_and_drops_what_it_knows(web: Receiver) -> None:
    sent_at = timezone.now().replace(microsecond=0)
    webhook(web.url, now=sent_at).send(MESSAGE)
    (request,) = web.requests
    seen = documented.Seen()
    for seconds, is_taken in ((0, True), (299, True), (-299, True), (301, False), (-301, False), (86400, False)):
        arrives = sent_at.timestamp() + seconds
        if is_taken:
            delivery = documented.verify_webhook(request.headers, request.body, KEY, now=arrives)
            assert seen.is_new(delivery) == (seconds == 0)
        else:
            with pytest.raises(documented.Refused, match="clocks"):
                documented.verify_webhook(request.headers, request.body, KEY, now=arrives)


@given(body=st.binary(max_size=200), key=st.text(min_size=1).filter(lambda k: k.isprintable()))
def test_any_body_and_key_are_signed_and_verified_alike(body: bytes, key: str) -> None:
    delivery = str(MESSAGE.delivery_id)
    headers = {"Bridge-Timestamp": "1000", "Bridge-Delivery": delivery}
    headers["Bridge-Signature"] = sign(timestamp="1000", delivery_id=delivery, body=body, signing_key=key)
    assert documented.verify_webhook(headers, body, key, now=1000) == delivery


def test_documented_receiver_runs_as_it_is(web: Receiver) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-I", documented.__file__, str(port)],
        env={"BRIDGE_SIGNING_KEY": KEY}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        wait_until(lambda: _listens(port))
        for _ in range(2):
            webhook(f"http://127.0.0.1:{port}/").send(MESSAGE)
        with pytest.raises(Rejected):
            WebhookGateway(f"http://127.0.0.1:{port}/", "another", clock=timezone.now).send(MESSAGE)
    finally:
        process.terminate()
        printed, _ = process.communicate()
    assert printed.count('"event": "opened"') == 1, "the repetition was dropped"


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (500, Unavailable, "HTTP 500"), (503, Unavailable, "HTTP 503"), (429, RateLimited, "fewer messages"),
        (401, BadCredentials, "refused us"), (403, BadCredentials, "refused us"), (404, Rejected, "HTTP 404"),
        (302, Rejected, "redirect"), (308, Rejected, "redirect"), (304, Rejected, "redirect"),
    ],
)  # fmt: skip
def test_each_answer_of_a_webhook_has_its_name_and_redirects_are_not_followed(
    web: Receiver, status: int, error: type[GatewayError], says: str
) -> None:
    web.answer = lambda request: (status, {"Retry-After": "70", "Location": web.url + "/elsewhere"})
    with pytest.raises(error, match=says) as raised:
        webhook(web.url).send(MESSAGE)
    assert len(web.requests) == 1
    assert _chain(raised.value).count(SECRET) == 0
    if error is RateLimited:
        assert raised.value.retry_after_s == 70


@pytest.mark.parametrize(
    ("url", "error"),
    [
        (f"http://127.0.0.1:1/{SECRET}", Unavailable), (f"http://no-such-host.invalid/{SECRET}", Unavailable),
        (f"ftp://127.0.0.1/{SECRET}", Rejected), (f"http://[::1/{SECRET}", Rejected),
        (f"http://127.0.0.1:99999/{SECRET}", Rejected), (f"{SECRET}", Rejected),
    ],
)  # fmt: skip
def test_addresses_that_lead_nowhere_are_errors_without_the_address(url: str, error: type[GatewayError]) -> None:
    with pytest.raises(error) as raised:
        webhook(url).send(MESSAGE)
    assert SECRET not in _chain(raised.value)


def test_lost_and_dripping_answers_may_have_been_taken() -> None:
    for answers in ([], [b"HTTP/1.1 2"], [b"H"] * 1000):
        with _raw_server(answers) as url, pytest.raises(UnknownOutcome) as raised:
            webhook(url, timeout_s=0.6).send(MESSAGE)
        assert SECRET not in _chain(raised.value)


def test_endless_answer_is_not_read() -> None:
    with _raw_server([b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", *[b"x" * 100_000] * 1000]) as url:
        webhook(url).send(MESSAGE)


def test_untrusted_certificate_ends_the_sending(tmp_path: Path) -> None:
    context, _ = _certificate(tmp_path)
    with _raw_server([b"HTTP/1.1 200 OK\r\n\r\n"], context) as url, pytest.raises(Unavailable, match="certificate"):
        webhook(url).send(MESSAGE)


def test_nothing_is_sent_while_a_transaction_is_open(database: None, web: Receiver) -> None:
    for gateway in (webhook(web.url), AppriseGateway(_json(web)), EmailGateway("a@b.example", _server(1))):
        with system_scope("tests").transaction(), pytest.raises(RuntimeError, match="transaction"):
            gateway.send(MESSAGE)
    assert web.requests == []


# -- apprise ----------------------------------------------------------------------------------------------------------


def test_apprise_carries_title_text_and_how_bad_it_is(web: Receiver) -> None:
    AppriseGateway(_json(web)).send(MESSAGE)
    AppriseGateway(_json(web)).send(replace(MESSAGE, kind=MessageKind.RESOLVED))
    AppriseGateway(f"ntfy://{web.url.partition('://')[2].partition('/')[0]}/topic-{SECRET}").send(MESSAGE)
    first, second, third = (json.loads(body) for body in web.bodies())
    assert (first["title"], first["message"], first["type"]) == (MESSAGE.title, MESSAGE.body, "failure")
    assert second["type"] == "success"
    assert (third["topic"], third["title"]) == (f"topic-{SECRET}", MESSAGE.title)


@pytest.mark.parametrize(
    ("status", "error"),
    [(500, Unavailable), (429, RateLimited), (401, BadCredentials), (404, Rejected), (302, Rejected)],
)
def test_apprise_repeats_nothing_and_calls_no_failure_a_success(
    web: Receiver, status: int, error: type[GatewayError], caplog: pytest.LogCaptureFixture
) -> None:
    web.answer = lambda request: (status, {"Location": web.url + "/elsewhere"})
    caplog.set_level(logging.DEBUG)
    with pytest.raises(error, match=str(status)) as raised:
        AppriseGateway(_json(web) + "?retry=3&wait=0&optional=yes&redirect=yes").send(MESSAGE)
    assert len(web.requests) == 1
    assert SECRET not in _chain(raised.value) + caplog.text and "127.0.0.1" not in caplog.text.replace("urllib3", "")


def test_apprise_that_gets_no_answer_may_have_been_taken(web: Receiver) -> None:
    done = threading.Event()
    web.answer = lambda request: (200 if done.wait(20) else 500, {})
    with pytest.raises(UnknownOutcome) as raised:
        AppriseGateway(_json(web), timeout_s=0.5).send(MESSAGE)
    done.set()
    assert SECRET not in _chain(raised.value)


def test_apprise_knows_which_addresses_it_can_use() -> None:
    assert is_apprise_address(f"json://127.0.0.1/{SECRET}") and is_apprise_address(
        "tgram://123456789:abcdefg_hij/-100/"
    )
    for bad in ("", "nothing", f"nosuch://{SECRET}", "https://example.com/x", "tgram://x"):
        assert not is_apprise_address(bad)
        with pytest.raises(Rejected) as raised:
            AppriseGateway(bad).send(MESSAGE)
        assert SECRET not in _chain(raised.value)


# -- e-mail -----------------------------------------------------------------------------------------------------------


def test_mail_arrives_whole_and_with_the_same_id_when_it_is_sent_again() -> None:
    with mail_server() as (box, port):
        gateway = EmailGateway("ops@acme.example, night shift <night@acme.example>", _server(port))
        for message in (MESSAGE, replace(MESSAGE, title="two\r\nBcc: lines@evil.example\x00")):
            assert gateway.send(message) == ""
    sender, recipients, raw = box.taken[0]
    assert (sender, recipients) == ("bridge@acme.example", ["ops@acme.example", "night@acme.example"])
    mail = message_from_bytes(raw, policy=policy.default)
    assert mail["Subject"] == MESSAGE.title and mail.get_content().strip().splitlines() == MESSAGE.body.splitlines()
    assert mail["Message-ID"] == f"<{MESSAGE.delivery_id}@bridge>" == message_from_bytes(box.taken[1][2])["Message-ID"]
    assert mail["References"] == f"<incident-{MESSAGE.incident_id}@bridge>" and mail["X-Priority"] == "1"
    assert mail["Auto-Submitted"] == "auto-generated" and mail["From"] == "Trading Bridge <bridge@acme.example>"
    second = message_from_bytes(box.taken[1][2])
    assert second["Subject"] == "two Bcc: lines@evil.example" and second["Bcc"] is None


def test_mail_that_one_of_two_addresses_refuses_is_sent_and_says_so() -> None:
    with mail_server() as (box, port):
        box.refused = {"gone@acme.example": "550 no such user gone@acme.example"}
        remark = EmailGateway("ops@acme.example,gone@acme.example", _server(port)).send(MESSAGE)
    assert remark == "1 of 2 addresses were refused by the mail server." and box.taken[0][1] == ["ops@acme.example"]


@pytest.mark.parametrize(
    ("refused", "answer", "error", "says"),
    [
        ("550 who?", "250 OK", Rejected, r"every address \(550\)"), ("450 later", "250 OK", RateLimited, "not take"),
        ("", "554 spam", Rejected, r"the message \(554\)"), ("", "451 later", RateLimited, "not take the message now"),
    ],
)  # fmt: skip
def test_each_refusal_of_a_mail_server_has_its_name(
    refused: str, answer: str, error: type[GatewayError], says: str
) -> None:
    with mail_server() as (box, port):
        box.answer = answer
        box.refused = {f"{SECRET}@acme.example": f"{refused} {SECRET}"} if refused else {}
        with pytest.raises(error, match=says) as raised:
            EmailGateway(f"{SECRET}@acme.example", _server(port)).send(MESSAGE)
    assert SECRET not in _chain(raised.value) and box.taken == []


def test_mail_server_that_is_away_silent_or_unknown_is_an_error_without_secrets() -> None:
    gateways: list[tuple[EmailGateway, type[GatewayError], str]] = [
        (EmailGateway("a@b.example", None), Unavailable, "EMAIL_URL"),
        (EmailGateway("a@b.example", _server(1)), Unavailable, "cannot be reached"),
        (EmailGateway("a@b.example\r\nBcc: x@y.example", _server(1)), Rejected, "addresses"),
    ]
    for gateway, error, says in gateways:
        with pytest.raises(error, match=says):
            gateway.send(MESSAGE)
    with _raw_server([b"2"] * 1000) as url:
        dripping = _server(int(url.rpartition(":")[2].partition("/")[0]))
        with pytest.raises(UnknownOutcome):
            EmailGateway("a@b.example", dripping, timeout_s=0.6).send(MESSAGE)


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_mail_server_gets_the_password_only_through_trusted_encryption(
    security: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = _certificate(tmp_path)
    with mail_server(security, context) as (box, port):
        server = replace(_server(port), security=security, user="bridge", password="right " + SECRET)
        with pytest.raises(Unavailable, match="certificate"):
            EmailGateway("a@b.example", server).send(MESSAGE)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        EmailGateway("a@b.example", server).send(MESSAGE)
        assert len(box.taken) == 1
        with pytest.raises(BadCredentials, match="EMAIL_URL") as raised:
            EmailGateway("a@b.example", replace(server, password="wrong " + SECRET)).send(MESSAGE)
        assert SECRET not in _chain(raised.value) + repr(server)
    with mail_server() as (box, port), pytest.raises(Rejected, match="encryption"):
        EmailGateway("a@b.example", replace(server, port=port, security="starttls")).send(MESSAGE)


def test_mail_address_of_the_installation_is_read_or_refused_without_its_password() -> None:
    assert mail_config("smtp+tls://us%40er:p%2Fw@mail.example.com") == {
        "EMAIL_HOST": "mail.example.com", "EMAIL_PORT": 587, "EMAIL_HOST_USER": "us@er", "EMAIL_HOST_PASSWORD": "p/w",
        "EMAIL_USE_SSL": False, "EMAIL_USE_TLS": True,
    }  # fmt: skip
    assert mail_config("smtps://mail.example.com:1465")["EMAIL_PORT"] == 1465
    assert mail_config("smtp://relay")["EMAIL_PORT"] == 25
    for bad in (
        "smtp://u:hidden@h",
        "http://u:hidden@h",
        "smtps://u:hidden@",
        "smtps://u:hidden@h/x",
        "smtps://h:hidden",
    ):
        with pytest.raises(ValueError) as refused:
            mail_config(bad)
        assert "hidden" not in str(refused.value)


# -- helpers ----------------------------------------------------------------------------------------------------------


def _chain(error: BaseException | None) -> str:
    """Everything that a log would print of an error."""
    said = ""
    while error is not None:
        said += f"{error!r} {error}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return said


def _json(web: Receiver) -> str:
    return "json" + web.url.removeprefix("http")


def _server(port: int) -> MailServer:
    return MailServer("127.0.0.1", port, "none", "Trading Bridge <bridge@acme.example>")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _raw_server(answers: list[bytes], context: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that reads a request and answers with these pieces, a little apart from each other; then it hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        try:
            connection, _ = listening.accept()
            if context:
                connection = context.wrap_socket(connection, server_side=True)
            with connection:
                if not answers or answers[0][:1] == b"H":
                    connection.recv(65536)
                for piece in answers:
                    connection.sendall(piece)
                    if stop.wait(0.05 if len(piece) < 50 else 0):
                        break
        except OSError:
            pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        scheme = "https" if context else "http"
        yield f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/{SECRET}"
    finally:
        stop.set()
        listening.close()
        thread.join(5)


def _certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate for 127.0.0.1, and the file of the one who vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context, folder / "certificate.pem"
