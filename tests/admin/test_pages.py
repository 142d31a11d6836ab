"""Every page of the admin opens, shows no secret, is closed to strangers, and changes nothing on GET."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client as HttpClient
from django.urls import reverse
from django.utils import timezone

from alerts.models import Incident
from bots.models import Bot, BotDeployment, BotHealth, BotRuntime, HummingbotCredential, HummingbotState
from clients.models import ApiKey, AuditEntry, Client, Connector
from health.models import BotHealthLog, CheckRequest, HealthTransition, HeartbeatLog, UptimeDay
from tests.fixtures import Cast

PLANTED = ("secret-of-acme", "memo-of-acme", "key-of-acme-0123456789", "secret-of-globex", "gAAAAA")


@pytest.fixture
def everything(desk: HttpClient, cast: Cast) -> HttpClient:
    """The desk with a row in every table that workers fill."""
    now = timezone.now()
    bot = Bot.objects.get(id=cast.acme_bot)
    mine: dict[str, Any] = {"bot": bot, "client_id": cast.acme}
    BotRuntime.objects.create(**mine, status="running", observed_at=now, changed_at=now)
    BotDeployment.objects.create(**mine, sequence=1, requested_name="tb-1", status="live", confirmed_at=now)
    BotHealthLog.objects.create(
        **mine, checked_at=now, new_status="healthy", previous_status="unknown", reason="traded"
    )
    CheckRequest.objects.create(**mine, requested_by="operator:alice")
    BotHealth.objects.filter(bot=bot).update(
        status="healthy",
        last_trade_at=now,
        checked_at=now,
        evidence=[{"probe": "trades", "outcome": "read", "observed_at": now.isoformat(), "detail": "5 trades"}],
    )
    HummingbotState.objects.create(id=1, last_ok_at=now, polled_at=now, latency_ms=4)
    connector = Connector.objects.get(client_id=cast.acme)
    HummingbotCredential.objects.create(connector=connector, client_id=cast.acme, account_name="acme")
    return desk


def test_every_list_add_and_change_page_opens_and_shows_no_secret(everything: HttpClient) -> None:
    ours = [
        model
        for model in admin.site._registry
        if model._meta.app_label in ("clients", "bots", "alerts", "health", "strategies", "auth")
    ]
    assert len(ours) >= 16
    for model in ours:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        row = admin.site._registry[model].model._default_manager.first()
        addresses = [reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[row.pk if row else 1])]
        if admin.site._registry[model].has_add_permission(_request(everything)):
            addresses.append(reverse(f"{name}_add"))
        for address in addresses:
            _opens(everything, address)
        _opens(everything, f"{reverse(f'{name}_changelist')}?q=acme")


def test_every_filter_of_every_list_opens(everything: HttpClient) -> None:
    bots = reverse("admin:bots_bot_changelist")
    for query in (
        "is=running",
        "is=created",
        "health=healthy",
        "health=unknown",
        "runtime_kind=external",
        "o=8",
        "o=-7",
    ):
        _opens(everything, f"{bots}?{query}")
    audit = reverse("admin:clients_auditentry_changelist")
    for query in ("table=bots", "did=UPDATE", f"table=bots&row={Bot.objects.first().pk}", "q=operator:"):
        _opens(everything, f"{audit}?{query}")


def test_front_page_sums_up_and_timeline_tells_what_happened(everything: HttpClient, cast: Cast) -> None:
    assert b"Running" in _opens(everything, "/admin/")
    page = _opens(everything, f"/admin/bots/bot/{cast.acme_bot}/timeline/")
    assert b"healthy" in page and b"insert" in page


def test_audit_page_shows_before_and_after(everything: HttpClient, cast: Cast) -> None:
    Client.objects.filter(id=cast.acme).update(tier="gold")
    entry = AuditEntry.objects.filter(table_name="clients").first()
    assert b"gold" in _opens(everything, reverse("admin:clients_auditentry_change", args=[entry.pk]))


def test_models_whose_pages_would_show_secrets_have_none() -> None:
    assert {m._meta.model_name for m in admin.site._registry}.isdisjoint(
        {"totpdevice", "idempotentanswer", "installation"}
    )


def test_strangers_are_sent_to_sign_in(cast: Cast) -> None:
    stranger = HttpClient()
    for model in admin.site._registry:
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        answer = stranger.get(address)
        assert answer.status_code == 302 and answer["Location"].startswith("/admin/login/"), address
    for path in ("", "start/", "timeline/", "make_ping_key/", "force_delete/"):
        answer = stranger.post(f"/admin/bots/bot/{cast.acme_bot}/{path or 'change/'}")
        assert answer.status_code == 302 and answer["Location"].startswith("/admin/login/")
    assert stranger.get("/admin/second-factor")["Location"].startswith("/admin/login/")


def test_staff_who_may_only_look_sees_everything_and_changes_nothing(everything: HttpClient, cast: Cast) -> None:
    visitor = User.objects.create_user("victor", password="correct horse battery", is_staff=True)
    visitor.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    http = HttpClient()
    http.force_login(visitor, backend="django.contrib.auth.backends.ModelBackend")
    before = _world()
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        row = model._default_manager.first()
        _opens(http, reverse(f"{name}_changelist"))
        _opens(http, reverse(f"{name}_change", args=[row.pk if row else 1]))
    for path in ("start", "stop", "clone", "check_now", "make_ping_key", "force_delete"):
        assert http.post(f"/admin/bots/bot/{cast.acme_bot}/{path}/", {"_form_submitted": "on"}).status_code == 403, path
    assert http.post(f"/admin/clients/client/{cast.acme}/force_delete/", {"_form_submitted": "on"}).status_code == 403
    assert (
        http.post(f"/admin/clients/apikey/{ApiKey.objects.first().pk}/revoke/", {"_form_submitted": "on"}).status_code
        == 403
    )
    assert _world() == before


def test_nothing_changes_on_get(everything: HttpClient, cast: Cast) -> None:
    key = ApiKey.objects.filter(kind="client").first()
    targets: list[tuple[str, UUID]] = [
        (f"bots/bot/{{}}/{a}/", cast.acme_bot)
        for a in ("start", "stop", "clone", "check_now", "make_ping_key", "force_delete", "delete")
    ]
    targets += [
        ("clients/client/{}/force_delete/", cast.acme),
        ("clients/client/{}/delete/", cast.acme),
        ("clients/apikey/{}/revoke/", key.pk),
        ("clients/connector/{}/delete/", Connector.objects.first().pk),
    ]
    before = _world()
    for path, row in targets:
        answer = everything.get(f"/admin/{path.format(row)}")
        assert answer.status_code == 200, path
    assert _world() == before


def test_state_changes_need_the_csrf_token(everything: HttpClient, cast: Cast) -> None:
    strict = HttpClient(enforce_csrf_checks=True)
    strict.cookies = everything.cookies
    answer = strict.post(f"/admin/bots/bot/{cast.acme_bot}/start/", {"_form_submitted": "on"})
    assert answer.status_code == 403
    assert Bot.objects.get(id=cast.acme_bot).desired_status == "created"


def _opens(http: HttpClient, address: str) -> bytes:
    answer = http.get(address, follow=True)
    assert answer.status_code == 200, address
    body: bytes = answer.content
    for secret in PLANTED:
        assert secret.encode() not in body, f"{address} shows {secret}"
    for digest in ApiKey.objects.values_list("digest", flat=True):
        assert digest.encode() not in body, address
    return body


def _world() -> dict[str, Any]:
    tables = [m for m in apps.get_models() if m._meta.app_label in ("clients", "bots", "alerts", "health")]
    return {m.__name__: str(list(m._default_manager.order_by("pk").values())) for m in tables}


def _request(http: HttpClient) -> Any:
    from django.test import RequestFactory

    request = RequestFactory().get("/")
    request.user = User.objects.get(username="alice")
    return request


def test_an_unknown_page_of_the_admin_is_a_page_and_elsewhere_json(database: None) -> None:
    user = User.objects.create_superuser("root", password="long enough for us")
    http = HttpClient()
    http.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    page = http.get("/admin/no/such/page/")
    assert page.status_code == 404 and "There is no such page" in page.content.decode()
    assert http.get("/no/such/page").json()["code"] == "not_found"


def test_a_bots_health_page_says_why_and_what_came_before(everything: HttpClient, cast: Cast) -> None:
    now = timezone.now()
    mine: dict[str, Any] = {"bot_id": cast.acme_bot, "client_id": cast.acme}
    HealthTransition.objects.create(**mine, at=now, from_status="stale", to_status="stopped", reason="fell silent")
    UptimeDay.objects.create(**mine, day=now.date(), healthy_s=5400, stopped_s=1800, counted_to=now)
    HeartbeatLog.objects.create(**mine, received_at=now, kind="fail", exit_code=3, duration_ms=1500, run_id="run-7")
    Incident.objects.create(
        **mine,
        kind="bot_health",
        key=str(cast.acme_bot),
        severity="critical",
        title="It fell silent.",
        raised_by="tests",
    )
    page = everything.get(reverse("admin:bots_bot_health_page", args=[cast.acme_bot])).content.decode()
    for words in ("5 trades", "fell silent", "75.00 %", "run-7", "1.5 s", "It fell silent.", "healthy 90 min"):
        assert words in page, words
