"""Channels take only addresses that their kind can use, and show nothing secret of them; what is long over is forgotten."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from alerts.models import (
    AlertChannel,
    AlertDelivery,
    AlertRule,
    AlertsSettings,
    Incident,
    IncidentEvent,
    MaintenanceWindow,
    Snooze,
)
from alerts.rules.addresses import check_apprise, check_mail, check_webhook
from alerts.rules.words import ChannelKind
from alerts.services.alert_rules import change_rule, create_rule, delete_rule
from alerts.services.channels import change_channel, create_channel, delete_channel, renew_signing_key
from alerts.services.forget import forget_alerts
from alerts.services.silence import create_window
from clients.models import AuditEntry
from ground.errors import InvalidInput, NotFound
from tests.alerts.posts import ALERTS, HOUR, NOON, broken, make_channel, mended, outage, tick
from tests.fixtures import OPERATOR, Cast

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("check", "address", "stored", "hint"),
    [
        (check_webhook, " https://example.com/hooks/s3cret?token=s3cret ", None, "https://example.com/…"),
        (check_webhook, "http://10.0.0.7:8080", None, "http://10.0.0.7:8080/…"),
        (check_webhook, "http://[::1]:8080/s3cret", None, "http://[::1]:8080/…"),
        (check_mail, "s3cret@example.com", None, "s…@example.com"),
        (check_mail, "ops@example.com , s3cret@example.com,ops@example.com", "ops@example.com, s3cret@example.com",
         "o…@example.com and 1 more"),
        (check_mail, "root@localhost", None, "r…@localhost"),
        (check_apprise, "tgram://123456789:s3cret/-1001", None, "tgram://…"),
        (check_apprise, "TGRAM://123456789:s3cret/-1001", None, "tgram://…"),
        (check_apprise, "https://discord.com/api/webhooks/1/s3cret", None, "https://discord.com/…"),
    ],
)  # fmt: skip
def test_a_hint_shows_where_and_nothing_secret(check: Any, address: str, stored: str | None, hint: str) -> None:
    assert check(address) == (stored or address.strip(), hint)
    assert "s3cret" not in hint


@pytest.mark.parametrize(
    ("check", "addresses"),
    [
        (check_webhook, ["", "example.com", "ftp://example.com", "https://", "https://u:p@example.com/", "https://e.com/#x",
                         "https://e.com/a b", "https://e.com/\x00", "https://[::1", "https://e.com:99999/",
                         "https://e.com/" + "x" * 2000, "javascript:alert(1)"]),
        (check_mail, ["", " , ", "nobody", "a@b@c", "a b@example.com", "a@example.com\nBcc: b@example.com", "a@-x.com",
                      "Ops <ops@example.com>", ",".join(f"a{n}@example.com" for n in range(21)), "x" * 2001]),
        (check_apprise, ["", "topic", "://x", "ntfy://", "ntfy://a ntfy://b", "windows://", "windows://x", "dbus://x",
                         "syslog://x", "1x://y"]),
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_used_is_refused_without_repeating_it(check: Any, addresses: list[str]) -> None:
    for address in addresses:
        with pytest.raises(ValueError, match=r"\.$") as refused:
            check(address)
        assert len(address) < 10 or address not in str(refused.value), address


def test_a_channel_is_stored_encrypted_with_a_first_rule_and_audited_without_secrets(cast: Cast) -> None:
    made = create_channel(
        scope=OPERATOR, name=" ops ", kind=ChannelKind.WEBHOOK, address="https://example.com/s3cret-path"
    )
    assert made.signing_key is not None and made.signing_key.startswith("tbw_") and len(made.signing_key) > 40
    channel = AlertChannel.objects.get()
    assert (channel.name, channel.address_hint) == ("ops", "https://example.com/…")
    assert channel.address.open() == "https://example.com/s3cret-path"
    assert channel.signing_key.open() == made.signing_key
    assert AlertRule.objects.get().min_severity == "warning"
    with connection.cursor() as cursor:
        cursor.execute("SELECT alert_channels::text FROM alert_channels")
        row = cursor.fetchone()[0]
    said = row + "".join(str((e.before, e.after)) for e in AuditEntry.objects.filter(table_name="alert_channels"))
    assert "s3cret-path" not in said and made.signing_key not in said
    renewed = renew_signing_key(scope=OPERATOR, channel_id=made.id)
    channel.refresh_from_db()
    assert channel.signing_key.open() == renewed != made.signing_key


@pytest.mark.parametrize(
    ("kind", "address", "is_known"),
    [
        (ChannelKind.APPRISE, "ntfys://ntfy.example.com/topic", True),
        (ChannelKind.APPRISE, "https://discord.com/api/webhooks/" + "1" * 18 + "/" + "a" * 68, True),
        (ChannelKind.APPRISE, "nosuch://example.com/x", False),
        (ChannelKind.APPRISE, "tgram://not-a-token", False),
        (ChannelKind.EMAIL, "ops@example.com", True),
    ],
)
def test_apprise_itself_says_whether_it_knows_an_address(
    database: None, kind: ChannelKind, address: str, is_known: bool
) -> None:
    if is_known:
        assert create_channel(scope=OPERATOR, name="x", kind=kind, address=address).signing_key is None
        return
    with pytest.raises(InvalidInput) as refused:
        create_channel(scope=OPERATOR, name="x", kind=kind, address=address)
    assert list(refused.value.fields or {}) == ["address"] and address not in refused.value.message


def test_a_channel_belongs_to_operators_a_client_or_a_bot(cast: Cast) -> None:
    mail = {"scope": OPERATOR, "kind": ChannelKind.EMAIL, "address": "a@example.com"}
    create_channel(name="ops", **mail)
    create_channel(name="ops", client_id=cast.acme, **mail)  # each owner has names of its own
    bots = create_channel(name="maker", bot_id=cast.acme_bot, with_rule=False, **mail)
    channel = AlertChannel.objects.get(id=bots.id)
    assert channel.client_id == cast.acme and not channel.rules.exists()
    assert set(AlertRule.objects.values_list("client_id", flat=True)) == {None, cast.acme}
    for name, owner in (("ops", {}), ("maker", {"client_id": cast.acme}), (" ", {}), ("x" * 101, {})):
        with pytest.raises(InvalidInput) as refused:
            create_channel(name=name, **owner, **mail)
        assert list(refused.value.fields or {}) == ["name"]
    for owner in (
        {"client_id": cast.globex, "bot_id": cast.acme_bot},
        {"client_id": UUID(int=1)},
        {"bot_id": cast.acme},
    ):
        with pytest.raises(NotFound):
            create_channel(name="y", **owner, **mail)


def test_a_channel_changes_its_name_address_and_use_alone(database: None) -> None:
    mail = {"scope": OPERATOR, "kind": ChannelKind.EMAIL, "address": "a@example.com"}
    made, other = create_channel(name="ops", **mail), create_channel(name="other", **mail)
    AlertChannel.objects.update(last_error="refused", last_error_at=NOON)
    change_channel(
        scope=OPERATOR, channel_id=made.id, changes={"name": "night", "address": "b@example.org", "is_enabled": False}
    )
    channel = AlertChannel.objects.get(id=made.id)
    assert (channel.name, channel.address.open(), channel.address_hint) == ("night", "b@example.org", "b…@example.org")
    assert (channel.is_enabled, channel.last_error) == (False, "")
    for changes in ({"kind": "webhook"}, {"name": "other"}, {"address": "nobody"}):
        with pytest.raises(InvalidInput):
            change_channel(scope=OPERATOR, channel_id=made.id, changes=changes)
    with pytest.raises(NotFound):
        change_channel(scope=OPERATOR, channel_id=UUID(int=1), changes={})
    with pytest.raises(NotFound):
        renew_signing_key(scope=OPERATOR, channel_id=made.id)
    delete_channel(scope=OPERATOR, channel_id=other.id)
    with pytest.raises(NotFound):
        delete_channel(scope=OPERATOR, channel_id=other.id)


def test_a_channel_that_is_deleted_takes_its_messages_along(database: None) -> None:
    ops = make_channel("ops")
    broken()
    tick(NOON)
    delete_channel(scope=OPERATOR, channel_id=ops)
    assert not AlertDelivery.objects.exists() and not AlertRule.objects.exists() and Incident.objects.exists()


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "all"}),
        ("kinds", {"kinds": "bot_health"}),
        ("kinds", {"kinds": ["Bot Health"]}),
        ("min_severity", {"min_severity": "fatal"}),
        ("after_minutes", {"after_minutes": -1}),
        ("after_minutes", {"after_minutes": 10081}),
        ("repeat_minutes", {"repeat_minutes": 0}),
        ("repeat_minutes", {"repeat_minutes": True}),
        ("quiet_until", {"quiet_from": time(22)}),
        ("quiet_until", {"quiet_from": time(22), "quiet_until": time(22)}),
        ("quiet_days", {"quiet_days": [0]}),
        ("quiet_days", {"quiet_days": "weekend"}),
        ("quiet_timezone", {"quiet_timezone": "Europe/Atlantis"}),
        ("channel", {"channel": "x"}),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(database: None, field: str, wrong: dict[str, Any]) -> None:
    channel = make_channel("ops")
    with pytest.raises(InvalidInput) as refused:
        create_rule(scope=OPERATOR, channel_id=channel, **{"name": "second", **wrong})
    assert list(refused.value.fields or {}) == [field]


def test_rules_are_made_changed_and_deleted(cast: Cast) -> None:
    channel = make_channel("acme", client_id=cast.acme)
    made = create_rule(scope=OPERATOR, channel_id=channel, name="nights", quiet_from=time(22), quiet_until=time(7),
                       quiet_days=[6, 7], quiet_timezone="Europe/Zurich", repeat_minutes=30)  # fmt: skip
    assert AlertRule.objects.get(id=made).client_id == cast.acme
    change_rule(scope=OPERATOR, rule_id=made, changes={"min_severity": "critical", "repeat_minutes": None})
    assert AlertRule.objects.get(id=made).min_severity == "critical"
    with pytest.raises(InvalidInput):
        change_rule(scope=OPERATOR, rule_id=made, changes={"quiet_until": None})
    delete_rule(scope=OPERATOR, rule_id=made)
    with pytest.raises(NotFound):
        delete_rule(scope=OPERATOR, rule_id=made)
    with pytest.raises(NotFound):
        change_rule(scope=OPERATOR, rule_id=made, changes={})
    with pytest.raises(NotFound):
        create_rule(scope=OPERATOR, channel_id=UUID(int=1), name="x")


def test_what_is_long_over_is_forgotten_and_what_is_open_stays(cast: Cast) -> None:
    make_channel("ops")
    AlertsSettings.objects.create(id=1, keep_deliveries_days=10, keep_incidents_days=100)
    broken("open"), broken("closed"), broken("young")
    outage(cast.acme_bot)
    tick(NOON)
    mended("closed", at=NOON + HOUR), mended("kucoin", kind="exchange_down", at=NOON + HOUR)
    mended("young", at=NOON + 95 * DAY)
    tick(NOON + HOUR)
    AlertDelivery.objects.update(created_at=NOON)
    Snooze.objects.create(kind="x", key="y", until_at=NOON, snoozed_by="z")
    assert forget_alerts(scope=ALERTS, now=NOON + 5 * DAY) == (0, 0)
    assert forget_alerts(scope=ALERTS, now=NOON + 12 * DAY) == (4, 0)
    assert sorted(AlertDelivery.objects.values_list("incident__key", flat=True)) == ["open", "young", "young"]
    assert forget_alerts(scope=ALERTS, now=NOON + 101 * DAY) == (0, 2)
    assert sorted(Incident.objects.values_list("key", flat=True)) == ["open", "young"]
    assert set(IncidentEvent.objects.values_list("incident__key", flat=True)) == {"open", "young"}
    assert not Snooze.objects.exists()
    assert forget_alerts(scope=ALERTS, now=NOON + 101 * DAY) == (0, 0)


def test_a_client_that_is_deleted_takes_its_channels_along(cast: Cast) -> None:
    for name, owner in (("acme", cast.acme), ("globex", cast.globex)):
        make_channel(name, client_id=owner)
        create_window(scope=OPERATOR, name=name, client_id=owner, starts_at=NOON - DAY, ends_at=NOON)
    make_channel("acme maker", client_id=cast.acme, bot_id=cast.acme_bot)
    broken(client_id=cast.acme, bot_id=cast.acme_bot)
    assert sorted(tick(NOON)) == [("acme", "opened"), ("acme maker", "opened")]
    assert cast.operator.delete(f"/bots/{cast.acme_bot}").status == 200
    assert sorted(AlertChannel.objects.values_list("name", flat=True)) == ["acme", "globex"]
    assert cast.operator.delete(f"/clients/{cast.acme}").status == 200
    assert list(AlertChannel.objects.values_list("name", flat=True)) == ["globex"]
    assert list(MaintenanceWindow.objects.values_list("name", flat=True)) == ["globex"]
    assert not AlertDelivery.objects.exists() and Incident.objects.count() == 1
    mended(at=NOON + HOUR)
    assert tick(NOON + HOUR) == []
