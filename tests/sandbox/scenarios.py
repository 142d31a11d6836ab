"""How to bring a sandbox into the state in which each example was recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.testing import Sandbox
from tests.sandbox import recordings

CONFIG = {
    "id": "bridge-pmm-01",
    "controller_name": "pmm_simple",
    "controller_type": "market_making",
    "connector_name": "binance_perpetual",
    "trading_pair": "BTC-USDT",
    "total_amount_quote": 100,
    "buy_spreads": [0.002],
    "sell_spreads": [0.002],
    "executor_refresh_time": 300,
    "leverage": 5,
    "stop_loss": 0.03,
    "take_profit": 0.02,
    "time_limit": 2700,
    "manual_kill_switch": False,
}
GHOST, ALPHA, SCRIPT, BETA, GAMMA, ORPHAN = (
    "bridge-ghostcfg-20261121-092734",
    "bridge-alpha-20261121-092737",
    "bridge-script-20261121-092738",
    "bridge-beta-20261121-093350",
    "bridge-gamma-20261121-093551",
    "orphan-from-cli",
)
# What an example's request calls something, and what it is called in this sandbox.
Renamed = dict[str, str]
Scenario = Callable[[Sandbox], Renamed | None]


def seed(sandbox: Sandbox) -> None:
    """The account can trade, the config is saved."""
    sandbox.add_key("binance", "key", "secret")
    sandbox.add_account("master_account", binance_perpetual={"binance_perpetual_api_key": "key"})
    sandbox.hummingbot("POST", "/controllers/configs/bridge-pmm-01", json=CONFIG)


def live(*bots: str) -> Scenario:
    """These bots run, and those that can have traded."""

    def arrange(sandbox: Sandbox) -> None:
        seed(sandbox)
        for bot in bots:
            container = "none" if bot == ORPHAN else "running"
            config = CONFIG | {"id": "manual-ctrl"} if bot == ORPHAN else CONFIG
            configs = [] if bot in (GHOST, SCRIPT) else [config]
            script = "simple_pmm" if bot == SCRIPT else None
            sandbox.add_container(bot, configs=configs, script=script, container=container)
        sandbox.advance(5)
        for bot in bots:
            if bot not in (GHOST, SCRIPT):
                sandbox.add_trade("binanceusdm", "BTC/USDT", "key", bot=bot)
        sandbox.advance(2)

    return arrange


def then(first: Scenario, *steps: Callable[[Sandbox], Any]) -> Scenario:
    def arrange(sandbox: Sandbox) -> Renamed | None:
        renamed = first(sandbox)
        for step in steps:
            step(sandbox)
        return renamed

    return arrange


def fault(target: str, name: str) -> Callable[[Sandbox], Any]:
    return lambda sandbox: sandbox.fault(target, name)


def advance(seconds: float) -> Callable[[Sandbox], Any]:
    return lambda sandbox: sandbox.advance(seconds)


def post(path: str, **arguments: Any) -> Callable[[Sandbox], Any]:
    return lambda sandbox: sandbox.hummingbot("POST", path, **arguments)


def stop(bot: str) -> Callable[[Sandbox], Any]:
    return post("/bot-orchestration/stop-bot", json={"bot_name": bot})


def archive(bot: str) -> Callable[[Sandbox], Any]:
    return post(f"/bot-orchestration/stop-and-archive-bot/{bot}")


def deployed(recorded: str, *steps: Callable[[Sandbox, str], Any], script: bool = False) -> Scenario:
    """One real deployment, up and trading, then ``steps`` with the name it got."""

    def arrange(sandbox: Sandbox) -> Renamed:
        seed(sandbox)
        kind = "script" if script else "controllers"
        body: dict[str, Any] = {"instance_name": f"bridge-{kind}", "credentials_profile": "master_account"}
        body |= {"script": "simple_pmm"} if script else {"controllers_config": ["bridge-pmm-01"]}
        reply = sandbox.hummingbot("POST", f"/bot-orchestration/deploy-v2-{kind}", json=body).json()
        name = str(reply["unique_instance_name"])
        sandbox.advance(5)
        if not script:
            sandbox.add_trade("binanceusdm", "BTC/USDT", "key", bot=name)
            sandbox.advance(2)
        for step in steps:
            step(sandbox, name)
        return {recorded: name}

    return arrange


def and_wait(step: Callable[[str], Callable[[Sandbox], Any]], seconds: float) -> Callable[[Sandbox, str], Any]:
    def take(sandbox: Sandbox, name: str) -> None:
        step(name)(sandbox)
        sandbox.advance(seconds)

    return take


def _delete_run(sandbox: Sandbox, name: str) -> None:
    sandbox.hummingbot("DELETE", "/bot-orchestration/bot-runs/1")


def _snapshots(sandbox: Sandbox) -> None:
    for _ in range(3):
        sandbox.control("POST", "/hummingbot/snapshot")


def _bridge_one(sandbox: Sandbox) -> None:
    sandbox.add_account("bridge_one")


def _docker_fault(sandbox: Sandbox) -> None:
    sandbox.fault("hummingbot", "docker_down")


def _bad_config(sandbox: Sandbox) -> None:
    sandbox.hummingbot("POST", "/controllers/configs/bridge-bad-02", json={"anything": "goes"})


def _script_config(sandbox: Sandbox) -> None:
    body: dict[str, Any] = {"candles_config": [], "markets": {}}
    body |= {"script_file_name": "v2_with_controllers.py", "controllers_config": ["bridge-pmm-01.yml"]}
    sandbox.hummingbot("POST", "/scripts/configs/bridge-script-01", json=body)


def _stats(sandbox: Sandbox) -> None:
    """One deployment of each kind, one of them stopped."""
    deployed("", script=True)(sandbox)
    deployed("", and_wait(stop, 2))(sandbox)


def _archived(sandbox: Sandbox) -> Renamed:
    """The run that was recorded as number 5 is the first one here."""
    deployed(GAMMA, and_wait(archive, 40))(sandbox)
    return {"/5": "/1"}


def _left_behind(sandbox: Sandbox) -> Renamed:
    """The recorded file had a name of its own; here it bears its bot's."""
    [name] = (deployed("bot", and_wait(archive, 40))(sandbox) or {}).values()
    return {"bridge-delta-20261121-080000/data/bridge-delta": f"{name}/data/{name}"}


