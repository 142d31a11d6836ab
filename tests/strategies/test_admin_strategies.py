"""What an operator does with strategies in the admin, on the sandbox's Hummingbot."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client as HttpClient

from strategies.models import ActiveStrategy, RestoreRun, StrategyHistory
from tests.strategies.desk import StrategyDesk

pytestmark = pytest.mark.usefixtures("database")
YES, HERE = {"_form_submitted": "on"}, {"HX-Request": "true"}
PAGE = "/admin/strategies/activestrategy"


@pytest.fixture
def operator(desk: StrategyDesk, monkeypatch: pytest.MonkeyPatch) -> HttpClient:
    alice = User.objects.create_superuser("alice", password="correct horse battery")
    monkeypatch.setattr("ground.scope._outside", "operator")
    http = HttpClient()
    http.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return http


def _form(**fields: Any) -> dict[str, Any]:
    given = {"symbol_shown": "BTCUSDT", "strategy_type": "spread", "interval": "5m", "exchange": "kucoin",
             "account": "client_acme", "config": '{"order_amount": 250}'}  # fmt: skip
    return {**given, **fields}


def test_a_strategy_is_started_changed_rolled_back_and_stopped(desk: StrategyDesk, operator: HttpClient) -> None:
    assert operator.post(f"{PAGE}/add/", _form()).status_code == 302
    strategy = ActiveStrategy.objects.get()
    assert (strategy.symbol, strategy.version, strategy.started_by) == ("BTC/USDT", 1, "operator:alice")
    desk.work_until(lambda: desk.status("?symbol=BTCUSDT")["bot_status"] == "running")
    change = f"{PAGE}/{strategy.id}"
    changed = operator.post(
        f"{change}/change/", {"interval": "5m", "config": '{"order_amount": 300}', "seen_version": "1"}
    )
    assert changed.status_code == 302
    late = operator.post(f"{change}/change/", {"interval": "5m", "config": '{"order_amount": 9}', "seen_version": "1"})
    assert "Somebody changed the strategy meanwhile" in late.content.decode(), "what another operator did is not undone"
    refused = operator.post(f"{change}/change/", {"interval": "5m", "config": '{"order_amount": -1}'})
    assert refused.status_code == 200 and "order_amount" in refused.content.decode()
    shown = operator.get(f"{change}/versions/").content.decode()
    assert "order_amount: 300" in shown and "order_amount: 250" in shown and "Version 2" in shown
    assert "wanted now" in shown and "Go back to version 1" in shown
    operator.post(f"{change}/versions/", {"number": "1"})
    strategy.refresh_from_db()
    assert (strategy.version, strategy.config) == (3, {"order_amount": 250})
    answer = operator.post(f"{change}/versions/", {"number": "77"}, follow=True)
    assert "has no version 77" in answer.content.decode()
    operator.post(f"{change}/stop/", YES | {"reason": "enough"}, headers=HERE)
    desk.work_until(lambda: StrategyHistory.objects.exists())
    past = StrategyHistory.objects.get()
    assert (past.reason, past.stopped_by) == ("enough", "operator:alice")
    assert "enough" in operator.get("/admin/strategies/strategyhistory/").content.decode()


def test_a_dry_run_is_asked_for_and_shown(desk: StrategyDesk, operator: HttpClient) -> None:
    asked = operator.post(
        "/admin/strategies/restorerun/restore_now/", YES | {"spacing_s": "2", "is_dry_run": "on"}, headers=HERE
    )
    run = RestoreRun.objects.get()
    assert asked.status_code == 200 and (run.is_dry_run, run.requested_by) == (True, "operator:alice")
    assert operator.get(f"/admin/strategies/restorerun/{run.id}/change/").status_code == 200
