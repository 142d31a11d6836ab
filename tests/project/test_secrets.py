"""Secrets go in and never come out: marked ones are planted everywhere, and everything that can be read is searched."""

from __future__ import annotations

import base64
import io
import logging
import os
from typing import Any

import pytest
import redis
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.test import Client as HttpClient
from django.utils import timezone

from bots.gateways.hummingbot import HummingbotGateway
from bots.models import BotHealth
from bots.services.reconcile_bots import reconcile_due
from clients.models import Connector
from exchanges.gateways.pool import open_gateways
from ground.encrypted import _fernet
from health.services.run_checks import check_bots
from health.tasks import start_due_checks
from sandbox.testing import start
from tests.fixtures import Cast, make_bot

MARK = "PLANTED"
KEY, SECRET, MEMO = f"{MARK}-key-0123456789abcdef", f"{MARK}-secret-0123456789", f"{MARK}-memo-0123456789"
CREDENTIALS = {"api_key": KEY, "api_secret": SECRET, "memo": MEMO}


@pytest.fixture
def everything_logged() -> Any:
    """The product's own log configuration, at DEBUG, written into a buffer."""
    from bridge_project.logs import configure

    root = logging.getLogger()
    before, level = root.handlers, root.level
    configure({"level": "DEBUG"})
    buffer = io.StringIO()
    root.handlers[0].setStream(buffer)  # type: ignore[attr-defined]
    yield buffer
    root.handlers, _ = before, root.setLevel(level)


def test_no_planted_secret_is_found_anywhere(
    cast: Cast, broker: redis.Redis, everything_logged: io.StringIO, settings: Any
) -> None:
    answers: list[str] = []

    def ask(method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = cast.operator(method, path, body, **headers)
        answers.append(f"{answer.body}{dict(answer.headers)}")
        return answer

    with start() as sandbox:
        settings.HUMMINGBOT_API_URL = sandbox.hummingbot_url
        settings.HUMMINGBOT_API_USERNAME, settings.HUMMINGBOT_API_PASSWORD = "admin", "admin"
        sandbox.add_key("kucoin", KEY, SECRET, passphrase=MEMO)
        made = ask(
            "POST",
            "/clients/create",
            {"name": "Holder", "connectors": [{"name": "kucoin", **CREDENTIALS}]},
            **{"Idempotency-Key": "once"},
        )
        holder = made.body["id"]
        connector = made.body["connectors"][0]["id"]
        bots = [make_bot("client_holder", runtime_kind="hummingbot", pair="BTC/USDT"), make_bot("client_holder")]
        for bot in bots:
            ask("POST", f"/bots/{bot}/start")
        gateway = HummingbotGateway(sandbox.hummingbot_url, "admin", "admin")
        reconcile_due(gateway=gateway)
        BotHealth.objects.update(due_at=timezone.now())
        start_due_checks()  # puts its tasks into the broker, where nobody takes them
        pool = open_gateways({"kucoin": sandbox.exchange_base}, timeout_s=5)
        for fault in (None, "revoked", "html", "server_error", "rate_limit"):
            if fault:
                sandbox.fault("key:" + KEY if fault == "revoked" else "exchange:kucoin", fault)
            check_bots(bot_ids=bots, gateways=pool, clock=timezone.now)
            sandbox.clear_faults()
        for wrong in (
            {"api_key": KEY},
            {"api_key": [SECRET], "api_secret": SECRET},
            {**CREDENTIALS, "passphrase": SECRET},
            {**CREDENTIALS, "label": "x" * 99},
            {**CREDENTIALS, "name": "b@d"},
        ):
            ask("PUT", f"/clients/{holder}/connector", {"name": "kucoin", **wrong})
            ask("PUT", f"/clients/{holder}/connector/{connector}", wrong)
        for path in (
            "/clients",
            f"/clients/{holder}",
            "/bots",
            *(
                f"/bots/{b}{part}"
                for b in bots
                for part in ("", "/health", "/health/history", "/uptime", "/trades", "/stats", "/timeline")
            ),
            "/metrics",
            "/api/schema",
            "/health",
        ):
            ask("GET", path)
        ask("DELETE", f"/clients/{holder}/connector/{connector}")
        assert sandbox.tape(api_key=KEY) is not None

    logging.getLogger("bots").debug("this log is read")
    texts = {
        "answers": "\n".join(answers),
        "log": everything_logged.getvalue(),
        "database": _database(),
        "broker": _broker(broker),
        "admin": _admin_pages(),
    }
    for where, text in texts.items():
        assert len(text) > 200 or where == "log", where
    assert "this log is read" in texts["log"]
    for where, text in texts.items():
        for secret in (SECRET, MEMO, KEY, base64.b64encode(SECRET.encode()).decode()):
            assert secret not in text, f"{where}: {_around(text, secret)}"
        if where != "database":
            assert MARK not in text.replace("PLAN…cdef", ""), f"{where}: {_around(text, MARK)}"
    for token in (cast.operator.key, cast.acme_manages.key):
        assert all((token or "")[-30:] not in text for text in texts.values())


def test_rotation_re_encrypts_everything_and_the_old_key_is_no_longer_needed(
    cast: Cast, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    old = list(settings.ENCRYPTION_KEYS)
    new = base64.urlsafe_b64encode(os.urandom(32)).decode()
    settings.ENCRYPTION_KEYS = [new, *old]
    call_command("rotate_encryption_key")
    assert "2 connectors" in capsys.readouterr().out
    settings.ENCRYPTION_KEYS = [new]
    _fernet.cache_clear()
    opened = {c.api_secret.open() for c in Connector.objects.all()}
    assert opened == {"secret-of-acme", "secret-of-globex"}
    settings.ENCRYPTION_KEYS = old
    _fernet.cache_clear()


def _database() -> str:
    """Every row of every table as text."""
    parts = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            parts += [row[0] for row in cursor.fetchall()]
    return "\n".join(parts)


def _broker(broker: redis.Redis) -> str:
    """Every message that waits, decoded."""
    texts = []
    for key in broker.keys("*"):
        if broker.type(key) == b"list":
            for raw in broker.lrange(key, 0, -1):
                message = raw.decode(errors="replace")
                body = message.split('"body": "', 1)[-1].split('"', 1)[0]
                texts.append(message + base64.b64decode(body + "==").decode(errors="replace"))
    return "\n".join(texts)


def _admin_pages() -> str:
    """Every list and every change page of the admin."""
    user = get_user_model().objects.create_superuser("root", password="long enough for us")
    http = HttpClient()
    http.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    texts = []
    for model in admin.site._registry:
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        page = http.get(base)
        assert page.status_code in (200, 302, 403), (base, page.status_code)
        texts.append(page.content.decode())
        for row in model._default_manager.all()[:3]:
            texts.append(http.get(f"{base}{row.pk}/change/", follow=True).content.decode())
    return "\n".join(texts)


def _around(text: str, mark: str) -> str:
    at = text.find(mark)
    return text[max(0, at - 200) : at + 100]
