"""The sandbox from end to end: a bot is deployed over the Hummingbot API and its trades are read with ccxt."""

from __future__ import annotations

from sandbox.testing import Sandbox
from tests.sandbox.rewriting import exchange

CONFIG = {"id": "sharp", "connector_name": "kucoin", "trading_pair": "SHARP-USDT", "order_amount": "50"}


def test_a_deployed_bot_trades_and_ccxt_reads_exactly_what_the_tape_holds(sandbox: Sandbox) -> None:
    sandbox.add_key("kucoin", "key", "secret", passphrase="pass", account="acme")
    sandbox.add_account("acme", kucoin={"kucoin_api_key": "key"})
    sandbox.hummingbot("POST", "/controllers/configs/sharp", json=CONFIG)
    body = {"instance_name": "sharp", "credentials_profile": "acme", "controllers_config": ["sharp"]}
    deployed = sandbox.hummingbot("POST", "/bot-orchestration/deploy-v2-controllers", json=body).json()
    name = deployed["unique_instance_name"]

    def status() -> str:
        reply = sandbox.hummingbot("GET", f"/bot-orchestration/{name}/status")
        return str(reply.json()["data"]["status"])

    sandbox.wait_until(lambda: status() == "running")
    for _ in range(5):
        sandbox.advance(400)
    sandbox.hummingbot("POST", "/bot-orchestration/stop-bot", json={"bot_name": name})

    tape = sandbox.tape(bot=name)
    seen = exchange(sandbox, "kucoin").fetch_my_trades("SHARP/USDT")
    assert [(t["id"], t["side"], t["price"], t["amount"], t["fee"]["cost"], t["timestamp"]) for t in seen] == [
        (t["id"], t["side"], t["price"], t["quantity"], t["fee"], t["at_ms"]) for t in tape["trades"]
    ]
    assert len(seen) >= 5
    assert tape["totals"][0]["trades"] == len(seen)
