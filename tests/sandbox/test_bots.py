"""External bots, their lives, the tape and its sums, and what a restart of the sandbox keeps."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sandbox.keys import Key
from sandbox.market import default_markets
from sandbox.testing import Sandbox, start
from sandbox.trader import Trader

SHARP = {"exchange": "kucoin", "pair": "SHARP/USDT", "api_key": "key"}


def trades(sandbox: Sandbox, bot: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox.tape(bot=bot)["trades"]
    return found


def pass_time(sandbox: Sandbox, seconds: float, step_s: float = 20) -> None:
    """In small steps, so that every trade has its turn."""
    for _ in range(int(seconds / step_s)):
        sandbox.advance(step_s)


def test_a_life_slows_dies_recovers_and_begins_again() -> None:
    with start(speed=0.001) as sandbox:
        sandbox.add_key("kucoin", "key", "secret")
        script = [
            {"after_s": 200, "do": "slow", "factor": 1000},
            {"after_s": 400, "do": "die"},
            {"after_s": 600, "do": "recover"},
        ]
        sandbox.add_bot("demo", **SHARP, mean_interval_s=10, script=script, loop=True)
        counts = []
        for _ in range(5):
            before = len(trades(sandbox, "demo"))
            pass_time(sandbox, 200)
            counts.append(len(trades(sandbox, "demo")) - before)
        lively, slow, dead, again, slow_again = counts
        assert lively > 3
        assert slow <= 1
        assert dead == 0
        assert again > 3
        assert slow_again <= 1


def test_a_life_given_before_the_bot_takes_the_deployed_bot_of_that_name() -> None:
    with start(speed=0.001) as sandbox:
        sandbox.control("POST", "/lives", json={"bot": "spread", "script": [{"after_s": 60, "do": "die"}]})
        sandbox.advance(500)
        sandbox.add_container("spread-20261121-092737", configs=[])
        sandbox.advance(50)
        assert sandbox.containers() == {"spread-20261121-092737": "running"}
        sandbox.advance(30)
        assert sandbox.containers() == {"spread-20261121-092737": "exited"}


def test_the_tapes_totals_are_the_sums_of_its_trades(sandbox: Sandbox) -> None:
    sandbox.add_key("kucoin", "key", "secret")
    sandbox.add_bot("sums", **SHARP, mean_interval_s=5, order_amount="12.3")
    pass_time(sandbox, 400)
    tape = sandbox.tape(bot="sums")
    rows, [total] = tape["trades"], tape["totals"]

    def sum_of(name: str, side: str | None = None) -> Decimal:
        return sum((Decimal(row[name]) for row in rows if side in (None, row["side"])), Decimal(0))

    assert (total["trades"], Decimal(total["notional"])) == (len(rows), sum_of("notional"))
    assert (Decimal(total["bought"]), Decimal(total["sold"])) == (sum_of("quantity", "buy"), sum_of("quantity", "sell"))
    assert (Decimal(total["fees"]), Decimal(total["realized_pnl"])) == (sum_of("fee"), sum_of("realized_pnl"))


def test_the_same_seed_walks_the_same_way() -> None:
    walks = []
    for seed in (7, 7, 8):
        with start(seed=seed, speed=0.001) as sandbox:
            sandbox.add_key("kucoin", "key", "secret")
            sandbox.add_bot("walker", **SHARP, mean_interval_s=5)
            pass_time(sandbox, 200)
            walks.append([(row["side"], row["price"]) for row in trades(sandbox, "walker")])
    assert walks[0] == walks[1]
    assert walks[0] != walks[2]


def test_a_restart_keeps_containers_accounts_and_the_tape(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with start(speed=0.001, state_file=file) as sandbox:
        sandbox.add_key("kucoin", "key", "secret", passphrase="pass", account="acme")
        sandbox.add_account("acme", kucoin={"kucoin_api_key": "key"})
        sandbox.add_bot("outside", **SHARP, mean_interval_s=5)
        config = {"id": "c1", "connector_name": "kucoin", "trading_pair": "BTC-USDT", "order_amount": "0.01"}
        for name in ("alive-1", "dead-1"):
            sandbox.add_container(name, account="acme", configs=[config])
        pass_time(sandbox, 100)
        sandbox.fault("bot:dead-1", "dead")
        sandbox.advance(1)
        before = sandbox.tape(), sandbox.containers(), sandbox.state()["hummingbot"]["accounts"]
        moves = sandbox.control("GET", "/journal")["moves"]
        told = {(move["name"], move["is_running"]) for move in moves}
        assert told == {("alive-1", True), ("dead-1", True), ("dead-1", False)}
    assert file.stat().st_mode & 0o777 == 0o600
    with start(speed=0.001, state_file=file) as sandbox:
        tape = sandbox.tape()
        assert tape["trades"] == before[0]["trades"]
        assert tape["totals"] == before[0]["totals"]
        assert (sandbox.containers(), sandbox.state()["hummingbot"]["accounts"]) == before[1:]
        assert sandbox.control("GET", "/journal")["moves"] == moves
        pass_time(sandbox, 300)
        assert len(trades(sandbox, "outside")) > len([t for t in before[0]["trades"] if t["bot"] == "outside"])
        assert sandbox.hummingbot("GET", "/bot-orchestration/alive-1/status").json()["data"]["status"] == "running"
        sandbox.fault("bot:dead-1", "dead", on=False)
        assert sandbox.containers()["dead-1"] == "running"


def test_an_unreadable_state_file_is_put_aside(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text("{}")
    with start(state_file=file) as sandbox:
        assert sandbox.state()["keys"] == []
    assert (tmp_path / "state.json.unreadable").read_text() == "{}"


def test_no_secret_is_shown_by_the_control_endpoint(sandbox: Sandbox) -> None:
    sandbox.add_key("kucoin", "key", "PLANTED-SECRET", passphrase="PLANTED-PASS", account="acme")
    sandbox.add_account("acme", kucoin={"kucoin_api_key": "key", "kucoin_secret_key": "PLANTED-SECRET"})
    shown = [sandbox.control("GET", path) for path in ("/state", "/keys", "/calls", "/tape", "/bots", "/faults")]
    assert "PLANTED" not in str(shown)


_fill = st.tuples(
    st.sampled_from(["buy", "sell"]),
    st.decimals(min_value="0.01", max_value="1000", places=2),
    st.decimals(min_value="0.1", max_value="100", places=1),
)


@given(st.lists(_fill, min_size=1, max_size=30))
def test_money_is_neither_made_nor_lost_by_the_books(fills: list[tuple[str, Decimal, Decimal]]) -> None:
    """Realised plus unrealised profit is what cash and position are worth together, whatever was traded."""
    market, key = default_markets()[0], Key(exchange="kucoin", api_key="k", secret="s")
    trader = Trader(bot="b", market=market, key=key, mean_interval_s=1, amount=Decimal(1))
    cash = Decimal(0)
    for side, price, quantity in fills:
        trader.book(side, price, quantity, Decimal(0))
        cash += price * quantity * (-1 if side == "buy" else 1)
    market.price = fills[-1][1]
    worth = cash + trader.position * market.price
    assert abs(trader.realized_pnl + trader.unrealized_pnl() - worth) < Decimal("1e-15")
