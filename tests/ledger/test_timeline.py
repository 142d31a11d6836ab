"""What a bot did stands in its timeline beside what was done to it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from ledger.models import BotTradeHour
from tests.fixtures import Caller, Cast
from tests.ledger.rows import a_trade, put_account, put_decision, put_position, put_trades

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def walk(caller: Caller, path: str, limit: int) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None:
        page = caller.get(f"{path}?limit={limit}&cursor={cursor}").body
        assert len(page["timeline"]) <= limit
        seen += page["timeline"]
        cursor = page["next"]
    return seen


def test_the_timeline_tells_of_trades_positions_decisions_and_capital(cast: Cast) -> None:
    chance = random.Random(5)
    for bot in (cast.acme_bot, cast.globex_bot):
        owner = put_account(bot)
        for _ in range(30):  # many of one instant
            at = NOON + HOUR * chance.randrange(3)
            put_position(owner, at, at + HOUR, realized_pnl="1.5", close_cause="stop_loss")
            put_decision(owner, at, execution_success=chance.random() < 0.5)
        put_trades(
            *(
                a_trade(
                    owner, "sell", NOON + timedelta(minutes=chance.randrange(240)), symbol=chance.choice(["A/B", "C/D"])
                )
                for _ in range(50)
            )
        )
    path = f"/bots/{cast.acme_bot}/timeline"
    whole = cast.acme_reads.get(f"{path}?limit=500").body
    assert whole["next"] is None
    assert [walk(cast.acme_reads, path, limit) == whole["timeline"] for limit in (7, 31)] == [True, True]
    kinds: dict[str, list[dict[str, Any]]] = {}
    for event in whole["timeline"]:
        kinds.setdefault(event["kind"], []).append(event)
    hours = BotTradeHour.objects.filter(bot_id=cast.acme_bot)
    assert {kind: len(events) for kind, events in kinds.items()} == {
        "change": 1, "capital": 1, "position_opened": 30, "position_closed": 30, "decision": 30, "trades": hours.count(),
    }  # fmt: skip
    assert sum(event["trades"] for event in kinds["trades"]) == 50
    closed = kinds["position_closed"][0]
    assert (closed["realized_pnl"], closed["reason"], closed["actor"]) == ("1.5", "stop_loss", "bot")
    assert kinds["capital"][0]["after"]["allocated_capital"] == 10_000
    assert kinds["decision"][0]["reason"] == "opened"
    assert [e["at"] for e in whole["timeline"]] == sorted((e["at"] for e in whole["timeline"]), reverse=True)


def test_the_timeline_of_somebody_else_is_not_there(cast: Cast) -> None:
    put_decision(put_account(cast.acme_bot), NOON)
    path = f"/bots/{cast.acme_bot}/timeline"
    assert [c.get(path).status for c in (cast.globex_manages, cast.nobody, cast.operator)] == [404, 401, 200]
    assert [cast.operator.get(f"{path}?cursor={bad}").status for bad in ("x", "WyJ4IiwieSJd")] == [400, 400]
