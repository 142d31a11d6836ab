from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from bots.models import Bot, BotDeployment, BotRuntime, HummingbotState
from bots.rules.status import derive_status
from bots.rules.words import DeploymentStatus, DesiredStatus, ReportedStatus, RuntimeKind, RuntimeStatus
from bots.selectors import bot_status
from tests.fixtures import OPERATOR, Cast, make_bot

BOT_FIELDS = (
    "id client_id account instance_name name connector connector_id pair strategy config runtime_kind status desired_status "
    "reported_status runtime health_status health_message last_known last_trade_time last_heartbeat stale_minutes "
    "stopped_minutes status_updated_at stats created_at updated_at"
).split()
GOOD = {
    "name": "Sharp Spread",
    "account": "client_acme",
    "connector": "kucoin",
    "pair": "SHARP/USDT",
    "strategy": "spread",
    "config": {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600},
}


def test_creates_a_bot_with_every_field_and_echoes_the_pair_as_written(cast: Cast) -> None:
    answer = cast.operator.post("/bots/create", GOOD | {"pair": "sharp-usdt"})
    assert answer.status == 201, answer.body
    assert set(BOT_FIELDS) <= set(answer.body)
    assert answer.body["status"] == "created" and answer.body["runtime_kind"] == "external"
    assert answer.body["pair"] == "sharp-usdt" and answer.body["config"] == GOOD["config"]
    assert answer.body["connector_id"] is not None and answer.body["stats"]["trades_24h"] == {
        "buys": None,
        "sells": None,
    }
    shown = cast.operator.get(f"/bots/{answer.body['id']}").body
    assert shown["pair"] == "SHARP/USDT" and shown["runtime"] is None and shown["health_status"] == "unknown"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"account": "x"}, "No client found with account_identifier 'x'"),
        ({"pair": "../../etc"}, "pair"),
        ({"pair": "BTC"}, ""),
        ({"config": "no"}, "config"),
        ({"config": {"bid_spread": "x"}}, ""),
        ({"connector": "ku coin!"}, ""),
        ({"name": None}, "name"),
        ({"runtime_kind": "arena"}, "runtime_kind"),
        ({"stale_minutes": -1}, "stale_minutes"),
        ({"stale_minutes": 30, "stopped_minutes": 10}, "stopped_minutes"),
        ({"connector_id": "00000000-0000-0000-0000-000000000000"}, "connector_id"),
    ],
)
def test_says_why_a_bot_is_refused(cast: Cast, change: dict[str, Any], said: str) -> None:
    answer = cast.operator.post("/bots/create", GOOD | change)
    assert answer.status == 400 and said in answer.body["detail"] + str(answer.body.get("errors")), answer.body
    assert Bot.objects.count() == 2


def test_keeps_every_digit_of_a_config(cast: Cast) -> None:
    raw = b'{"name":"x","account":"client_acme","connector":"kucoin","pair":"A/B","strategy":"mine",'
    raw += b'"config":{"p":0.100000000000000000001,"n":12345678901234567890}}'
    made = cast.operator("POST", "/bots/create", raw)
    text = cast.operator.http.get(f"/bots/{made.body['id']}", headers={"Authorization": f"Bearer {cast.operator.key}"})
    assert b"0.100000000000000000001" in text.content and b"12345678901234567890" in text.content
    cloned = cast.operator.post(f"/bots/{made.body['id']}/clone", {"name": "y"})
    text = cast.operator.http.get(
        f"/bots/{cloned.body['id']}", headers={"Authorization": f"Bearer {cast.operator.key}"}
    )
    assert b"0.100000000000000000001" in text.content


