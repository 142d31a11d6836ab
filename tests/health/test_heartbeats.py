"""Pings, the history of heartbeats and the plans of bots, over the whole stack."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.utils import timezone
from structlog.stdlib import ProcessorFormatter

from bots.models import Bot, BotHealth
from bots.services.manage_bots import delete_bot
from bots.services.stop_bot import stop_bot
from bridge_project.logs import veil_event
from clients.models import ApiKey, AuditEntry, Client
from clients.rules.words import KeyKind, KeyScope
from clients.services.keys import revoke_api_keys
from ground.scope import Scope, system_scope
from health.models import HealthSettings, HeartbeatLog, HeartbeatPlan
from health.services.forget_heartbeats import forget_heartbeats
from health.services.heartbeat_plans import wake_overdue_bots
from tests.fixtures import OPERATOR, Answer, Caller, Cast, make_bot, make_key
from tests.health.conftest import Monitor, health_of

Ping = Callable[..., Answer]
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def ping(cast: Cast) -> Ping:
    """Asks acme's bot's ping address, as curl would: ``ping("/fail?rid=7", method="POST", body=b"words")``."""
    key = cast.acme_bot_pings.key

    def ask(rest: str = "", *, method: str = "GET", body: bytes | None = None, key: str | None = key) -> Answer:
        return Caller()(method, f"/ping/{key}{rest}", body)

    return ask


def lines(cast: Cast) -> list[HeartbeatLog]:
    return list(HeartbeatLog.objects.filter(bot_id=cast.acme_bot).order_by("id"))


# Pings


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_takes_a_ping_that_brings_nothing_but_its_address(cast: Cast, ping: Ping, method: str):
    answer = ping(method=method)
    assert (answer.status, answer.headers["Content-Type"], answer.headers["Cache-Control"]) == (
        200,
        "text/plain",
        "no-store",
    )
    assert answer.body == ("" if method == "HEAD" else "OK")
    health = health_of(cast.acme_bot)
    assert health.heartbeat_status == "running" and health.last_heartbeat_at is not None
    [line] = lines(cast)
    assert (line.kind, line.word, line.run_id, line.exit_code, line.body) == ("success", "running", "", None, "")
    assert line.actor.startswith("key:tbp_") and line.actor in Bot.objects.get(id=cast.acme_bot).reported_by


WORDS = {
    "": ("success", "running", None),
    "/start": ("start", "running", None),
    "/fail": ("fail", "error", None),
    "/0": ("success", "running", 0),
    "/3": ("fail", "error", 3),
}


@pytest.mark.parametrize(("rest", "said"), WORDS.items())
def test_makes_of_each_ping_what_it_says(monitor: Monitor, cast: Cast, ping: Ping, rest: str, said: tuple[Any, ...]):
    monitor.start(cast.acme_bot)
    assert ping(rest).status == 200
    [line] = lines(cast)
    assert (line.kind, line.word, line.exit_code) == said
    health, bot = health_of(cast.acme_bot), Bot.objects.get(id=cast.acme_bot)
    assert (health.heartbeat_status, bot.reported_status) == (said[1], said[1])
    assert (health.status == "error") == (said[1] == "error"), "an error takes effect at once"


def test_keeps_the_words_of_a_log_and_changes_nothing_else(monitor: Monitor, cast: Cast, ping: Ping):
    monitor.start(cast.acme_bot)
    ping("/fail")
    before = BotHealth.objects.values().get(bot_id=cast.acme_bot)
    audited = AuditEntry.objects.count()
    assert ping("/log", method="POST", body="spread is wide today, ü".encode()).status == 200
    assert BotHealth.objects.values().get(bot_id=cast.acme_bot) == before
    assert AuditEntry.objects.count() == audited
    line = lines(cast)[-1]
    assert (line.kind, line.word, line.body) == ("log", None, "spread is wide today, ü")


def test_names_run_code_and_length_where_a_run_ended_badly(monitor: Monitor, cast: Cast, ping: Ping):
    monitor.traded(5)
    monitor.check(monitor.start(cast.acme_bot))
    began = timezone.now() + timedelta(seconds=1)
    with time_machine.travel(began, tick=False):
        ping("/start?rid=nightly-7")
    with time_machine.travel(began + timedelta(seconds=5), tick=False):
        ping("/start?rid=other")
    with time_machine.travel(began + timedelta(seconds=12.25), tick=False):
        ping("/3?rid=nightly-7", method="POST", body=b"Traceback: no margin left")
        shown = cast.acme_reads.get(f"/bots/{cast.acme_bot}/health").body
    assert shown["health_status"] == "error"
    assert "run nightly-7 ended with exit code 3 after 12 s" in shown["health_message"]
    line = lines(cast)[-1]
    assert (line.exit_code, line.duration_ms, line.run_id) == (3, 12250, "nightly-7")
    assert health_of(cast.acme_bot).heartbeat_metadata == {
        "kind": "fail", "run_id": "nightly-7", "exit_code": 3, "duration_ms": 12250,
    }  # fmt: skip
    with time_machine.travel(began + timedelta(seconds=20), tick=False):
        ping("/start?rid=nightly-8")
    assert monitor.check(cast.acme_bot).status == "healthy", "a new run is news, and the next check believes the trades"


def test_measures_a_run_without_an_id_from_its_start_to_its_first_end(cast: Cast, ping: Ping):
    def said(rest: str, at_s: float) -> int | None:
        with time_machine.travel(NOON + timedelta(seconds=at_s), tick=False):
            ping(rest)
        return lines(cast)[-1].duration_ms

    assert [said("", 0), said("/start", 10), said("/log", 11), said("/0", 14), said("/0", 15)] == [
        None, None, 1000, 4000, None,
    ]  # fmt: skip
    assert [said("/start", 20), said("/start", 30), said("/fail", 31)] == [None, None, 1000]
    assert [said("/start?rid=a", 40), said("?rid=a", 41), said("/0?rid=a", 42), said("/0?rid=b", 43)] == [
        None, 1000, 2000, None,
    ]  # fmt: skip


def test_does_not_let_a_ping_that_was_held_up_undo_a_later_one(cast: Cast, ping: Ping):
    with time_machine.travel(NOON, tick=False):
        ping("")
    with time_machine.travel(NOON - timedelta(seconds=1), tick=False):
        ping("/fail")
    assert (health_of(cast.acme_bot).heartbeat_status, len(lines(cast))) == ("running", 2)
    assert Bot.objects.get(id=cast.acme_bot).reported_status == "running"


def test_keeps_10_kb_of_what_comes_along_whatever_it_is(cast: Cast, ping: Ping):
    ping(method="POST", body=b"x" * 300_000)
    ping(method="POST", body=b"\xff\xfe\x00\xd8 \x00 end")
    long, odd = (line.body for line in lines(cast))
    assert long == "x" * 10_240
    assert "\x00" not in odd and odd.endswith(" end")
    answer = ping(method="POST", body=b"x" * 1_100_000)
    assert (answer.status, answer.body["code"]) == (413, "too_large")


@pytest.mark.parametrize("rest", ["/256", "/-1", "/stop", "/START", "/start/again", "/1.5", "/%00"])
def test_knows_no_other_word(cast: Cast, ping: Ping, rest: str):
    answer = ping(rest)
    assert (answer.status, answer.body["code"]) == (404, "not_found")
    assert not lines(cast)


@pytest.mark.parametrize("rid", ["a" * 65, "a%20b", "%00", "%F0%9F%98%80", "<b>"])
def test_refuses_a_run_id_that_is_none(cast: Cast, ping: Ping, rid: str):
    answer = ping(f"/start?rid={rid}")
    assert answer.status == 400 and answer.body["errors"]["rid"]
    assert not lines(cast)


def test_answers_404_for_every_key_that_may_not_ping(cast: Cast, ping: Ping):
    good = cast.acme_bot_pings.key or ""
    others = [cast.operator.key, cast.acme_manages.key, cast.acme_reads.key, good[:-1], good + "x", good[:-1] + "!"]
    expired = make_key(
        KeyKind.BOT, KeyScope.PING, client_id=cast.acme, bot_id=cast.acme_bot, expires_at=timezone.now() - timedelta(1)
    )
    for key in [*others, expired, "tbp_" + "a" * 10 + "_" + "b" * 43, "x", "%00"]:
        answer = ping(key=key)
        assert answer.status == 404, key
    assert health_of(cast.acme_bot).last_heartbeat_at is None and not lines(cast)


@pytest.mark.parametrize("way", ["revoked", "suspended", "deleted"])
def test_answers_404_once_key_client_or_bot_are_gone(cast: Cast, ping: Ping, way: str):
    assert ping().status == 200
    if way == "revoked":
        revoke_api_keys(scope=OPERATOR, ids=list(ApiKey.objects.filter(kind="bot").values_list("id", flat=True)))
    elif way == "suspended":
        Client.objects.filter(id=cast.acme).update(status="suspended")
    else:
        delete_bot(scope=OPERATOR, bot_id=cast.acme_bot, now=timezone.now())
    assert (ping().status, ping("/fail").status) == (404, 404)
    assert len(lines(cast)) == 1


def test_slows_down_who_pings_too_often_but_hears_a_failure(monitor: Monitor, cast: Cast, ping: Ping):
    monitor.start(cast.acme_bot)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert {ping().status for _ in range(60)} == {200}
        slow = ping("/log")
        assert (slow.status, slow.body["code"], slow.headers["Retry-After"]) == (429, "too_many_requests", "30")
        assert cast.acme_bot_pings.post("/bots/heartbeat", {"bot_id": str(cast.acme_bot)}).status == 200
        assert len(lines(cast)) == 60, "what the other way brings is believed, and left out of the history"
        assert ping("/fail").status == 200
        assert health_of(cast.acme_bot).status == "error"
        clock.shift(61)
        assert ping().status == 200


def test_hears_many_pings_of_one_bot_at_once(cast: Cast, ping: Ping):
    answers: list[int] = []

    def call(number: int) -> None:
        try:
            answers.append(ping(f"/{number % 2}?rid={number}").status)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=call, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [200] * 8 and len(lines(cast)) == 8
    newest = max(lines(cast), key=lambda line: line.received_at)
    assert health_of(cast.acme_bot).heartbeat_status == newest.word


def test_does_not_let_a_failure_undo_a_stop(monitor: Monitor, cast: Cast, ping: Ping):
    monitor.start(cast.acme_bot)
    stop_bot(scope=OPERATOR, bot_id=cast.acme_bot, now=timezone.now())
    assert ping("/fail").status == 200
    assert (health_of(cast.acme_bot).status, health_of(cast.acme_bot).message) == (
        "stopped",
        "stopped by operator:tests",
    )


def test_takes_no_other_method(ping: Ping):
    assert (ping(method="DELETE").status, ping(method="PUT", body=b"").status) == (405, 405)
    assert ping(method="OPTIONS").status == 204


# History


def test_shows_what_was_heard_newest_first_and_in_pages(cast: Cast, ping: Ping):
    ping("/start?rid=7")
    cast.acme_bot_pings.post(
        "/bots/heartbeat", {"bot_id": str(cast.acme_bot), "status": "stopped", "metadata": {"a": 1.50}}
    )
    cast.operator.post("/bots/heartbeat", {"bot_id": str(cast.acme_bot), "status": "error"})
    ping("/9?rid=7", method="POST", body=b"last words")
    first = cast.acme_reads.get(f"/bots/{cast.acme_bot}/heartbeats?limit=3").body
    assert first["bot_id"] == str(cast.acme_bot) and first["next"]
    rest = cast.acme_reads.get(f"/bots/{cast.acme_bot}/heartbeats?limit=3&cursor={first['next']}").body
    assert rest["next"] is None
    shown = first["heartbeats"] + rest["heartbeats"]
    assert [(line["kind"], line["status"]) for line in shown] == [
        ("fail", "error"), ("fail", "error"), ("success", "stopped"), ("start", "running"),
    ]  # fmt: skip
    newest = shown[0]
    assert newest.keys() == {
        "id", "received_at", "kind", "status", "run_id", "exit_code", "duration_ms", "body", "actor",
    }  # fmt: skip
    assert (newest["exit_code"], newest["run_id"], newest["body"]) == (9, "7", "last words")
    assert newest["duration_ms"] >= 0 and newest["received_at"].endswith("Z")
    assert shown[2]["body"] == '{"a":1.5}'
    assert cast.operator.get(f"/bots/{cast.globex_bot}/heartbeats").body["heartbeats"] == []
    for bad in ("limit=0", "limit=501", "cursor=nonsense", "offset=-1"):
        assert cast.acme_reads.get(f"/bots/{cast.acme_bot}/heartbeats?{bad}").status == 400


def test_forgets_single_heartbeats_after_the_days_that_an_operator_chose(cast: Cast, ping: Ping):
    for days in (8, 6):
        with time_machine.travel(timezone.now() - timedelta(days=days), tick=False):
            ping()
    assert forget_heartbeats(scope=system_scope("tests"), now=timezone.now()) == 1
    HealthSettings.objects.create(id=1, keep_heartbeats_days=5)
    assert forget_heartbeats(scope=system_scope("tests"), now=timezone.now()) == 1
    assert not lines(cast) and health_of(cast.acme_bot).last_heartbeat_at is not None


# Plans

HOURLY = {"period_s": 3600, "grace_s": 300}


def plan_path(cast: Cast) -> str:
    return f"/bots/{cast.acme_bot}/heartbeat-plan"


def test_sets_shows_and_takes_back_a_bots_own_plan(cast: Cast, ping: Ping):
    common = cast.acme_reads.get(plan_path(cast)).body
    assert (common["source"], common["period_s"], common["last_heartbeat"], common["is_overdue"]) == (
        "common",
        900,
        None,
        False,
    )
    given = cast.acme_manages.put(plan_path(cast), HOURLY)
    assert (given.status, given.body["source"], given.body["period_s"], given.body["grace_s"]) == (
        200,
        "bot",
        3600,
        300,
    )
    assert (given.body["next_at"], given.body["overdue_at"]) == (None, None), (
        "nothing is owed before the first heartbeat"
    )
    with time_machine.travel(NOON, tick=False):
        ping()
        by_clock = cast.acme_manages.put(plan_path(cast), {"cron": " 0  3 * * * ", "timezone": "Europe/Berlin"}).body
    assert (by_clock["cron"], by_clock["period_s"], by_clock["grace_s"]) == ("0 3 * * *", None, 60)
    assert (by_clock["next_at"], by_clock["overdue_at"]) == ("2026-11-22T02:00:00Z", "2026-11-22T02:01:00Z")
    with time_machine.travel(NOON + timedelta(hours=15), tick=False):
        assert cast.acme_reads.get(plan_path(cast)).body["is_overdue"] is True
    gone = cast.acme_manages.delete(plan_path(cast))
    assert (gone.status, gone.body) == (200, {"status": "deleted", "bot_id": str(cast.acme_bot)})
    assert cast.acme_manages.delete(plan_path(cast)).status == 404
    assert health_of(cast.acme_bot).heartbeat_expires_at is None and not HeartbeatPlan.objects.exists()
    written = AuditEntry.objects.filter(table_name="bot_heartbeat_plans").order_by("id")
    assert [entry.action for entry in written] == ["INSERT", "UPDATE", "DELETE"]
    assert {entry.row_id for entry in written} == {str(cast.acme_bot)}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"period_s": 60, "cron": "* * * * *"},
        {"period_s": 0},
        {"period_s": -5},
        {"period_s": 1.5},
        {"period_s": "soon"},
        {"period_s": 10**12},
        {"period_s": 60, "grace_s": 0},
        {"cron": "61 * * * *"},
        {"cron": "0 0 31 2 *"},
        {"cron": 5},
        {"cron": "* * * * *", "timezone": "Mars/Olympus"},
        {"period_s": 60, "timezone": "x" * 100},
    ],
)
def test_refuses_a_malformed_plan(cast: Cast, body: dict[str, object]):
    answer = cast.acme_manages.put(plan_path(cast), body)
    assert answer.status == 400 and answer.body["errors"]
    assert not HeartbeatPlan.objects.exists()


PATHS = [
    ("GET", "/heartbeat-plan", None), ("PUT", "/heartbeat-plan", HOURLY), ("DELETE", "/heartbeat-plan", None),
    ("GET", "/heartbeats", None),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body"), PATHS)
def test_shows_nothing_to_strangers(cast: Cast, method: str, path: str, body: Any):
    of_acme = f"/bots/{cast.acme_bot}{path}"
    cast.operator.put(plan_path(cast), HOURLY)
    assert cast.nobody(method, of_acme, body).status == 401
    assert cast.acme_bot_pings(method, of_acme, body).status == 403
    assert cast.globex_manages(method, of_acme, body).status == 404
    assert cast.operator(method, f"/bots/00000000-0000-0000-0000-000000000000{path}", body).status == 404
    if method != "GET":
        assert cast.acme_reads(method, of_acme, body).status == 403
    assert HeartbeatPlan.objects.get().client_id == cast.acme


def test_keeps_heartbeats_and_plans_of_others_out_of_reach_in_the_database(cast: Cast, ping: Ping):
    ping()
    cast.operator.put(plan_path(cast), HOURLY)
    with Scope(actor="key:tests", client_id=cast.globex).transaction():
        assert not HeartbeatLog.objects.exists() and not HeartbeatPlan.objects.exists()
        assert HeartbeatPlan.objects.filter(bot_id=cast.acme_bot).update(grace_s=1) == 0


def test_notices_at_once_when_a_promised_heartbeat_does_not_come(monitor: Monitor, cast: Cast, ping: Ping):
    """A bot whose trades cannot be read is judged by its heartbeats alone, as its own plan promises them."""
    bot = monitor.running_bot(connector="bitmart")
    key = make_key(KeyKind.BOT, KeyScope.PING, client_id=cast.acme, bot_id=bot)
    cast.operator.put(f"/bots/{bot}/heartbeat-plan", {"period_s": 7200, "grace_s": 600})
    ping(key=key)
    heard_at = health_of(bot).last_heartbeat_at
    assert heard_at and health_of(bot).heartbeat_expires_at == heard_at + timedelta(seconds=7800)
    late, too_late = heard_at + timedelta(seconds=7700), heard_at + timedelta(seconds=7801)
    assert monitor.check(bot, clock=lambda: late).status == "healthy", "two hours of silence are as planned"
    BotHealth.objects.filter(bot_id=bot).update(due_at=too_late + timedelta(minutes=5))
    assert wake_overdue_bots(now=late) == 0
    assert (wake_overdue_bots(now=too_late), wake_overdue_bots(now=too_late)) == (1, 0)
    assert health_of(bot).due_at == too_late
    assert monitor.check(bot, clock=lambda: too_late).status == "stopped"
    BotHealth.objects.filter(bot_id=bot).update(due_at=too_late + timedelta(minutes=5))
    assert wake_overdue_bots(now=too_late + timedelta(minutes=1)) == 0, "and is not woken again for the same silence"


def test_looks_at_the_bot_again_when_its_plan_changes(monitor: Monitor, cast: Cast, ping: Ping):
    monitor.start(cast.acme_bot)
    ping()
    BotHealth.objects.update(due_at=timezone.now() + timedelta(minutes=5))
    cast.acme_manages.put(plan_path(cast), HOURLY)
    assert health_of(cast.acme_bot).due_at <= timezone.now()


# Keys stay out of logs


def test_never_logs_the_key_that_stands_in_an_address(cast: Cast, ping: Ping, monkeypatch: pytest.MonkeyPatch):
    def breaks(**_: Any) -> None:
        raise ZeroDivisionError("a defect of ours")

    monkeypatch.setattr("health.services.receive_ping.receive_ping", breaks)
    [formatter] = [h.formatter for h in logging.getLogger().handlers if isinstance(h.formatter, ProcessorFormatter)]
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)
    try:
        answer = ping()
    finally:
        logging.getLogger().removeHandler(handler)
    key, logged = cast.acme_bot_pings.key or "", written.getvalue()
    assert answer.status == 500 and answer.body["code"] == "server_error"
    assert "ZeroDivisionError" in logged and f"/ping/{key[:14]}_…" in logged and key[-43:] not in logged
    event = {"request": {"url": f"https://bridge/ping/{key}/fail"}, "extra": [1, None, (key,)]}
    assert veil_event(event) == {
        "request": {"url": f"https://bridge/ping/{key[:14]}_…/fail"},
        "extra": [1, None, [f"{key[:14]}_…"]],
    }


def test_makes_a_bot_of_another_client_unreachable_by_a_ping_key(cast: Cast):
    """A key's bot is fixed when it is made; its address has no place for another."""
    sister = make_bot("client_acme", name="sister")
    Caller()("GET", f"/ping/{cast.acme_bot_pings.key}?bot_id={sister}")
    assert set(HeartbeatLog.objects.values_list("bot_id", flat=True)) == {cast.acme_bot}
