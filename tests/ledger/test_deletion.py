"""A bot that holds something is not deleted by accident."""

from __future__ import annotations

from datetime import UTC, datetime

from ledger.models import BotAccount, Position
from tests.fixtures import Cast

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_refuses_to_delete_what_holds_an_open_position_unless_an_operator_insists(cast: Cast) -> None:
    BotAccount.objects.create(bot_id=cast.acme_bot, client_id=cast.acme, mode="live", currency="USDT")
    Position.objects.create(
        client_id=cast.acme, bot_id=cast.acme_bot, mode="live", market_type="spot", symbol="BTC/USDT", currency="USDT",
        position_type="LONG", entry_price=100, size=100, opened_quantity=1, quantity=1, basis_quantity=1, basis_cost=100,
        opened_at=NOON,
    )  # fmt: skip
    for path in (f"/bots/{cast.acme_bot}", f"/clients/{cast.acme}"):
        answer = cast.operator.delete(path)
        assert (answer.status, answer.body["code"]) == (409, "open_positions")
        assert "hold an open position" in answer.body["detail"]
    assert cast.acme_manages.delete(f"/bots/{cast.acme_bot}?force=true").status == 403
    assert cast.operator.delete(f"/bots/{cast.acme_bot}?force=true").status == 200
    assert cast.operator.delete(f"/clients/{cast.acme}").status == 200
    assert Position.objects.filter(bot_id=cast.acme_bot).exists()  # its rows stay