def _not_yet_up(sandbox: Sandbox) -> None:
    sandbox.add_container(ALPHA, configs=[CONFIG])
    sandbox.advance(1.5)


_TRIO = live(GHOST, ALPHA, SCRIPT)
_DUO_BETA = live(ALPHA, SCRIPT, BETA)
_SILENT_ALPHA = then(_TRIO, fault(f"bot:{ALPHA}", "silent"))
_BROKER_DOWN = then(_DUO_BETA, fault("hummingbot", "broker_down"))
_HISTORY = "/bot-orchestration/{}/history?timeout=0.01"

# Example to scenario; whatever is not named starts from an empty sandbox.
SCENARIOS: dict[str, Scenario] = {
    "archived-bots.list": _left_behind,
    "archived-bots.summary": _left_behind,
    "archived-bots.trades": _left_behind,
    "accounts.add-account.duplicate": _bridge_one,
    "accounts.add-credential.wrong-keys": _bridge_one,
    "accounts.add-credential.exchange-unreachable": then(_bridge_one, fault("exchange:binanceusdm", "drop")),
    "bot-orchestration.status.running": _TRIO,
    "bot-orchestration.status.just-after-api-restart": then(_TRIO, fault("hummingbot", "api_restart")),
    "bot-orchestration.status.12s-after-api-restart": then(_TRIO, fault("hummingbot", "api_restart"), advance(12)),
    "bot-orchestration.status.broker-down-35s": then(_BROKER_DOWN, archive(BETA), advance(35)),
    "bot-orchestration.status.container-exited": then(_TRIO, fault(f"bot:{GHOST}", "dead"), advance(2)),
    "bot-orchestration.status.docker-down": then(
        _DUO_BETA, fault(f"bot:{SCRIPT}", "silent"), advance(35), _docker_fault, advance(2)
    ),
    "bot-orchestration.status.image-untagged": then(_TRIO, fault(f"bot:{GHOST}", "untagged"), advance(2)),
    "bot-orchestration.status.mqtt-only-bot": live(GHOST, ALPHA, SCRIPT, ORPHAN),
    "bot-orchestration.status.mqtt-only-bot-gone": then(
        live(GHOST, ALPHA, SCRIPT, ORPHAN), fault(f"bot:{ORPHAN}", "silent"), advance(35)
    ),
    "bot-orchestration.status.stopping": then(live(ALPHA, BETA, GAMMA), archive(GAMMA)),
    "bot-orchestration.bot-status.running": _TRIO,
    "bot-orchestration.bot-status.script-bot": _TRIO,
    "bot-orchestration.bot-status.after-stop": then(_TRIO, stop(ALPHA)),
    "bot-orchestration.bot-status.after-stop-silent": then(_SILENT_ALPHA, stop(ALPHA)),
    "bot-orchestration.bot-status.stopping": then(live(GAMMA), archive(GAMMA)),
    "bot-orchestration.bot-status.archiving": then(live(GAMMA), archive(GAMMA), advance(3)),
    "bot-orchestration.bot-status.container-exited": then(_TRIO, fault(f"bot:{GHOST}", "dead"), advance(2)),
    "bot-orchestration.bot-status.idle": then(_SILENT_ALPHA, advance(35)),
    "bot-orchestration.bot-status.dead-bot-after-history": then(
        _SILENT_ALPHA, advance(35), lambda sandbox: sandbox.hummingbot("GET", _HISTORY.format(ALPHA))
    ),
    "bot-orchestration.bot-status.deployed-no-mqtt": _not_yet_up,
    "bot-orchestration.mqtt.with-bots": _TRIO,
    "bot-orchestration.mqtt.broker-down": then(_BROKER_DOWN, advance(3)),
    "bot-orchestration.mqtt.broker-back": _DUO_BETA,
    "bot-orchestration.history.ok": _TRIO,
    "bot-orchestration.history.timeout": _SILENT_ALPHA,
    "bot-orchestration.history.broker-down": _BROKER_DOWN,
    "bot-orchestration.start-bot.ok": then(_TRIO, stop(ALPHA)),
    "bot-orchestration.start-bot.already-running": _TRIO,
    "bot-orchestration.stop-bot.ok": _TRIO,
    "bot-orchestration.stop-bot.silent-bot": _SILENT_ALPHA,
    "bot-orchestration.stop-bot.broker-down": _BROKER_DOWN,
    "bot-orchestration.stop-and-archive.ok": live(ALPHA, GAMMA),
    "bot-orchestration.stop-and-archive.broker-down": _BROKER_DOWN,
    "bot-orchestration.stop-and-archive.repeat": then(live(ALPHA, BETA, GAMMA), archive(GAMMA), advance(3)),
    "bot-orchestration.stop-and-archive.container-exited": then(_TRIO, fault(f"bot:{GHOST}", "dead"), advance(2)),
    "bot-orchestration.bot-runs.created": deployed("bridge-script-20261121-092738", script=True),
    "bot-orchestration.bot-runs.filter": deployed(ALPHA),
    "bot-orchestration.bot-runs.run-stopped-bot-running": deployed(ALPHA, and_wait(stop, 2)),
    "bot-orchestration.bot-runs.stopped-but-alive": deployed(BETA, and_wait(stop, 2)),
    "bot-orchestration.bot-runs.archiving": deployed(GAMMA, and_wait(archive, 3)),
    "bot-orchestration.bot-runs.archived": deployed(GAMMA, and_wait(archive, 40)),
    "bot-orchestration.bot-runs.by-id.archived": _archived,
    "bot-orchestration.bot-runs.delete": _archived,
    "bot-orchestration.bot-runs.delete.404": deployed(GAMMA, _delete_run),
    "bot-orchestration.bot-runs.stats": _stats,
    "bot-orchestration.controller-performance-latest": then(live(ORPHAN, ALPHA), _snapshots),
    "bot-orchestration.controller-performance-history": then(live(ALPHA), _snapshots),
    "bot-orchestration.deploy-v2-controllers.docker-down": then(seed, _docker_fault),
    "controllers.bot-config.update": _TRIO,
    "controllers.bot-config.update.404": _TRIO,
    "controllers.bot-configs": _TRIO,
    "controllers.configs.get": seed,
    "controllers.configs.list": then(seed, _bad_config),
    "controllers.configs.delete": _bad_config,
    "scripts.configs.get": _script_config,
    "scripts.configs.list": _script_config,
    "scripts.configs.delete": _script_config,
    "docker.active-containers": _TRIO,
    "docker.active-containers.after-failed-archive": _DUO_BETA,
    "docker.active-containers.down": _docker_fault,
    "docker.exited-containers": then(_TRIO, fault(f"bot:{GHOST}", "dead")),
    "docker.running.down": _docker_fault,
}


def prepare(sandbox: Sandbox, name: str) -> Renamed:
    """Bring the sandbox there. Deployments find their account and config even without a scenario."""
    scenario = SCENARIOS.get(name)
    if scenario is None and name.startswith("bot-orchestration.deploy"):
        seed(sandbox)
        return {}
    return (scenario(sandbox) if scenario else None) or {}


def request(name: str, renamed: Renamed) -> dict[str, Any]:
    """The recorded request, with names as they are here. History calls wait a moment instead of seconds."""
    recorded = dict(recordings.example(name)["request"])
    for old, new in renamed.items():
        recorded["path"] = recorded["path"].replace(old, new)
        recorded["query"] = {k: new if v == old else v for k, v in (recorded["query"] or {}).items()}
    if name.startswith("bot-orchestration.history."):
        recorded["query"] = (recorded["query"] or {}) | {"timeout": 0.01}
    return recorded
