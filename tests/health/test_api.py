"""Section 4 of the API over the whole stack: allowed, foreign, bad input, wrong state."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.db import connections
from django.utils import timezone

from bots.models import Bot, BotHealth
from bots.services.stop_bot import stop_bot
from ground.scope import Scope
from health import tasks
from health.models import BotCadence, BotHealthLog, CheckRequest, HealthSettings
from health.rules.cadence import learn
from health.services import ask_check
from health.services.ask_check import nudge_lost_requests, request_check
from tests.fixtures import OPERATOR, Cast, make_bot
from tests.health.conftest import ACME_KEY, Monitor, health_of, logs_of

HEALTH_FIELDS = {
    "bot_id",
    "name",
    "status",
    "health_status",
    "health_message",
    "last_known",
    "last_trade_time",
    "last_heartbeat",
    "status_updated_at",
    "checked_at",
    "evidence",
    "thresholds",
}


@pytest.fixture
def worker(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A worker on the queue of those who wait: each nudge is run in a thread. Gives the names of the tasks sent."""
    monkeypatch.setattr(tasks, "configured_gateways", lambda: monitor.gateways)
    sent: list[str] = []
    threads: list[threading.Thread] = []

    def run(request_id: str) -> None:
        try:
            tasks.check_now(request_id)
        finally:
            connections.close_all()

    def send_task(name: str, args: list[str], **_: object) -> None:
        sent.append(name)
        threads.append(threading.Thread(target=run, args=args))
        threads[-1].start()

    monkeypatch.setattr(ask_check.current_app, "send_task", send_task)
    yield sent
    for thread in threads:
        thread.join(20)


def test_shows_a_bots_health_with_its_evidence(monitor: Monitor, cast: Cast):
    monitor.traded(5)
    monitor.start(cast.acme_bot)
    monitor.check(cast.acme_bot)
    shown = cast.acme_reads.get(f"/bots/{cast.acme_bot}/health").body
    assert shown.keys() >= HEALTH_FIELDS
    assert (shown["health_status"], shown["color"], shown["status"]) == ("healthy", "green", "running")
    assert shown["thresholds"] == {
        "stale_minutes": 30,
        "stopped_minutes": 120,
        "heartbeat_minutes": 15,
        "source": "environment",
        "why": "The thresholds of the environment hold.",
    }
    assert shown["cause"] == "" and shown["changes_when"].startswith("Without another own trade it is stale from ")
    assert {"trades", "orders", "balance", "wish", "cadence"} <= {fact["probe"] for fact in shown["evidence"]}
    trades = shown["evidence"][0]
    assert (trades["probe"], trades["outcome"], trades["decided"]) == ("trades", "read", True)
    assert 0 <= trades["age_s"] < 60 and "1 own trades read on BTC/USDT at KuCoin" in trades["detail"]
    for name in ("last_trade_time", "status_updated_at", "checked_at"):
        assert shown[name].endswith("Z") and datetime.fromisoformat(shown[name]).tzinfo
    bot = cast.acme_reads.get(f"/bots/{cast.acme_bot}").body
    assert (bot["health_status"], bot["last_trade_time"]) == ("healthy", shown["last_trade_time"])


def test_shows_a_bot_that_was_never_checked(cast: Cast):
    shown = cast.operator.get(f"/bots/{cast.acme_bot}/health").body
    assert (shown["health_status"], shown["health_message"]) == ("unknown", "Not checked yet.")
    assert (shown["checked_at"], shown["evidence"], shown["last_known"]) == (None, [], None)


def test_checks_at_once_when_a_person_asks(monitor: Monitor, cast: Cast, worker: list[str]):
    monitor.traded(45)
    monitor.start(cast.acme_bot)
    answer = cast.acme_manages.post(f"/bots/{cast.acme_bot}/health/check")
    assert (answer.status, answer.body["success"], answer.body["health_status"]) == (200, True, "stale")
    assert answer.body.keys() >= HEALTH_FIELDS
    assert worker == ["health.check.now"]
    request = CheckRequest.objects.get()
    assert request.finished_at and request.requested_by.startswith("key:tbc_")


