"""What an operator does in the admin, done through the services, and told by the audit with the operator's name."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client as HttpClient
from django.utils import timezone
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from alerts.models import AlertChannel, AlertDelivery, AlertRule, MaintenanceWindow, Snooze
from alerts.services.incidents import raise_incident
from bots.models import Bot, BotsSettings, BotTemplate
from clients.models import ApiKey, AuditEntry, Client, Connector, Wallet
from ground.scope import system_scope
from health.models import CheckRequest, HealthSettings, HeartbeatPlan
from tests.fixtures import Caller, Cast, make_bot

YES = {"_form_submitted": "on"}
HERE = {"HX-Request": "true"}


def test_client_is_made_with_wallet_and_connector_and_the_audit_names_the_operator(desk: HttpClient) -> None:
    answer = _post(desk, "/admin/clients/client/add/", _client_form(name="Sharp Foundation", wallet="0x" + "2" * 40))
    assert answer.status_code == 302, _errors(answer)
    client = Client.objects.get(account_identifier="client_sharp_foundation")
    assert client.wallets.get().address == "0x" + "2" * 40
    connector = client.connectors.get()
    assert connector.key_hint == "plan…9999" and connector.api_secret.open() == "planted-secret"
    entries = AuditEntry.objects.filter(client_id=client.id)
    assert {e.table_name for e in entries} == {"clients", "wallets", "connectors"}
    assert {e.actor for e in entries} == {"operator:alice"}
    assert "planted" not in str(list(entries.values()))


def test_refused_client_leaves_nothing_behind_and_the_form_says_why(desk: HttpClient) -> None:
    taken = "0x6CC52d4b397E0DdFDcd1ecbB37902003C4801685"  # acme's
    answer = _post(desk, "/admin/clients/client/add/", _client_form(name="Copycat", wallet=taken))
    page = answer.content.decode()
    assert answer.status_code == 200 and "already belongs to a client" in page
    assert "Copycat" in page and "planted-secret" not in page
    assert not Client.objects.filter(name="Copycat").exists()


def test_editing_a_client_without_touching_secrets_keeps_them(desk: HttpClient, cast: Cast) -> None:
    address, form = f"/admin/clients/client/{cast.acme}/change/", _existing_client(cast)
    assert _post(desk, address, form | {"tier": "gold"}).status_code == 302
    connector = Connector.objects.get(client_id=cast.acme)
    assert connector.api_secret.open() == "secret-of-acme" and connector.credentials_version == 1
    keys = {"connectors-0-new_api_key": "another-key-0123456", "connectors-0-new_api_secret": "another"}
    assert _post(desk, address, form | keys).status_code == 302
    connector.refresh_from_db()
    assert connector.api_secret.open() == "another" and connector.credentials_version == 2
    answer = _post(desk, address, form | {"wallets-0-DELETE": "on", "connectors-0-DELETE": "on"})
    assert answer.status_code == 302, _errors(answer)
    assert not Wallet.objects.filter(client_id=cast.acme).exists()
    connector.refresh_from_db()
    assert connector.retired_at and connector.api_secret is None


def test_bot_waits_for_a_connector_and_finds_it(desk: HttpClient, cast: Cast) -> None:
    bot = make_bot("client_acme", connector="gate_io")
    form = {"client": str(cast.acme), "name": "gate_io", "label": "", "new_api_key": "k" * 20, "new_api_secret": "s"}
    assert _post(desk, "/admin/clients/connector/add/", form).status_code == 302
    assert Bot.objects.get(id=bot).connector.name == "gate_io"


def test_start_and_stop_happen_on_post_and_say_what_came_of_it(desk: HttpClient, cast: Cast) -> None:
    address = f"/admin/bots/bot/{cast.acme_bot}"
    answer = _post(desk, f"{address}/start/", YES)
    assert answer.headers["HX-Redirect"] == "/admin/bots/bot/"
    assert "The bot is started." in desk.get("/admin/bots/bot/").content.decode()
    assert Bot.objects.get(id=cast.acme_bot).desired_by == "operator:alice"
    _post(desk, f"{address}/start/", YES)
    assert "The bot is already running." in desk.get("/admin/bots/bot/").content.decode()
    _post(desk, f"{address}/stop/", YES)
    bot = Bot.objects.get(id=cast.acme_bot)
    assert (bot.desired_status, bot.health.message) == ("stopped", "stopped by operator:alice")


def test_refused_start_shows_the_sentence(desk: HttpClient, cast: Cast) -> None:
    bot = make_bot("client_acme", runtime_kind="hummingbot")  # and no Hummingbot is configured
    _post(desk, f"/admin/bots/bot/{bot}/start/", YES)
    assert "No Hummingbot is configured" in desk.get("/admin/bots/bot/").content.decode()


def test_bulk_start_asks_first(desk: HttpClient, cast: Cast) -> None:
    form: dict[str, Any] = {"action": "start_selected", "_selected_action": [str(cast.acme_bot), str(cast.globex_bot)]}
    page = _post(desk, "/admin/bots/bot/", form)
    assert page.status_code == 200 and "Start these bots?" in page.content.decode()
    assert not Bot.objects.filter(desired_status="running").exists()
    assert _post(desk, "/admin/bots/bot/", form | {"confirmed": "yes"}).status_code == 302
    assert Bot.objects.filter(desired_status="running").count() == 2


def test_running_bot_changes_its_config_but_not_its_pair(desk: HttpClient, cast: Cast) -> None:
    _post(desk, f"/admin/bots/bot/{cast.acme_bot}/start/", YES)
    form = _bot_form(cast.acme_bot)
    address = f"/admin/bots/bot/{cast.acme_bot}/change/"
    assert _post(desk, address, form | {"config": '{"bid_spread": 0.01}'}).status_code == 302
    refused = _post(desk, address, form | {"pair": "ETH/USDT"})
    assert refused.status_code == 200 and "can only change while the bot is stopped" in refused.content.decode()
    bot = Bot.objects.get(id=cast.acme_bot)
    assert (bot.pair, bot.config) == ("BTC/USDT", {"bid_spread": Decimal("0.01")})


def test_clone_leads_to_the_clone(desk: HttpClient, cast: Cast) -> None:
    answer = _post(desk, f"/admin/bots/bot/{cast.acme_bot}/clone/", YES | {"name": "twin"})
    twin = Bot.objects.get(name="twin")
    assert answer.headers["HX-Redirect"] == f"/admin/bots/bot/{twin.id}/change/" and twin.desired_status == "created"


def test_check_asked_for_is_a_row_first(desk: HttpClient, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("health.admin.bots.WAIT_S", 0)  # no worker runs here
    _post(desk, f"/admin/bots/bot/{cast.acme_bot}/check_now/", YES)
    assert CheckRequest.objects.get().requested_by == "operator:alice"
    assert "it goes on" in desk.get("/admin/bots/bot/").content.decode()


def test_running_bot_is_not_deleted_unless_insisted(desk: HttpClient, cast: Cast) -> None:
    _post(desk, f"/admin/bots/bot/{cast.acme_bot}/start/", YES)
    answer = desk.post(f"/admin/bots/bot/{cast.acme_bot}/delete/", {"post": "yes"}, follow=True)
    assert "stop it first" in answer.content.decode()
    assert (
        "stop them first"
        in desk.post(f"/admin/clients/client/{cast.acme}/delete/", {"post": "yes"}, follow=True).content.decode()
    )
    _post(desk, f"/admin/clients/client/{cast.acme}/force_delete/", YES)
    assert Client.objects.get(id=cast.acme).deletion_requested_by == "operator:alice"
    assert Bot.objects.get(id=cast.acme_bot).desired_status == "stopped"
    desk.post(f"/admin/clients/client/{cast.globex}/delete/", {"post": "yes"})
    assert Client.objects.get(id=cast.globex).retired_at
    assert AuditEntry.objects.filter(row_id=str(cast.globex), actor="operator:alice").exists()


def test_key_is_shown_once_works_and_can_be_revoked(desk: HttpClient, cast: Cast) -> None:
    answer = _post(desk, "/admin/clients/apikey/add/", {"kind": "client", "scope": "read", "client": str(cast.acme)})
    token = _token(answer)
    assert "no-store" in answer.headers["Cache-Control"]
    assert len(Caller(token).get("/bots").body["bots"]) == 1
    key = ApiKey.objects.get(prefix=token.rpartition("_")[0])
    assert key.created_by == "operator:alice"
    assert token not in desk.get("/admin/clients/apikey/").content.decode()
    _post(desk, f"/admin/clients/apikey/{key.id}/revoke/", YES)
    assert Caller(token).get("/bots").status == 401


def test_key_form_wants_the_owner_that_fits(desk: HttpClient, cast: Cast) -> None:
    for form in ({"kind": "client", "scope": "read"}, {"kind": "operator", "scope": "read", "client": str(cast.acme)}):
        assert _post(desk, "/admin/clients/apikey/add/", form).status_code == 200
    assert not ApiKey.objects.filter(created_by="operator:alice").exists()


def test_ping_key_of_a_bot_sends_heartbeats_only(desk: HttpClient, cast: Cast) -> None:
    token = _token(desk.post(f"/admin/bots/bot/{cast.acme_bot}/make_ping_key/"))
    assert Caller(token).post("/bots/heartbeat", {"bot_id": str(cast.acme_bot)}).status == 200
    assert Caller(token).get("/bots").status == 403


def test_settings_act_and_refuse_what_contradicts(desk: HttpClient) -> None:
    assert _post(desk, "/admin/bots/botssettings/1/change/", {"hummingbot_poll_seconds": "7"}).status_code == 302
    assert BotsSettings.objects.get().hummingbot_poll_seconds == 7
    form = {"stale_minutes": "45.5", "stopped_minutes": "", "check_interval_seconds": "60", "keep_checks_days": "30",
            "days_between_false_alarms": "30", "keep_heartbeats_days": "7"}  # fmt: skip
    assert _post(desk, "/admin/health/healthsettings/1/change/", form).status_code == 302
    assert str(HealthSettings.objects.get().stale_minutes) == "45.5000"
    assert _post(desk, "/admin/health/healthsettings/1/change/", form | {"stale_minutes": "500"}).status_code == 200
    assert AuditEntry.objects.filter(table_name="health_settings", actor="operator:alice").count() == 1


def test_template_is_checked_before_it_is_kept(desk: HttpClient) -> None:
    form = {
        "name": "grid",
        "kind": "controller",
        "controller_name": "grid_strike",
        "is_enabled": "on",
        "defaults": "{}",
        "schema": '{"type": "object", "properties": {"step": {"type": "number"}}}',
        "mapping": '{"step": "{stepp}"}',
    }
    assert "{stepp} is unknown" in _post(desk, "/admin/bots/bottemplate/add/", form).content.decode()
    assert _post(desk, "/admin/bots/bottemplate/add/", form | {"mapping": '{"step": "{step}"}'}).status_code == 302
    assert BotTemplate.objects.get(name="grid").mapping == {"step": "{step}"}


def test_second_factor_is_asked_for_once_it_is_switched_on(desk: HttpClient) -> None:
    page = desk.get("/admin/second-factor").content.decode()
    device = TOTPDevice.objects.get(confirmed=False)
    assert "The key is" in page
    assert desk.post("/admin/second-factor", {"code": f"{totp(device.bin_key):06d}"}).status_code == 302
    assert "The key is" not in desk.get("/admin/second-factor").content.decode()
    stranger, form = HttpClient(), {"username": "alice", "password": "correct horse battery"}
    assert stranger.post("/admin/login/", form).status_code == 200  # the password alone opens nothing
    TOTPDevice.objects.update(last_t=-1, throttling_failure_count=0, throttling_failure_timestamp=None)
    assert stranger.post("/admin/login/", form | {"code": f"{totp(device.bin_key):06d}"}).status_code == 302


def test_session_of_staff_reads_the_api_and_only_a_superuser_s_changes_anything(desk: HttpClient, cast: Cast) -> None:
    visitor = User.objects.create_user("victor", password="correct horse battery", is_staff=True)
    http = HttpClient()
    http.force_login(visitor, backend="django.contrib.auth.backends.ModelBackend")
    assert http.get("/bots").status_code == 200
    assert http.post(f"/bots/{cast.acme_bot}/start", "{}", content_type="application/json").status_code == 403
    assert desk.post(f"/bots/{cast.acme_bot}/start", "{}", content_type="application/json").status_code == 200


def test_ten_wrong_passwords_lock_out_and_a_right_one_signs_in(desk: HttpClient) -> None:
    stranger = HttpClient()
    assert stranger.post("/admin/login/", {"username": "alice", "password": "correct horse battery"}).status_code == 302
    for _ in range(10):
        last = HttpClient().post("/admin/login/", {"username": "alice", "password": "wrong"})
    assert last.status_code == 429
    assert (
        HttpClient().post("/admin/login/", {"username": "alice", "password": "correct horse battery"}).status_code
        == 429
    )


def _post(http: HttpClient, address: str, form: dict[str, Any]) -> Any:
    return http.post(address, form)


def _token(answer: Any) -> str:
    found = re.search(r'value="(tb[ocp]_[a-z0-9]{10}_[A-Za-z0-9]{43})"', answer.content.decode())
    assert found, _errors(answer)
    return found[1]


def _errors(answer: Any) -> str:
    form = (answer.context or {}).get("adminform") if hasattr(answer, "context") else None
    return str(form.form.errors) if form else answer.content.decode()[:2000]


def _client_form(*, name: str, wallet: str) -> dict[str, str]:
    return {
        "name": name, "account_identifier": "", "email": "", "status": "active", "tier": "standard",
        "management_mode": "managed", "settings": "{}",
        "wallets-TOTAL_FORMS": "1", "wallets-INITIAL_FORMS": "0", "wallets-0-chain": "evm", "wallets-0-address": wallet,
        "connectors-TOTAL_FORMS": "1", "connectors-INITIAL_FORMS": "0", "connectors-0-name": "kucoin",
        "connectors-0-label": "", "connectors-0-new_api_key": "planted-key-9999", "connectors-0-new_api_secret":
        "planted-secret", "connectors-0-new_memo": "planted-memo",
    }  # fmt: skip


def _existing_client(cast: Cast) -> dict[str, str]:
    wallet, connector = Wallet.objects.get(client_id=cast.acme), Connector.objects.get(client_id=cast.acme)
    return _client_form(name="acme", wallet=wallet.address) | {
        "account_identifier": "client_acme", "wallets-INITIAL_FORMS": "1", "wallets-0-id": str(wallet.id),
        "wallets-0-client": str(cast.acme), "connectors-INITIAL_FORMS": "1", "connectors-0-id": str(connector.id),
        "connectors-0-client": str(cast.acme), "connectors-0-new_api_key": "", "connectors-0-new_api_secret": "",
        "connectors-0-new_memo": "",
    }  # fmt: skip


def _bot_form(bot_id: Any) -> dict[str, str]:
    bot = Bot.objects.get(id=bot_id)
    return {
        "name": bot.name, "connector_name": bot.connector_name, "pair": bot.pair, "strategy": bot.strategy,
        "connector": str(bot.connector_id), "config": "{}", "runtime_kind": bot.runtime_kind, "stale_minutes": "",
        "stopped_minutes": "",
    }  # fmt: skip


def test_channel_is_made_tested_and_its_secrets_are_shown_once_or_never(desk: HttpClient) -> None:
    address = "https://hooks.example.org/services/planted-secret"
    form = {"name": "desk", "kind": "webhook", "is_enabled": "on", "new_address": address}
    answer = _post(desk, "/admin/alerts/alertchannel/add/", form)
    [channel] = AlertChannel.objects.all()
    key = channel.signing_key.open()
    assert answer.status_code == 200 and key in answer.content.decode()
    assert channel.address.open() == address and "planted" not in channel.address_hint
    page = desk.get(f"/admin/alerts/alertchannel/{channel.id}/change/").content.decode()
    assert "planted-secret" not in page and key not in page and "warning and worse, at once" in page
    rule = {"channel": channel.id, "name": "night", "is_enabled": "on", "kinds": "bot_health", "quiet_days": [6, 7],
            "min_severity": "critical", "after_minutes": "15", "repeat_minutes": "60", "quiet_from": "22:00:00",
            "quiet_until": "06:00:00", "quiet_timezone": "Europe/Berlin"}  # fmt: skip
    assert _post(desk, "/admin/alerts/alertrule/add/", rule).status_code == 302
    refused = _post(desk, "/admin/alerts/alertrule/add/", rule | {"name": "other", "quiet_timezone": "Mars/Base"})
    assert refused.status_code == 200 and AlertRule.objects.count() == 2
    said = "critical only, of bot health, still open after 15 min, again every 60 min, "
    said += "quiet 22:00 to 06:00 Europe/Berlin on Saturday, Sunday"
    assert said in desk.get("/admin/alerts/alertrule/").content.decode()
    changed = _post(desk, f"/admin/alerts/alertchannel/{channel.id}/change/", {"name": "desk 2", "new_address": ""})
    channel.refresh_from_db()
    assert changed.status_code == 302 and channel.address.open() == address and channel.name == "desk 2"
    renewed = desk.post(f"/admin/alerts/alertchannel/{channel.id}/renew_key/")
    channel.refresh_from_db()
    assert channel.signing_key.open() != key and channel.signing_key.open() in renewed.content.decode()
    entries = str(list(AuditEntry.objects.filter(table_name="alert_channels").values()))
    assert "planted" not in entries and key not in entries and "operator:alice" in entries


def test_a_channel_that_cannot_be_reached_says_so_and_a_bad_address_is_refused(desk: HttpClient) -> None:
    form = {"name": "desk", "kind": "email", "is_enabled": "on", "new_address": "not an address"}
    refused = _post(desk, "/admin/alerts/alertchannel/add/", form)
    assert refused.status_code == 200 and not AlertChannel.objects.exists() and _errors(refused)


def test_an_incident_is_snoozed_and_woken(desk: HttpClient, cast: Cast) -> None:
    made = raise_incident(
        scope=system_scope("health"), kind="bot_health", key="1", title="It is stopped.", now=timezone.now()
    )
    page = f"/admin/alerts/incident/{made}/"
    assert desk.post(f"{page}snooze/", YES | {"hours": "8", "reason": "known"}, headers=HERE).status_code == 200
    snooze = Snooze.objects.get()
    assert (snooze.kind, snooze.key, snooze.snoozed_by, snooze.reason) == ("bot_health", "1", "operator:alice", "known")
    shown = desk.get(f"{page}change/").content.decode()
    assert "operator:alice until" in shown and "known" in shown and "opened" in shown and "snoozed" in shown
    desk.post(f"{page}wake/", YES, headers=HERE)
    assert not Snooze.objects.exists()


def test_a_maintenance_window_is_made_changed_and_refused(desk: HttpClient, cast: Cast) -> None:
    form = {"name": "sundays", "client": cast.acme, "starts_at_0": "2026-11-22", "starts_at_1": "03:00:00",
            "cron": "0 3 * * sun", "timezone": "Europe/Berlin", "duration_minutes": "90"}  # fmt: skip
    answer = _post(desk, "/admin/alerts/maintenancewindow/add/", form)
    assert answer.status_code == 302, _errors(answer)
    window = MaintenanceWindow.objects.get()
    assert (window.cron, window.duration_minutes, window.created_by) == ("0 3 * * sun", 90, "operator:alice")
    refused = _post(desk, f"/admin/alerts/maintenancewindow/{window.id}/change/", form | {"cron": "never"})
    assert refused.status_code == 200
    window.refresh_from_db()
    assert window.cron == "0 3 * * sun"


def test_a_heartbeat_plan_is_set_refused_and_removed(desk: HttpClient, cast: Cast) -> None:
    form = {"bot": cast.acme_bot, "period_s": "", "cron": "*/5 * * * *", "timezone": "Europe/Berlin", "grace_s": "30"}
    answer = _post(desk, "/admin/health/heartbeatplan/add/", form)
    assert answer.status_code == 302, _errors(answer)
    plan = HeartbeatPlan.objects.get()
    assert (plan.bot_id, plan.cron, plan.client_id) == (cast.acme_bot, "*/5 * * * *", cast.acme)
    page = f"/admin/health/heartbeatplan/{plan.pk}"
    assert _post(desk, f"{page}/change/", form | {"cron": "now and then"}).status_code == 200
    assert HeartbeatPlan.objects.get().cron == "*/5 * * * *"
    assert _post(desk, f"{page}/delete/", {"post": "yes"}).status_code == 302
    assert not HeartbeatPlan.objects.exists()


def test_a_message_that_was_given_up_is_sent_again_and_no_other(desk: HttpClient, cast: Cast) -> None:
    channel = AlertChannel.objects.create(name="desk", kind="email", address="ops@example.org", address_hint="o...")
    given = {"channel": channel, "kind": "test", "severity": "info", "title": "It broke", "body": "It broke."}
    failed = AlertDelivery.objects.create(**given, status="failed", error="refused", attempts=5)
    sent = AlertDelivery.objects.create(**given, status="sent", sent_at=timezone.now())
    for row in (failed, sent):
        desk.post(f"/admin/alerts/alertdelivery/{row.id}/send_again/", YES, headers=HERE)
    assert dict(AlertDelivery.objects.values_list("id", "status")) == {failed.id: "waiting", sent.id: "sent"}
