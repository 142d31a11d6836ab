"""From an incident to the message: what beat runs, on channels of every kind."""

from __future__ import annotations

import json
import logging
from email import message_from_bytes, policy
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from alerts import tasks
from alerts.models import AlertDelivery, AlertsSettings
from alerts.services.channels import create_channel
from alerts.services.incidents import raise_incident, resolve_incidents
from alerts.services.test_channel import send_test
from bridge_project.up.urls import mail_config
from tests.alerts.mailboxes import mail_server
from tests.alerts.receivers import documented, receiver
from tests.fixtures import OPERATOR


@pytest.fixture
def beat(monkeypatch: pytest.MonkeyPatch) -> Any:
    """One tick of the schedule, twice over: nothing may come of the second."""
    monkeypatch.setattr(tasks.send, "apply_async", lambda **options: None)  # here nobody works on the queue

    def tick() -> None:
        for _ in range(2):
            tasks.plan()
            tasks.send()

    return tick


def test_each_kind_of_channel_is_told_once_that_it_broke_and_once_that_it_is_mended(
    database: None, settings: Any, beat: Any
) -> None:
    with receiver() as web, mail_server() as (box, port):
        for name, value in mail_config(f"smtp://127.0.0.1:{port}").items():
            setattr(settings, name, value)
        settings.DEFAULT_FROM_EMAIL = "Trading Bridge <bridge@acme.example>"
        made = create_channel(scope=OPERATOR, name="hook", kind="webhook", address=web.url)
        create_channel(scope=OPERATOR, name="mail", kind="email", address="ops@acme.example")
        create_channel(scope=OPERATOR, name="chat", kind="apprise", address="json" + web.url.removeprefix("http"))
        raise_incident(scope=OPERATOR, kind="tested", key="1", title="It broke", now=timezone.now())
        beat()
        resolve_incidents(scope=OPERATOR, kind="tested", key="1", now=timezone.now(), resolution="It is mended")
        beat()
        signed = [request for request in web.requests if request.headers["Bridge-Signature"]]
        chats = [json.loads(request.body) for request in web.requests if request not in signed]
    for request in signed:
        documented.verify_webhook(request.headers, request.body, made.signing_key)
    assert [json.loads(request.body)["event"] for request in signed] == ["opened", "resolved"]
    assert [chat["type"] for chat in chats] == ["warning", "success"]
    mails = [message_from_bytes(raw, policy=policy.default) for _, _, raw in box.taken]
    assert len(mails) == 2 and len({mail["References"] for mail in mails}) == 1
    assert "It broke" in mails[0]["Subject"]
    with OPERATOR.transaction():
        assert set(AlertDelivery.objects.values_list("status", "attempts", "error")) == {("sent", 1, "")}


def test_nothing_but_a_test_leaves_while_alerts_are_muted(database: None, beat: Any, broker: object) -> None:
    with receiver() as web:
        made = create_channel(scope=OPERATOR, name="hook", kind="webhook", address=web.url)
        AlertsSettings.objects.update_or_create(id=1, defaults={"is_muted": True})
        raise_incident(scope=OPERATOR, kind="tested", key="1", title="It broke", now=timezone.now())
        send_test(scope=OPERATOR, channel_id=made.id, now=timezone.now())
        beat()
        assert [json.loads(body)["event"] for body in web.bodies()] == ["test"]


def test_mail_without_a_mail_server_says_what_to_set(database: None, beat: Any) -> None:
    create_channel(scope=OPERATOR, name="mail", kind="email", address="ops@acme.example")
    raise_incident(scope=OPERATOR, kind="tested", key="1", title="It broke", now=timezone.now())
    beat()
    with OPERATOR.transaction():
        (row,) = AlertDelivery.objects.select_related("channel")
    assert (row.status, row.error) == ("waiting", "No mail server is configured: set EMAIL_URL and EMAIL_FROM.")
    assert row.channel.last_error == row.error


def test_no_row_and_no_log_holds_an_address_or_a_key(
    database: None, beat: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with receiver() as web:
        web.answer = lambda request: (500 if len(web.requests) < 3 else 200, {"Location": web.url})
        made = create_channel(scope=OPERATOR, name="hook", kind="webhook", address=web.url)
        create_channel(scope=OPERATOR, name="chat", kind="apprise", address="json" + web.url.removeprefix("http"))
        create_channel(scope=OPERATOR, name="mail", kind="email", address="secret-part@acme.example")
        raise_incident(scope=OPERATOR, kind="tested", key="1", title="It broke", now=timezone.now())
        beat()
        with OPERATOR.transaction():
            AlertDelivery.objects.filter(status="waiting").update(due_at=timezone.now())
        beat()
    assert len(web.requests) >= 4 and made.signing_key
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT string_agg(t::text, ' ') FROM (SELECT t::text FROM alert_deliveries t UNION ALL "
            "SELECT t::text FROM alert_channels t UNION ALL SELECT t::text FROM audit_log t) AS every (t)"
        )
        rows = cursor.fetchone()[0]
    for text in (rows, caplog.text):
        assert "It broke" in text or "alert" in text
        assert "secret-part" not in text and made.signing_key not in text