def test_says_so_when_the_bot_that_a_person_checks_does_not_run(monitor: Monitor, cast: Cast, worker: list[str]):
    never = cast.acme_manages.post(f"/bots/{cast.acme_bot}/health/check").body
    assert (never["health_status"], never["health_message"]) == ("unknown", "It was never started.")
    monitor.traded(5)
    trades = cast.acme_manages.post(f"/bots/{cast.acme_bot}/health/check").body
    assert (trades["health_status"], trades["health_message"]) == (
        "healthy",
        "Traded 5 min ago. It was never started here.",
    )
    monitor.start(cast.acme_bot)
    stop_bot(scope=OPERATOR, bot_id=cast.acme_bot, now=timezone.now())
    stopped = cast.acme_manages.post(f"/bots/{cast.acme_bot}/health/check").body
    assert (stopped["health_status"], stopped["health_message"]) == ("stopped", "stopped by operator:tests")
    assert stopped["evidence"][0]["outcome"] == "read"


def test_answers_503_when_no_worker_gets_to_the_check(monitor: Monitor, cast: Cast, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("health.api.CHECK_WAIT_S", 0.2)
    monkeypatch.setattr(ask_check.current_app, "send_task", lambda *_, **__: None)
    answer = cast.acme_manages.post(f"/bots/{cast.acme_bot}/health/check")
    assert (answer.status, answer.body["code"], answer.headers["Retry-After"]) == (503, "check_pending", "5")


def test_nudges_again_for_a_request_whose_nudge_was_lost(monitor: Monitor, cast: Cast, monkeypatch):
    sent: list[str] = []
    monkeypatch.setattr(ask_check.current_app, "send_task", lambda name, args, **_: sent.append(args[0]))
    request = request_check(scope=OPERATOR, bot_id=cast.acme_bot)
    sent.clear()
    assert nudge_lost_requests(now=timezone.now()) == 0
    assert nudge_lost_requests(now=timezone.now() + timedelta(seconds=4)) == 1
    assert sent == [str(request)]
    assert nudge_lost_requests(now=timezone.now() + timedelta(minutes=6)) == 0
    assert CheckRequest.objects.get().error == "No worker got to this check in time."


def test_does_one_check_for_all_who_ask_about_a_bot_and_none_twice(monitor: Monitor, cast: Cast, monkeypatch):
    monkeypatch.setattr(ask_check.current_app, "send_task", lambda *_, **__: None)
    monkeypatch.setattr(tasks, "configured_gateways", lambda: monitor.gateways)
    requests = [str(request_check(scope=OPERATOR, bot_id=cast.acme_bot)) for _ in range(3)]
    before = len(logs_of(cast.acme_bot))
    for request in [*requests, requests[0]]:
        tasks.check_now(request)
    assert len(logs_of(cast.acme_bot)) == before + 1
    assert CheckRequest.objects.filter(finished_at=None).count() == 0


def test_counts_every_bot_once_in_the_summary(monitor: Monitor, cast: Cast):
    monitor.traded(5)
    monitor.check(monitor.start(cast.acme_bot))
    monitor.traded(45, pair="ETH/USDT")
    monitor.check(monitor.running_bot(pair="ETH/USDT"))
    monitor.check(monitor.running_bot(pair="SHARP/USDT"))
    monitor.check(monitor.running_bot(pair="NOSUCHCOIN/USDT"))
    make_bot("client_acme", name="on paper", runtime_kind="arena")
    words = ("healthy", "stale", "stopped", "error", "unknown")
    summary = cast.operator.get("/bots/health/summary").body
    assert [summary[word] for word in words] == [1, 1, 1, 1, 1]
    assert summary["total_bots"] == 5 == len(summary["bots"]) == sum(summary[word] for word in words)
    mine = cast.operator.get("/bots/health/summary?account=client_acme").body
    assert (mine["total_bots"], mine["unknown"]) == (4, 0)
    assert {bot["account"] for bot in mine["bots"]} == {"client_acme"}
    nothing = {"total_bots": 0, **dict.fromkeys(words, 0), "bots": []}
    assert cast.operator.get("/bots/health/summary?account=nobody").body == nothing
    assert cast.acme_reads.get("/bots/health/summary?account=client_globex").body == nothing
    assert {bot["account"] for bot in cast.globex_manages.get("/bots/health/summary").body["bots"]} == {"client_globex"}


def test_pages_through_the_history_newest_first(monitor: Monitor, cast: Cast):
    monitor.traded(5)
    monitor.start(cast.acme_bot)
    for _ in range(3):
        monitor.check(cast.acme_bot)
    first = cast.acme_reads.get(f"/bots/{cast.acme_bot}/health/history?limit=3").body
    assert first["bot_id"] == str(cast.acme_bot) and first["next"]
    rest = cast.acme_reads.get(f"/bots/{cast.acme_bot}/health/history?limit=3&cursor={first['next']}").body
    assert rest["next"] is None
    lines = first["history"] + rest["history"]
    assert [line["health_status"] for line in lines] == ["healthy", "healthy", "healthy", "unknown"]
    assert [line["id"] for line in lines] == sorted((line["id"] for line in lines), reverse=True)
    fields = {"checked_at", "previous_status", "new_status", "health_status", "reason", "trade_count", "last_trade"}
    assert lines[0].keys() >= fields and lines[0]["trade_count"] == 1 and lines[0]["last_trade"].endswith("Z")
    for bad in ("limit=0", "limit=501", "limit=x", "cursor=nonsense", "offset=-1"):
        assert cast.acme_reads.get(f"/bots/{cast.acme_bot}/health/history?{bad}").status == 400


PATHS = (("GET", "/health"), ("POST", "/health/check"), ("GET", "/health/history"), ("GET", "/uptime"))


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_shows_nothing_to_strangers(cast: Cast, method: str, path: str):
    of_acme = f"/bots/{cast.acme_bot}{path}"
    assert cast.nobody(method, of_acme).status == 401
    assert cast.acme_bot_pings(method, of_acme).status == 403
    assert cast.globex_manages(method, of_acme).status == 404
    assert cast.operator(method, f"/bots/00000000-0000-0000-0000-000000000000{path}").status == 404
    if method == "POST":
        assert cast.acme_reads(method, of_acme).status == 403


def test_needs_credentials_for_summary_and_heartbeat(cast: Cast):
    assert cast.nobody.get("/bots/health/summary").status == 401
    assert cast.nobody.post("/bots/heartbeat", {"bot_id": str(cast.acme_bot)}).status == 401


# Heartbeats


def test_takes_a_heartbeat_from_whoever_may_speak_for_the_bot(cast: Cast):
    for caller in (cast.operator, cast.acme_manages, cast.acme_bot_pings):
        ping = {"bot_id": str(cast.acme_bot), "metadata": {"timestamp": 1700000000.25}}
        answer = caller.post("/bots/heartbeat", ping)
        assert (answer.status, answer.body["success"], answer.body["bot_id"]) == (200, True, str(cast.acme_bot))
        assert answer.body["received_at"].endswith("Z")
    health = health_of(cast.acme_bot)
    assert (health.heartbeat_status, health.heartbeat_metadata) == ("running", {"timestamp": 1700000000.25})
    bot = Bot.objects.get(id=cast.acme_bot)
    assert (bot.reported_status, bot.reported_by[:14]) == ("running", "heartbeat:key:")
    assert cast.operator.get(f"/bots/{cast.acme_bot}").body["last_heartbeat"] is not None


def test_refuses_a_heartbeat_from_whoever_may_not(cast: Cast):
    body = {"bot_id": str(cast.acme_bot)}
    assert cast.acme_reads.post("/bots/heartbeat", body).status == 403
    assert cast.globex_manages.post("/bots/heartbeat", body).status == 404
    assert cast.acme_bot_pings.post("/bots/heartbeat", {"bot_id": str(cast.globex_bot)}).status == 404
    sister = make_bot("client_acme", name="sister")
    assert cast.acme_bot_pings.post("/bots/heartbeat", {"bot_id": str(sister)}).status == 404
    assert health_of(cast.acme_bot).last_heartbeat_at is None


def test_refuses_a_heartbeat_for_a_bot_that_does_not_exist(cast: Cast):
    for unknown in ("00000000-0000-0000-0000-000000000000", "no such bot", 4711):
        assert cast.operator.post("/bots/heartbeat", {"bot_id": unknown}).status == 404


def test_finds_a_bot_by_the_number_it_had_in_the_old_system(cast: Cast):
    Bot.objects.filter(id=cast.acme_bot).update(source="old", source_id="42")
    for old_id in (42, "42"):
        answer = cast.operator.post("/bots/heartbeat", {"bot_id": old_id, "status": "running"})
        assert (answer.status, answer.body["bot_id"]) == (200, str(cast.acme_bot))
    Bot.objects.filter(id=cast.globex_bot).update(source="old", source_id="42")
    both = cast.operator.post("/bots/heartbeat", {"bot_id": 42})
    assert (both.status, len(both.body["candidates"])) == (409, 2)
    assert cast.acme_manages.post("/bots/heartbeat", {"bot_id": 42}).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"bot_id": None},
        {"bot_id": True},
        {"bot_id": []},
        {"bot_id": ""},
        {"bot_id": 1.5},
        {"bot_id": "x" * 300},
        {"status": "dancing"},
        {"status": 1},
        {"status": ""},
        {"metadata": []},
        {"metadata": "x"},
        {"metadata": {"x": "y" * 9000}},
    ],
)
def test_refuses_a_malformed_heartbeat(cast: Cast, body: dict[str, object]):
    given = {"bot_id": str(cast.acme_bot)} | body if "bot_id" not in body and body else body
    answer = cast.operator.post("/bots/heartbeat", given)
    assert answer.status == 400 and answer.body["errors"]