def test_lists_by_account_search_status_health_and_kind(cast: Cast) -> None:
    cast.operator.post("/bots/create", GOOD)
    names = lambda query: [b["name"] for b in cast.operator.get(f"/bots{query}").body["bots"]]
    assert names("") == ["acme maker", "globex maker", "Sharp Spread"]
    assert names("?account=client_acme") == ["acme maker", "Sharp Spread"]
    assert names("?account=nobody") == names("?search=%25") == names("?status=running") == names("?kind=arena") == []
    assert names("?search=sharp") == ["Sharp Spread"] and names("?status=created&limit=1") == ["acme maker"]
    assert names("?health=unknown&kind=external&offset=2") == ["Sharp Spread"]
    assert cast.operator.get("/bots?kind=nonsense").status == 400
    page = cast.operator.get("/bots?limit=2").body
    assert page["total"] == 3 and len(page["bots"]) == 2
    rest = cast.operator.get(f"/bots?limit=2&cursor={page['next']}").body
    assert [b["name"] for b in rest["bots"]] == ["Sharp Spread"] and rest["next"] is None


def test_an_external_bot_records_what_was_said(cast: Cast) -> None:
    path = f"/bots/{cast.acme_bot}"
    assert cast.acme_manages.post(f"{path}/start").body == {"status": "started", "bot_id": str(cast.acme_bot)}
    assert cast.acme_manages.post(f"{path}/start").body["status"] == "already_running"
    shown = cast.operator.get(path).body
    assert (shown["status"], shown["desired_status"], shown["reported_status"]) == ("running", "running", "running")
    assert cast.acme_manages.delete(path).status == 409
    refused = cast.acme_manages.put(path, {"runtime_kind": "hummingbot"})
    assert refused.status == 409 and "running" in refused.body["detail"]
    assert cast.acme_manages.post(f"{path}/stop").body["status"] == "stopped"
    assert cast.acme_manages.post(f"{path}/stop").body["status"] == "already_stopped"
    stopped = cast.operator.get(path).body
    assert stopped["status"] == "stopped" and stopped["health_status"] == "stopped"
    assert "stopped by" in stopped["health_message"].lower()
    assert (
        cast.acme_manages.put(path, {"runtime_kind": "hummingbot", "stale_minutes": 5}).body["runtime_kind"]
        == "hummingbot"
    )
    assert cast.acme_manages.put(path, {"stale_minutes": None}).body["stale_minutes"] is None
    assert cast.acme_manages.delete(path).body == {"status": "deleted", "bot_id": str(cast.acme_bot)}
    assert cast.acme_manages.get(path).status == 404


def test_the_timeline_tells_who_wished_what(cast: Cast) -> None:
    cast.acme_manages.post(f"/bots/{cast.acme_bot}/start")
    cast.acme_manages.post(f"/bots/{cast.acme_bot}/stop")
    seen, cursor = [], ""
    while cursor is not None:
        page = cast.acme_reads.get(f"/bots/{cast.acme_bot}/timeline?limit=2&cursor={cursor}").body
        seen += page["timeline"]
        cursor = page["next"]
    changes = [
        e["after"]["desired_status"] for e in seen if e["kind"] == "change" and "desired_status" in (e["after"] or {})
    ]
    assert changes == ["stopped", "running", "created"]
    assert all(e["actor"] for e in seen) and [e["at"] for e in seen] == sorted((e["at"] for e in seen), reverse=True)
    assert cast.acme_reads.get(f"/bots/{cast.acme_bot}/timeline?cursor=WyJ4IiwieSJd").status == 400


def test_a_connector_that_comes_later_is_found_and_several_must_be_told_apart(cast: Cast) -> None:
    bot = make_bot("client_acme", connector="gate_io")
    assert cast.operator.get(f"/bots/{bot}").body["connector_id"] is None
    added = cast.acme_manages.put(
        f"/clients/{cast.acme}/connector", {"name": "gateio", "api_key": "k", "api_secret": "s"}
    )
    gate = next(c["id"] for c in added.body["connectors"] if c["name"] == "gateio")
    assert cast.operator.get(f"/bots/{bot}").body["connector_id"] == gate
    cast.acme_manages.put(f"/clients/{cast.acme}/connector", {"name": "kucoin", "label": "two"})
    ambiguous = cast.operator.post("/bots/create", GOOD)
    assert ambiguous.status == 400 and ambiguous.body["code"] == "ambiguous_connector"
    chosen = next(c["id"] for c in added.body["connectors"] if c["name"] == "kucoin")
    assert cast.operator.post("/bots/create", GOOD | {"connector_id": chosen}).body["connector_id"] == chosen


