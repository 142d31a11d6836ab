"""What a redeploy would mean, asked of the ledger and of exchanges that the sandbox plays."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client as HttpClient
from django.utils import timezone

from bots.models import Bot, BotDeployment, HummingbotState
from bots.rules.words import RuntimeKind
from bridge_project.tasks import preflight_task
from bridge_project.use_cases.preflight_words import Risk, meaning
from exchanges.gateways.configured import configured_gateways
from ledger.models import Position
from sandbox.testing import Sandbox, start
from tests.fixtures import Cast
from tests.ledger.rows import put_account, put_position

HUMMINGBOT, EXTERNAL = RuntimeKind.HUMMINGBOT, RuntimeKind.EXTERNAL


@pytest.fixture
def sandbox(cast: Cast, settings: LazySettings) -> Iterator[Sandbox]:
    """Acme's bot has orders in the book and 2 BTC in the ledger; globex' exchange does not know its key."""
    with start() as sandbox:
        settings.EXCHANGE_BASE_URLS = {"kucoin": sandbox.exchange_base}
        sandbox.add_key("kucoin", "key-of-acme-0123456789", "secret-of-acme", passphrase="memo-of-acme")
        sandbox.add_bot("maker", "kucoin", "BTC/USDT", "key-of-acme-0123456789", mean_interval_s=3600)
        Bot.objects.filter(id__in=(cast.acme_bot, cast.globex_bot)).update(
            desired_status="running", reported_status="running", desired_at=timezone.now()
        )
        put_position(put_account(cast.acme_bot), timezone.now() - timedelta(hours=1))
        configured_gateways.cache_clear()
        yield sandbox
        configured_gateways.cache_clear()
        cache.clear()


def told(*options: str) -> str:
    out = io.StringIO()
    call_command("preflight", *options, stdout=out)
    return out.getvalue()


def test_command_names_who_holds_what_and_what_stopping_would_mean(sandbox: Sandbox, cast: Cast) -> None:
    found = json.loads(told("--json"))
    acme, globex = found["bots"]
    assert (acme["name"], acme["meaning"]["risk"]) == ("acme maker", "holds")
    assert acme["carried"]["positions"][0]["quantity"] == "2"
    assert acme["carried"]["orders"], acme["carried"]["orders_problem"]
    assert (globex["meaning"]["risk"], globex["carried"]["orders"]) == ("unknown", None)
    assert globex["carried"]["orders_problem"]
    assert (found["is_clear"], found["summary"]) == (False, {"holds": 1, "unknown": 1, "clear": 0})
    text = told()
    assert "acme maker of client_acme (BTC/USDT on kucoin, running): 1 open position, " in text
    assert "Nothing here stops it: somebody else runs it." in text
    assert "secret-of-acme" not in text and "key-of-acme" not in text
    with pytest.raises(SystemExit):
        told("--strict")


def test_nothing_held_is_clear_and_unfinished_work_is_not(sandbox: Sandbox, cast: Cast) -> None:
    Position.objects.all().delete()
    Bot.objects.update(desired_status="stopped", reported_status="stopped")
    assert "Nothing is at risk." in told("--strict")
    BotDeployment.objects.create(
        bot_id=cast.acme_bot, client_id=cast.acme, sequence=1, status="sending", requested_name="tb-x-1"
    )
    HummingbotState.objects.create(id=1, failures=2)
    text = told()
    assert "1 deployment being sent to Hummingbot" in text
    assert "Hummingbot does not answer" in text
    with pytest.raises(SystemExit):
        told("--strict")


def test_a_bot_that_rests_but_holds_a_position_is_named(sandbox: Sandbox) -> None:
    Bot.objects.update(desired_status="stopped", reported_status="stopped")
    found = json.loads(told("--json"))
    assert [(bot["name"], bot["meaning"]["risk"]) for bot in found["bots"]] == [("acme maker", "holds")]


def test_page_asks_a_worker_and_shows_what_it_found(sandbox: Sandbox, cast: Cast) -> None:
    User.objects.create_superuser("alice", password="correct horse battery")
    http = HttpClient()
    assert http.get("/admin/preflight").status_code == 302, "nobody is signed in"
    http.force_login(User.objects.get(), backend="django.contrib.auth.backends.ModelBackend")
    asked = len(sandbox.calls(system="exchange"))
    assert "Nobody has asked" in page(http)
    assert http.post("/admin/preflight").status_code == 302
    assert len(sandbox.calls(system="exchange")) == asked, "no request asks an exchange"
    assert "for alice" in page(http) and "Nobody has asked" not in page(http)
    preflight_task()
    shown = page(http)
    assert "for alice" not in shown and "ago" in shown and "old</span>" not in shown
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        assert "old</span>" in page(http), "a report that may have been overtaken says so"
    assert "1 with positions or orders" in shown and "acme maker" in shown and "1 open position" in shown


def test_page_is_for_those_who_may_see_bots_and_positions(sandbox: Sandbox) -> None:
    User.objects.create_user("victor", password="correct horse battery", is_staff=True)
    http = HttpClient()
    http.force_login(User.objects.get(), backend="django.contrib.auth.backends.ModelBackend")
    assert http.get("/admin/preflight").status_code == 403


@pytest.mark.parametrize(
    ("kind", "runs", "positions", "orders", "risk", "if_bot", "if_hummingbot"),
    [
        (HUMMINGBOT, True, 1, 2, Risk.HOLDS, "orders are cancelled; 1 position stays open", "1 position and 2 open orders"),
        (HUMMINGBOT, True, 0, 0, Risk.CLEAR, "no orders to cancel; it holds no position", "Nothing is left"),
        (HUMMINGBOT, True, 0, None, Risk.UNKNOWN, "orders are cancelled", "perhaps open orders"),
        (HUMMINGBOT, False, 0, 1, Risk.HOLDS, "nobody at it: 1 open order", "nobody at it: 1 open order"),
        (EXTERNAL, True, 1, 0, Risk.HOLDS, "somebody else runs it", "does not run in Hummingbot"),
    ],
)  # fmt: skip
def test_what_stopping_means_follows_what_is_held(
    kind: RuntimeKind, runs: bool, positions: int, orders: int | None, risk: Risk, if_bot: str, if_hummingbot: str
) -> None:
    listed = None if orders is None else [{"whose": "own"}] * orders + [{"whose": "other"}]
    found = meaning(
        kind=kind, runs=runs, carried={"positions": [{}] * positions, "orders": listed, "orders_problem": "away"}
    )
    assert found.risk == risk
    assert if_bot in found.if_bot_stops
    assert if_hummingbot in found.if_hummingbot_stops


def page(http: HttpClient) -> str:
    answer = http.get("/admin/preflight")
    assert answer.status_code == 200
    return str(answer.content.decode())