def test_refuses_a_number_that_would_be_written_out_in_full(cast: Cast):
    raw = b'{"bot_id": "%b", "metadata": {"x": 1e999999999}}' % str(cast.acme_bot).encode()
    assert cast.operator("POST", "/bots/heartbeat", raw).status == 400


def test_lets_an_error_heartbeat_take_effect_at_once(monitor: Monitor, cast: Cast):
    """A fault of the old system: a heartbeat saying error counted as healthy."""
    monitor.traded(5)
    monitor.check(monitor.start(cast.acme_bot))
    ping = {"bot_id": str(cast.acme_bot), "status": "error"}
    assert cast.acme_bot_pings.post("/bots/heartbeat", ping).status == 200
    shown = cast.operator.get(f"/bots/{cast.acme_bot}/health").body
    assert (shown["health_status"], shown["health_message"][:24]) == ("error", "Its heartbeat said error")
    assert monitor.check(cast.acme_bot).status == "error", "and the next check does not take it back"
    last = cast.operator.get(f"/bots/{cast.acme_bot}/health/history").body["history"]
    assert (last[1]["previous_status"], last[1]["new_status"], last[1]["actor"][:4]) == ("healthy", "error", "key:")
    assert cast.acme_bot_pings.post("/bots/heartbeat", ping | {"status": "running"}).status == 200
    assert health_of(cast.acme_bot).due_at <= timezone.now(), "better news is looked at with the next tick"
    assert monitor.check(cast.acme_bot).status == "healthy"


