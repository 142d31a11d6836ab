"""The control endpoint refuses what it cannot use, with a sentence, and nothing is left half done."""

from __future__ import annotations

import json

import pytest
import requests

from sandbox.testing import Sandbox

BOT = {"name": "x", "exchange": "kucoin", "pair": "BTC/USDT", "api_key": "key"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/keys", b"{"),
        ("/keys", b"[]"),
        ("/keys", {"exchange": "kucoin", "api_key": "a"}),
        ("/keys", {"exchange": "nowhere", "api_key": "a", "secret": "b"}),
        ("/keys", {"exchange": "kucoin", "api_key": "a", "secret": "b", "balances": {"USDT": "much"}}),
        ("/bots", BOT | {"api_key": "unknown"}),
        ("/bots", BOT | {"pair": "NOPE/USDT"}),
        ("/bots", BOT | {"mean_interval_s": 0}),
        ("/bots", BOT | {"order_amount": "NaN"}),
        ("/lives", {"bot": "x", "script": [{"after_s": 1, "do": "dance"}]}),
        ("/lives", {"bot": "x", "script": [{"after_s": "soon", "do": "die"}]}),
        ("/trades", BOT | {"side": "hold"}),
        ("/trades", BOT | {"price": "-1"}),
        ("/markets", {"exchange": "kucoin", "pair": "BTC", "price": "1"}),
        ("/faults", {"target": "exchange:kucoin", "fault": "latency", "seconds": "long"}),
        ("/clock", {"speed": 0}),
        ("/hummingbot/bots", {"name": "x", "configs": [5]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses_in_a_sentence(sandbox: Sandbox, path: str, body: dict[str, object] | bytes) -> None:
    sandbox.add_key("kucoin", "key", "secret")
    before = sandbox.state()
    data = body if isinstance(body, bytes) else json.dumps(body)
    reply = requests.post(f"{sandbox.url}/control{path}", data=data, timeout=5)
    assert reply.status_code == 400
    assert len(reply.json()["error"]) > 10
    after = sandbox.state()
    assert {k: v for k, v in after.items() if k != "world_s"} == {k: v for k, v in before.items() if k != "world_s"}


def test_a_market_can_be_made_and_moved(sandbox: Sandbox) -> None:
    sandbox.control("POST", "/markets", json={"exchange": "gate", "pair": "new-usdt", "price": "2.5", "tick": "0.01"})
    sandbox.control("POST", "/markets", json={"exchange": "gate", "pair": "NEW/USDT", "price": "7"})
    [made] = [row for row in sandbox.control("GET", "/markets") if row["symbol"] == "NEW/USDT"]
    assert (made["exchange"], made["price"], made["tick"]) == ("gate", "7", "0.01")


def test_clearing_faults_brings_bots_back(sandbox: Sandbox) -> None:
    sandbox.add_container("bot-1")
    sandbox.fault("bot:bot-1", "dead")
    sandbox.fault("exchange:kucoin", "drop")
    assert sandbox.containers() == {"bot-1": "exited"}
    sandbox.clear_faults()
    assert (sandbox.containers(), sandbox.state()["faults"]) == ({"bot-1": "running"}, [])
