"""The page of incidents, and what the front page says of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client as HttpClient
from django.utils import timezone

from alerts.models import Incident
from alerts.services.incidents import raise_incident
from ground.scope import system_scope
from tests.fixtures import Cast

YES = {"_form_submitted": "on"}
LIST = "/admin/alerts/incident/"


@pytest.fixture
def incident(cast: Cast) -> UUID:
    rows = [{"table": "bots", "id": str(cast.acme_bot), "expected": Decimal("1.50"), "found": None}]
    return raise_incident(
        scope=system_scope("ledger"), kind="ledger_balance", key=str(cast.acme_bot), title="The balance is off by 1.5",
        client_id=cast.acme, bot_id=cast.acme_bot, details={"count": 1, "rows": rows, "note": "<script>"},
        now=timezone.now(),
    )  # fmt: skip


def test_page_names_the_rows_and_links_to_them(desk: HttpClient, incident: UUID, cast: Cast) -> None:
    page = body(desk.get(f"{LIST}{incident}/change/"))
    assert f'href="/admin/bots/bot/{cast.acme_bot}/change/"' in page and "1.50" in page
    assert "<p>note: &lt;script&gt;</p>" in page
    for query in ("", "?state=open", "?severity=warning", "?kind=ledger_balance", "?q=off"):
        assert "The balance is off" in body(desk.get(LIST + query)), query
    for query in ("?state=acknowledged", "?state=resolved", "?severity=critical"):
        assert "The balance is off" not in body(desk.get(LIST + query)), query


def test_front_page_lists_what_is_open(desk: HttpClient, incident: UUID) -> None:
    assert "The balance is off by 1.5" in body(desk.get("/admin/"))
    desk.post(f"{LIST}{incident}/resolve/", YES | {"resolution": "mended by hand"})
    assert "The balance is off by 1.5" not in body(desk.get("/admin/"))


def test_taking_on_and_resolving_happen_on_post_by_the_operator(desk: HttpClient, incident: UUID) -> None:
    for path in ("acknowledge", "resolve"):
        assert desk.get(f"{LIST}{incident}/{path}/").status_code == 200
    assert Incident.objects.get().acknowledged_at is None and Incident.objects.get().resolved_at is None
    desk.post(f"{LIST}{incident}/acknowledge/", YES)
    assert Incident.objects.get().acknowledged_by == "operator:alice"
    desk.post(f"{LIST}{incident}/resolve/", YES | {"resolution": "mended by hand"})
    row = Incident.objects.get()
    assert (row.resolved_by, row.resolution) == ("operator:alice", "mended by hand")
    desk.post(f"{LIST}{incident}/resolve/", YES)
    assert "resolved already" in body(desk.get(LIST))


def test_who_may_only_look_changes_nothing(desk: HttpClient, incident: UUID) -> None:
    visitor = User.objects.create_user("victor", password="correct horse battery", is_staff=True)
    visitor.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    http = HttpClient()
    http.force_login(visitor, backend="django.contrib.auth.backends.ModelBackend")
    assert http.get(f"{LIST}{incident}/change/").status_code == 200
    for path in ("acknowledge", "resolve"):
        assert http.post(f"{LIST}{incident}/{path}/", YES).status_code == 403
    assert Incident.objects.get().acknowledged_at is None


def body(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())