def test_does_not_let_a_late_heartbeat_undo_a_stop(monitor: Monitor, cast: Cast):
    monitor.start(cast.acme_bot)
    stop_bot(scope=OPERATOR, bot_id=cast.acme_bot, now=timezone.now())
    cast.operator.post("/bots/heartbeat", {"bot_id": str(cast.acme_bot), "status": "error"})
    health = health_of(cast.acme_bot)
    assert (health.status, health.message) == ("stopped", "stopped by operator:tests")


def test_believes_a_heartbeat_only_where_trades_cannot_be_read(monitor: Monitor, cast: Cast):
    unreadable, dead = monitor.running_bot(connector="bitmart"), monitor.running_bot(pair="ETH/USDT")
    monitor.traded(300, pair="ETH/USDT")
    for bot in (unreadable, dead):
        cast.operator.post("/bots/heartbeat", {"bot_id": str(bot), "status": "running"})
    monitor.check(unreadable, dead)
    assert (health_of(unreadable).status, health_of(dead).status) == ("healthy", "stale")
    assert "BitMart closed in 2026" in health_of(unreadable).message
    BotHealth.objects.update(last_heartbeat_at=timezone.now() - timedelta(minutes=16))
    monitor.check(unreadable, dead)
    assert (health_of(unreadable).status, health_of(dead).status) == ("unknown", "stopped")


