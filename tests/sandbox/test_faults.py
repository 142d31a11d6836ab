"""Every fault, switched on over the control endpoint, as a client outside feels it."""

from __future__ import annotations

import time
from typing import Any

import ccxt
import pytest
import requests

from sandbox.testing import Sandbox
from tests.sandbox.rewriting import exchange

CONFIG = {"id": "c1", "connector_name": "kucoin", "trading_pair": "SHARP-USDT", "order_amount": "50"}
DEPLOY = "/bot-orchestration/deploy-v2-controllers"
BODY = {"instance_name": "bot", "credentials_profile": "acme", "controllers_config": ["c1"]}


@pytest.fixture
def client(sandbox: Sandbox) -> Any:
    sandbox.add_key("kucoin", "key", "secret", passphrase="pass", account="acme")
    made = exchange(sandbox, "kucoin")
    made.load_markets()
    return made


def deploy(sandbox: Sandbox) -> str:
    """A bot that runs and trades."""
    sandbox.add_account("acme", kucoin={"kucoin_api_key": "key"})
    sandbox.hummingbot("POST", "/controllers/configs/c1", json=CONFIG)
    name = str(sandbox.hummingbot("POST", DEPLOY, json=BODY).json()["unique_instance_name"])
    sandbox.advance(5)
    sandbox.wait_until(lambda: status(sandbox, name) == "running")
    return name


def status(sandbox: Sandbox, name: str) -> str:
    return str(sandbox.hummingbot("GET", f"/bot-orchestration/{name}/status").json()["data"]["status"])


def trades(sandbox: Sandbox, bot: str) -> int:
    return len(sandbox.tape(bot=bot)["trades"])


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        ("rate_limit", ccxt.RateLimitExceeded),
        ("server_error", ccxt.ExchangeNotAvailable),
        ("drop", ccxt.NetworkError),
        ("lost_answer", ccxt.NetworkError),
        ("cut_connection", ccxt.NetworkError),
    ],
)
@pytest.mark.parametrize("target", ["exchange:kucoin", "key:key"])
def test_ccxt_reports_a_broken_answer(sandbox: Sandbox, client: Any, target: str, fault: str, raised: Any) -> None:
    sandbox.fault(target, fault)
    with pytest.raises(raised):
        client.fetch_my_trades("BTC/USDT")
    sandbox.fault(target, fault, on=False)
    assert client.fetch_my_trades("BTC/USDT") == []


@pytest.mark.parametrize(
    ("fault", "body", "kind"),
    [
        ("html", b"<!DOCTYPE html>", "text/html"),
        ("empty", b"", "application/json"),
        ("garbage", b"{", "application/json"),
    ],
)
def test_a_success_that_is_none_comes_with_status_200(sandbox: Sandbox, fault: str, body: bytes, kind: str) -> None:
    sandbox.fault("exchange:kucoin", fault)
    reply = requests.get(f"{sandbox.exchange_base}/api.kucoin.com/api/v1/timestamp", timeout=5)
    assert (reply.status_code, reply.headers["Content-Type"].split(";")[0]) == (200, kind)
    assert reply.content.startswith(body)
    with pytest.raises(requests.JSONDecodeError):
        reply.json()


