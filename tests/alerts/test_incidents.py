"""An incident is told once, counts how often it was seen, ends when it is mended, and is its client's alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, ProgrammingError, connections

from alerts.models import Incident
from alerts.rules.words import Severity
from alerts.selectors import open_incidents
from alerts.services.incidents import (
    acknowledge_incident,
    raise_incident,
    raise_incidents,
    resolve_incident,
    resolve_incidents,
)
from alerts.types import Trouble
from clients.models import AuditEntry
from ground.errors import Conflict, NotFound
from ground.scope import Scope, system_scope
from tests.fixtures import OPERATOR, Cast

LEDGER = system_scope("ledger")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def seen(key: str = "1", *, at: datetime = NOON, **told: Any) -> Any:
    return raise_incident(scope=LEDGER, kind="ledger_balance", key=key, now=at, **{"title": "off by 1", **told})


def test_what_is_seen_again_is_one_incident_with_the_newest_words(database: None) -> None:
    first = seen(details={"expected": Decimal("1.50")})
    assert (
        seen(at=NOON + HOUR, title="off by 2", severity=Severity.CRITICAL, details={"expected": Decimal("2.50")})
        == first
    )
    incident = Incident.objects.get()
    assert (incident.times_seen, incident.opened_at, incident.last_seen_at) == (2, NOON, NOON + HOUR)
    assert (incident.title, incident.severity, incident.raised_by) == ("off by 2", "critical", "system:ledger")
    assert incident.details == {"expected": Decimal("2.50")}
    seen(at=NOON)  # a slower worker that looked earlier
    incident.refresh_from_db()
    assert incident.last_seen_at == NOON + HOUR


def test_many_workers_that_see_the_same_raise_one(database: None) -> None:
    def look(worker: int) -> None:
        order = range(20) if worker % 2 else reversed(range(20))
        troubles = [Trouble("ledger_balance", f"bot {number}", "off") for number in order]
        try:
            raise_incidents(scope=LEDGER, troubles=troubles, now=NOON)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(look, range(8)))
    assert list(Incident.objects.values_list("times_seen", flat=True)) == [8] * 20


def test_what_is_mended_ends_and_comes_back_as_a_new_one(database: None) -> None:
    old = seen("1")
    seen("2"), seen("3", at=NOON + 2 * HOUR)
    raise_incident(scope=LEDGER, kind="ledger_orphan", key="1", title="alone", now=NOON)
    ended = resolve_incidents(
        scope=LEDGER, kind="ledger_balance", now=NOON + HOUR, resolution="Found whole.", still_broken=["2"]
    )
    assert ended == 1  # 2 is still broken, 3 was seen after this rule looked, the last is of another kind
    incident = Incident.objects.get(resolved_at__isnull=False)
    assert (incident.id, incident.resolved_by, incident.resolution) == (old, "system:ledger", "Found whole.")
    assert seen("1", at=NOON + 2 * HOUR) != old
    assert resolve_incidents(scope=LEDGER, kind="ledger_balance", key="2", now=NOON + HOUR, resolution="Mended.") == 1
    assert sorted(open_incidents().values_list("key", flat=True)) == ["1", "1", "3"]


def test_the_worst_and_newest_is_shown_first(database: None) -> None:
    seen("mild", severity=Severity.INFO, at=NOON + 3 * HOUR)
    seen("old", severity=Severity.CRITICAL)
    seen("new", severity=Severity.CRITICAL, at=NOON + HOUR)
    seen("middle", at=NOON + 2 * HOUR)
    assert list(open_incidents().values_list("key", flat=True)) == ["new", "old", "middle", "mild"]


def test_a_person_takes_on_and_resolves_once_and_the_audit_names_them(cast: Cast) -> None:
    made = seen(client_id=cast.acme, bot_id=cast.acme_bot)
    acknowledge_incident(scope=OPERATOR, incident_id=made, now=NOON)
    with pytest.raises(Conflict):
        acknowledge_incident(scope=OPERATOR, incident_id=made, now=NOON)
    seen(at=NOON + HOUR)  # seen again: it stays taken on
    resolve_incident(scope=OPERATOR, incident_id=made, resolution="restored the row", now=NOON)
    with pytest.raises(Conflict):
        resolve_incident(scope=OPERATOR, incident_id=made, resolution="", now=NOON)
    with pytest.raises(NotFound):
        resolve_incident(scope=OPERATOR, incident_id=cast.acme, resolution="", now=NOON)
    entries = AuditEntry.objects.filter(table_name="incidents", row_id=str(made)).order_by("id")
    assert [(e.action, e.actor) for e in entries] == [
        ("INSERT", "system:ledger"), ("UPDATE", OPERATOR.actor), ("UPDATE", OPERATOR.actor),
    ]  # fmt: skip
    assert entries[2].reason == "restored the row" and entries[0].client_id == cast.acme


def test_clients_read_their_own_incidents_and_write_none(cast: Cast) -> None:
    seen("bot", client_id=cast.acme, bot_id=cast.acme_bot)
    seen("account", client_id=cast.acme)
    seen("house")
    acme, globex = (Scope(actor="key:tests", client_id=client) for client in (cast.acme, cast.globex))
    with acme.transaction():
        assert sorted(Incident.objects.values_list("key", flat=True)) == ["account", "bot"]
    with globex.transaction():
        assert not Incident.objects.exists()
    with pytest.raises(ProgrammingError):
        raise_incident(scope=acme, kind="x", key="x", title="x", now=NOON, client_id=cast.acme)
    with pytest.raises(ProgrammingError):
        resolve_incidents(scope=acme, kind="ledger_balance", now=NOON, resolution="gone")


@pytest.mark.parametrize("broken", [{"bot_id": True}, {"client_id": True, "bot_id": True}, {"key": ""}])
def test_the_table_refuses_what_makes_no_sense(cast: Cast, broken: dict[str, Any]) -> None:
    told = {
        name: {"bot_id": cast.acme_bot, "client_id": cast.globex}.get(name, value) for name, value in broken.items()
    }
    with pytest.raises(IntegrityError):
        seen(**told)