def test_old_ids_find_their_rows_and_several_hits_are_a_conflict(cast: Cast) -> None:
    Bot.objects.filter(id=cast.acme_bot).update(source="old-bridge", source_id="1")
    assert cast.operator.get("/bots/1").body["id"] == str(cast.acme_bot)
    assert cast.globex_manages.get("/bots/1").status == 404
    Bot.objects.filter(id=cast.globex_bot).update(source="old-bridge", source_id="1")
    several = cast.operator.get("/bots/1")
    assert several.status == 409 and set(several.body["candidates"]) == {str(cast.acme_bot), str(cast.globex_bot)}
    assert cast.acme_manages.get("/bots/1").body["id"] == str(cast.acme_bot)


def test_the_lists_words_equal_the_rules_for_every_combination(database: None, cast: Cast) -> None:
    now = timezone.now()
    HummingbotState.objects.get_or_create(id=1)
    bot = Bot.objects.get(id=cast.acme_bot)
    deployment = BotDeployment.objects.create(bot=bot, client_id=bot.client_id, sequence=1, requested_name="x")
    runtime = BotRuntime.objects.create(
        bot=bot, client_id=bot.client_id, status="running", observed_at=now, changed_at=now
    )
    kinds = (RuntimeKind.HUMMINGBOT, RuntimeKind.EXTERNAL)
    combinations = itertools.product(
        kinds,
        DesiredStatus,
        (None, *ReportedStatus),
        (None, *DeploymentStatus),
        (False, True),
        (None, *RuntimeStatus),
        (False, True),
    )
    checked = 0
    with OPERATOR.transaction():
        for kind, desired, reported, status, is_confirmed, seen, is_current in combinations:
            if (kind == RuntimeKind.EXTERNAL or desired == DesiredStatus.CREATED) and (
                status or is_confirmed or seen or not is_current
            ):
                continue  # neither looks at these
            if status is None and is_confirmed or seen is None and not is_current:
                continue
            if desired != DesiredStatus.CREATED and kind == RuntimeKind.HUMMINGBOT and reported:
                continue
            Bot.objects.filter(id=bot.id).update(runtime_kind=kind, desired_status=desired, reported_status=reported)
            BotDeployment.objects.filter(id=deployment.id).update(
                bot=bot.id if status else cast.globex_bot,
                client_id=bot.client_id if status else cast.globex,
                status=status or "ended",
                confirmed_at=now if is_confirmed else None,
            )
            BotRuntime.objects.filter(pk=runtime.pk).delete()
            if seen:
                observed = now if is_current else now - timedelta(hours=1)
                BotRuntime.objects.create(
                    bot=bot, client_id=bot.client_id, status=seen, observed_at=observed, changed_at=observed
                )
            expected = derive_status(
                kind=kind,
                desired=desired,
                reported=reported,
                deployment=status,
                is_confirmed=is_confirmed,
                runtime=seen,
                is_current=is_current,
            )
            assert bot_status(OPERATOR, bot.id) == expected, (
                kind,
                desired,
                reported,
                status,
                is_confirmed,
                seen,
                is_current,
            )
            checked += 1
    assert checked > 400


def test_a_bot_of_the_arena_is_neither_started_nor_made_another_kind(cast: Cast) -> None:
    """Nothing runs it here, so nothing may say that it runs."""
    Bot.objects.filter(id=cast.acme_bot).update(runtime_kind="arena")
    started = cast.acme_manages.post(f"/bots/{cast.acme_bot}/start")
    assert (started.status, started.body["code"]) == (409, "nothing_runs_it")
    changed = cast.acme_manages.put(f"/bots/{cast.acme_bot}", {"runtime_kind": "external"})
    assert changed.status == 400 and "runtime_kind" in changed.body["errors"]
    shown = cast.acme_manages.get(f"/bots/{cast.acme_bot}").body
    assert (shown["status"], shown["runtime_kind"]) == ("created", "arena")