def test_a_cut_answer_is_half_of_the_real_one(sandbox: Sandbox) -> None:
    address = f"{sandbox.exchange_base}/api.kucoin.com/api/v2/symbols"
    whole = requests.get(address, timeout=5).content
    sandbox.fault("exchange:kucoin", "cut")
    assert requests.get(address, timeout=5).content == whole[: len(whole) // 2]


def test_latency_outlasts_a_clients_patience(sandbox: Sandbox) -> None:
    sandbox.fault("hummingbot", "latency", seconds=2)
    with pytest.raises(requests.Timeout):
        requests.get(f"{sandbox.hummingbot_url}/", timeout=0.1)


def test_a_fault_with_a_count_ends_by_itself_and_a_path_narrows_it(sandbox: Sandbox) -> None:
    sandbox.fault("hummingbot", "server_error", path="/docker", count=1, status=502)
    answers = [sandbox.hummingbot("GET", path).status_code for path in ("/accounts/", "/docker/running")]
    assert [*answers, sandbox.hummingbot("GET", "/docker/running").status_code] == [200, 502, 200]


def test_a_deploy_whose_answer_is_lost_has_happened(sandbox: Sandbox) -> None:
    sandbox.add_account("acme")
    sandbox.fault("hummingbot", "lost_answer", path=DEPLOY, count=1)
    with pytest.raises(requests.ConnectionError):
        sandbox.hummingbot("POST", DEPLOY, json=BODY)
    containers = sandbox.hummingbot("GET", "/docker/active-containers").json()
    assert [row["name"].startswith("bot-") for row in containers] == [True]
    assert len(sandbox.calls(system="hummingbot", path=DEPLOY)) == 1


def test_a_hummingbot_that_is_down_closes_every_connection(sandbox: Sandbox) -> None:
    sandbox.fault("hummingbot", "down")
    with pytest.raises(requests.ConnectionError):
        sandbox.hummingbot("GET", "/")
    sandbox.clear_faults()
    assert sandbox.hummingbot("GET", "/").json()["status"] == "running"


def test_a_confused_docker_engine_gives_a_string_where_a_list_belongs(sandbox: Sandbox) -> None:
    sandbox.fault("hummingbot", "docker_error")
    reply = sandbox.hummingbot("GET", "/docker/active-containers")
    assert (reply.status_code, type(reply.json())) == (200, str)


def test_a_dead_bot_leaves_the_list_after_its_silence_and_comes_back_when_recovered(
    sandbox: Sandbox, client: Any
) -> None:
    name = deploy(sandbox)
    sandbox.fault(f"bot:{name}", "dead")
    assert [row["name"] for row in sandbox.hummingbot("GET", "/docker/exited-containers").json()] == [name]
    assert status(sandbox, name) == "running"
    sandbox.advance(35)
    assert status(sandbox, name) == "not_found"
    before = trades(sandbox, name)
    sandbox.advance(1000)
    assert trades(sandbox, name) == before
    sandbox.fault(f"bot:{name}", "dead", on=False)
    sandbox.advance(5)
    assert status(sandbox, name) == "running"


def test_a_vanished_bot_is_in_no_list(sandbox: Sandbox, client: Any) -> None:
    name = deploy(sandbox)
    sandbox.fault(f"bot:{name}", "vanished")
    sandbox.advance(35)
    assert sandbox.containers() == {}
    assert sandbox.hummingbot("GET", "/docker/exited-containers").json() == []
    assert sandbox.hummingbot("GET", "/bot-orchestration/status").json()["data"] == {}


def test_a_silent_bot_turns_idle_and_trades_on(sandbox: Sandbox, client: Any) -> None:
    name = deploy(sandbox)
    sandbox.fault(f"bot:{name}", "silent")
    before = trades(sandbox, name)
    sandbox.advance(400)
    assert status(sandbox, name) == "idle"
    sandbox.wait_until(lambda: trades(sandbox, name) > before)


@pytest.mark.parametrize("fault", ["stall", "stop_trading"])
def test_a_bot_that_stops_trading_still_says_running(sandbox: Sandbox, client: Any, fault: str) -> None:
    name = deploy(sandbox)
    sandbox.fault(f"bot:{name}", fault)
    before = trades(sandbox, name)
    sandbox.advance(1000)
    assert (status(sandbox, name), trades(sandbox, name)) == ("running", before)


def test_a_revoked_key_stops_the_bots_that_use_it(sandbox: Sandbox, client: Any) -> None:
    name = deploy(sandbox)
    sandbox.fault("key:key", "revoked")
    before = trades(sandbox, name)
    sandbox.advance(1000)
    assert trades(sandbox, name) == before


def test_credentials_are_checked_against_the_exchange(sandbox: Sandbox, client: Any) -> None:
    sandbox.add_account("acme")
    address = "/accounts/add-credential/acme/kucoin"
    right = {"kucoin_api_key": "key", "kucoin_secret_key": "secret", "kucoin_passphrase": "pass"}
    refused = sandbox.hummingbot("POST", address, json=right | {"kucoin_secret_key": "wrong"})
    assert (refused.status_code, "wrong" in refused.text) == (400, False)
    sandbox.fault("exchange:kucoin", "drop")
    assert "Cannot connect" in sandbox.hummingbot("POST", address, json=right).json()["detail"]
    sandbox.clear_faults()
    assert sandbox.hummingbot("POST", address, json=right).status_code == 201
    assert sandbox.hummingbot("GET", "/accounts/acme/credentials").json() == ["kucoin"]


def test_two_deployments_in_one_second_collide_as_containers_do(sandbox: Sandbox) -> None:
    """The suffix has whole seconds: at least two of these fall into the same one."""
    sandbox.add_account("acme")
    began = time.time()
    answers = [sandbox.hummingbot("POST", DEPLOY, json=BODY).json() for _ in range(10)]
    seconds = int(time.time()) - int(began) + 1
    assert 1 <= sum(answer["success"] for answer in answers) <= seconds


@pytest.mark.parametrize(
    ("target", "fault"), [("exchange:kucoin", "nonsense"), ("hummingbot:x", "down"), ("bot:nobody", "dead"), ("", "")]
)
def test_an_unknown_fault_is_refused_with_a_sentence(sandbox: Sandbox, target: str, fault: str) -> None:
    reply = requests.post(f"{sandbox.url}/control/faults", json={"target": target, "fault": fault}, timeout=5)
    assert reply.status_code == 400
    assert reply.json()["error"].endswith(".")