def test_writes_no_audit_entry_for_a_heartbeat_that_says_nothing_new(cast: Cast):
    from clients.models import AuditEntry

    ping = {"bot_id": str(cast.acme_bot), "status": "running"}
    cast.acme_bot_pings.post("/bots/heartbeat", ping)
    before = AuditEntry.objects.filter(table_name="bots").count()
    cast.acme_bot_pings.post("/bots/heartbeat", ping)
    assert AuditEntry.objects.filter(table_name="bots").count() == before


def test_keeps_a_bot_of_its_own_thresholds_in_the_answer(cast: Cast):
    cast.operator.put(f"/bots/{cast.acme_bot}", {"stale_minutes": 1.5, "stopped_minutes": 2.25})
    thresholds = cast.operator.get(f"/bots/{cast.acme_bot}/health").body["thresholds"]
    assert (thresholds["stale_minutes"], thresholds["stopped_minutes"], thresholds["source"]) == (1.5, 2.25, "bot")


def test_lets_only_its_own_client_see_a_health_row_in_the_database(monitor: Monitor, cast: Cast):
    monitor.check(monitor.start(cast.acme_bot))
    globex = Scope(actor="key:tests", client_id=cast.globex)
    with globex.transaction():
        assert not BotHealthLog.objects.exists()
        assert list(BotHealth.objects.values_list("client_id", flat=True)) == [cast.globex]


def test_shows_learned_limits_and_why_unless_the_bot_has_its_own_or_nothing_is_learned(cast: Cast):
    now = timezone.now().timestamp()
    hourly = learn([now - 3600 * age for age in range(24 * 14, 0, -1)])
    BotCadence.objects.create(
        bot_id=cast.acme_bot, client_id=cast.acme, learned_at=timezone.now(), trades=336, is_enough=True,
        note=hourly.note, profile=hourly.profile,
    )  # fmt: skip
    thresholds = cast.acme_reads.get(f"/bots/{cast.acme_bot}/health").body["thresholds"]
    assert thresholds["source"] == "learned" and thresholds["stale_minutes"] > 30
    assert thresholds["why"].startswith("Quiet is normal here: longest gap this week 60 min;")
    HealthSettings.objects.create(learns_cadence=False)
    assert cast.acme_reads.get(f"/bots/{cast.acme_bot}/health").body["thresholds"]["source"] == "environment"
    HealthSettings.objects.update(learns_cadence=True)
    cast.operator.put(f"/bots/{cast.acme_bot}", {"stale_minutes": "7"})
    thresholds = cast.acme_reads.get(f"/bots/{cast.acme_bot}/health").body["thresholds"]
    assert (thresholds["source"], thresholds["stale_minutes"], thresholds["why"]) == (
        "bot",
        7,
        "Its own thresholds hold.",
    )


def test_says_what_would_change_the_verdict_also_right_after_a_start_and_a_stop(monitor: Monitor, cast: Cast):
    def minds() -> tuple[str, str, str]:
        shown = cast.acme_reads.get(f"/bots/{cast.acme_bot}/health").body
        return shown["health_status"], shown["cause"], shown["changes_when"]

    monitor.start(cast.acme_bot)
    assert minds() == ("unknown", "", "The first check decides.")
    monitor.sandbox.fault(f"key:{ACME_KEY['api_key']}", "revoked")
    monitor.check(cast.acme_bot)
    new_key = "Give its connector a key that the exchange accepts and that may read trades."
    assert minds() == ("error", "key", new_key)
    stop_bot(scope=OPERATOR, bot_id=cast.acme_bot, now=timezone.now())
    assert minds() == ("stopped", "", "Start it, and it is judged again.")
