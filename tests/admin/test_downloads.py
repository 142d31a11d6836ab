"""The "CSV" button of every list: the rows that the list shows, for those who may see it, and no secret."""

from __future__ import annotations

import csv
import io
import logging

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client as HttpClient
from django.urls import reverse
from django.utils import timezone

from bots.models import Bot
from bridge_project.use_cases.tables import tables_to_keep
from clients.admin_base import SettingsAdmin
from clients.models import Client
from ground.scope import current_scope
from tests.fixtures import Cast, make_bot


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_admin_downloads_what_its_list_shows(
    cast: Cast,
    desk: HttpClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_bot("client_acme", name="100% maker's second")
    page = reverse("admin:bots_bot_changelist")
    assert f"{page}export_csv/" in desk.get(page).content.decode()
    assert f"{page}export_csv/?q=acme" in desk.get(f"{page}?q=acme&o=1&p=1").content.decode()
    with caplog.at_level(logging.INFO):
        answer = desk.get(f"{page}export_csv/?q=acme&runtime_kind=external")
        rows = read(b"".join(answer.streaming_content).decode())
    assert sorted(row["name"] for row in rows) == ["100% maker's second", "acme maker"]
    assert answer["Content-Type"] == "text/csv; charset=utf-8" and "attachment" in answer["Content-Disposition"]
    assert "table_exported" in caplog.text and "operator:alice" in caplog.text
    Bot.objects.filter(name="acme maker").update(retired_at=timezone.now())
    rows = read(_download(desk, f"{page}export_csv/"))
    assert "acme maker" not in [row["name"] for row in rows], "the list does not show it either"
    assert _download(desk, f"{page}export_csv/?q=nothing-like-it").startswith("id,client_id,")
    assert desk.get(f"{page}export_csv/?nonsense=1").status_code == 302


def test_every_list_of_the_admin_has_the_button_and_shows_no_secret(cast: Cast, desk: HttpClient) -> None:
    seen = 0
    with connection.cursor() as cursor:
        kept = tables_to_keep(cursor)
    for model, page in admin.site._registry.items():
        address = f"/admin/{model._meta.app_label}/{model._meta.model_name}/export_csv/"
        if isinstance(page, SettingsAdmin) or not kept[model._meta.db_table].is_exported:
            assert desk.get(address).status_code in (302, 404)
            continue
        text = _download(desk, address)
        header = next(csv.reader(io.StringIO(text)))
        assert sorted(header) == sorted(column.name for column in kept[model._meta.db_table].shown()), model
        assert "gAAAAA" not in text
        assert len(read(text)) == page.model._default_manager.count()
        seen += 1
    assert seen >= 8


def test_only_those_who_may_see_a_list_download_it(cast: Cast, desk: HttpClient) -> None:
    victor = User.objects.create_user("victor", password="correct horse battery", is_staff=True)
    victor.user_permissions.set(Permission.objects.filter(codename="view_bot"))
    http = HttpClient()
    address = "/admin/bots/bot/export_csv/"
    assert http.get(address).status_code == 302
    http.force_login(victor, backend="django.contrib.auth.backends.ModelBackend")
    assert len(read(_download(http, address))) == 2
    assert http.get("/admin/clients/client/export_csv/").status_code == 403
    before = Client.objects.count()
    assert http.post(address).status_code in (200, 405) and Client.objects.count() == before


def _download(http: HttpClient, address: str) -> str:
    answer = http.get(address)
    assert answer.status_code == 200, address
    return b"".join(answer.streaming_content).decode()


def test_a_download_that_is_broken_off_leaves_nothing_open(cast: Cast, desk: HttpClient) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_log (table_name, row_id, action, actor, reason) "
            "SELECT 'bots', i, 'UPDATE', 'tests', repeat('x', 1000) FROM generate_series(1, 5000) i"
        )
    answer = desk.get("/admin/clients/auditentry/export_csv/")
    assert next(iter(answer.streaming_content))
    answer.close()
    assert current_scope() is None
    assert len(read(_download(desk, "/admin/bots/bot/export_csv/"))) == 2
