"""What each recorded answer of Hummingbot's API means, reviewed by hand against its README."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any

from bots.gateways.hummingbot import HummingbotGateway
from bots.types import (
    ApiVersion,
    ArchivedSummary,
    ArchiveStarted,
    CommandPublished,
    Container,
    Deployed,
    HeldPosition,
    InstanceTrade,
    MessageBroker,
    NamedConfig,
    Performance,
)
from ground.errors import BadCredentials, GatewayError, Rejected, Unavailable, UnknownOutcome

ALPHA = "bridge-alpha-20261121-092737"
BETA = "bridge-beta-20261121-093350"
GAMMA = "bridge-gamma-20261121-093551"
GHOST = "bridge-ghostcfg-20261121-092734"
SCRIPT = "bridge-script-20261121-092738"
IMAGE = "hummingbot/hummingbot:latest"
ARCHIVED = "bots/archived/bridge-delta-20261121-080000/data/bridge-delta.sqlite"
PMM_01 = {
    "buy_spreads": [D("0.002")],
    "connector_name": "binance_perpetual",
    "controller_name": "pmm_simple",
    "controller_type": "market_making",
    "executor_refresh_time": 300,
    "id": "bridge-pmm-01",
    "leverage": 5,
    "manual_kill_switch": False,
    "sell_spreads": [D("0.002")],
    "stop_loss": D("0.03"),
    "take_profit": D("0.02"),
    "time_limit": 2700,
    "total_amount_quote": 100,
    "trading_pair": "BTC-USDT",
}
PERFORMANCE = Performance(
    realized_pnl=D("2.75"),
    unrealized_pnl=D("-1.32"),
    global_pnl=D("1.43"),
    volume=D("1250.5"),
    positions=(
        HeldPosition(
            connector="binance_perpetual",
            symbol="BTC-USDT",
            side="buy",
            quantity=D("0.012"),
            breakeven_price=D("61010.25"),
            unrealized_pnl=D("-1.32"),
            realized_pnl=D("2.75"),
            fees=D("0.51"),
        ),
    ),
    close_counts={"TAKE_PROFIT": 3, "STOP_LOSS": 1},
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass(frozen=True)
class Answers:
    """The call answers this value, after ``view`` picked the part that is compared."""

    call: Callable[[HummingbotGateway], Any]
    value: Any
    view: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True)
class Raises:
    call: Callable[[HummingbotGateway], Any]
    error: type[GatewayError]
    sentence: str  # the whole message
    sent_elsewhere: bool = False  # recorded for a path or method that we never use; any call may meet it


def saved(content: object) -> Callable[[HummingbotGateway], Any]:
    return lambda g: g.save_controller_config("bridge-pmm-01", content)  # type: ignore[arg-type]


def words(value: Any) -> Any:
    """name -> (Hummingbot's word, does a controller report, was it heard of, source)."""
    return {n: (s.word, s.is_reporting, s.recently_active, s.source) for n, s in value.items()}


def one(value: Any) -> Any:
    """(word, report per controller, was it heard of, number of logged errors kept)."""
    reports = {report.controller: report.performance for report in value.reports}
    return (value.word, reports, value.recently_active, len(value.error_logs))


def runs(value: Any) -> Any:
    return [(r.id, r.instance_name, r.run_status, r.deployment_status, r.stopped_at is not None) for r in value]


def templated(value: Any) -> Any:
    return {field.name: (field.default, field.is_required) for field in value}


def deploy(
    g: HummingbotGateway, name: str = "bridge-alpha", config: str = "bridge-pmm-01", account: str = "master_account"
) -> Any:
    return g.deploy_controllers(instance_name=name, account=account, controllers=[config])


def add_keys(account: str, connector: str, **secrets: str) -> Callable[[HummingbotGateway], Any]:
    return lambda g: g.add_credentials(account, connector, secrets)


def archive(name: str) -> Callable[[HummingbotGateway], Any]:
    return lambda g: g.stop_and_archive(name)


def status_of(name: str) -> Callable[[HummingbotGateway], Any]:
    return lambda g: g.instance_status(name)


def call_statuses(g: HummingbotGateway) -> Any:
    return g.statuses()


RUNNING = ("running", True, True, "docker")
QUIET = ("stopped", False, False, "docker")
SCRIPT_ALIVE = ("stopped", False, True, "docker")
NO_SUCH_CALL = "Hummingbot's API does not have this call: check HUMMINGBOT_API_URL and its version."
WRONG_LOGIN = (
    "Hummingbot's API refused the bridge's user name or password: "
    "check HUMMINGBOT_API_USERNAME and HUMMINGBOT_API_PASSWORD."
)
DEPLOY_LOST = "Hummingbot answered HTTP 500 with something that is not JSON; the request may have been carried out."
NOT_ACTIVE = "Hummingbot cannot archive {}: it is not among its active bots."
BO = "bot-orchestration."

TABLE: dict[str, Answers | Raises] = {
    "root": Answers(lambda g: g.version(), ApiVersion("Hummingbot API", "1.0.1")),
    # What goes wrong before a call is looked at
    "api.start-without-docker": Raises(
        call_statuses, Unavailable, "Hummingbot's API cannot be reached: nothing accepts connections there."
    ),
    "error.401-no-credentials": Raises(call_statuses, BadCredentials, WRONG_LOGIN),
    "error.401-wrong-password": Raises(call_statuses, BadCredentials, WRONG_LOGIN),
    "error.404-unknown-route": Raises(call_statuses, Rejected, NO_SUCH_CALL, sent_elsewhere=True),
    "error.405-wrong-method": Raises(
        lambda g: g.start_strategy("x", script="s", config="c"), Rejected, NO_SUCH_CALL, sent_elsewhere=True
    ),
    "error.no-slash-redirect-accounts": Raises(lambda g: g.accounts(), Rejected, NO_SUCH_CALL, sent_elsewhere=True),
    # All bots
    BO + "status.empty": Answers(call_statuses, {}),
    BO + "status.just-after-api-restart": Answers(call_statuses, {}),
    BO + "status.12s-after-api-restart": Answers(
        call_statuses, {GHOST: QUIET, ALPHA: RUNNING, SCRIPT: SCRIPT_ALIVE}, words
    ),
    BO + "status.running": Answers(call_statuses, {GHOST: QUIET, ALPHA: RUNNING, SCRIPT: SCRIPT_ALIVE}, words),
    BO + "status.container-exited": Answers(call_statuses, {ALPHA: RUNNING, SCRIPT: SCRIPT_ALIVE}, words),
    BO + "status.image-untagged": Answers(call_statuses, {ALPHA: RUNNING, SCRIPT: SCRIPT_ALIVE}, words),
    BO + "status.broker-down-35s": Answers(
        call_statuses,
        {
            ALPHA: ("idle", True, False, "docker"),
            SCRIPT: QUIET,
            BETA: QUIET,
        },
        words,
    ),
    BO + "status.docker-down": Answers(call_statuses, {ALPHA: RUNNING, SCRIPT: QUIET, BETA: RUNNING}, words),
    BO + "status.mqtt-only-bot": Answers(
        call_statuses,
        {GHOST: QUIET, ALPHA: RUNNING, SCRIPT: SCRIPT_ALIVE, "orphan-from-cli": ("running", True, True, "mqtt")},
        words,
    ),
    BO + "status.mqtt-only-bot-gone": Answers(
        call_statuses, {GHOST: QUIET, ALPHA: RUNNING, SCRIPT: SCRIPT_ALIVE}, words
    ),
    BO + "status.stopping": Answers(call_statuses, {ALPHA: RUNNING, BETA: RUNNING}, words),
    # One bot
    BO + "bot-status.running": Answers(status_of(ALPHA), ("running", {"bridge-pmm-01": PERFORMANCE}, True, 1), one),
    BO + "bot-status.after-stop": Answers(status_of(ALPHA), ("running", {"bridge-pmm-01": None}, True, 2), one),
    BO + "bot-status.after-stop-silent": Answers(status_of(ALPHA), ("stopped", {}, True, 1), one),
    BO + "bot-status.dead-bot-after-history": Answers(
        status_of(ALPHA), ("running", {"bridge-pmm-01": PERFORMANCE}, True, 0), one
    ),
    BO + "bot-status.deployed-no-mqtt": Answers(status_of(ALPHA), ("stopped", {}, False, 0), one),
    BO + "bot-status.idle": Answers(status_of(ALPHA), ("idle", {"bridge-pmm-01": PERFORMANCE}, False, 1), one),
    BO + "bot-status.script-bot": Answers(status_of(SCRIPT), ("stopped", {}, True, 1), one),
    BO + "bot-status.stopping": Answers(status_of(GAMMA), ("stopping", {}, False, 0), one),
    BO + "bot-status.archiving": Answers(status_of(GAMMA), None),
    BO + "bot-status.container-exited": Answers(status_of(GHOST), None),
    BO + "bot-status.gone": Answers(status_of("orphan-from-cli"), None),
    BO + "bot-status.unknown": Answers(status_of("no-such-bot"), None),
    # The broker and the containers
    BO + "mqtt.connected": Answers(lambda g: g.message_broker(), MessageBroker(True, (), (), "connected")),
    BO + "mqtt.with-bots": Answers(
        lambda g: g.message_broker(), MessageBroker(True, (SCRIPT, ALPHA), (GHOST, ALPHA, SCRIPT), "connected")
    ),
    BO + "mqtt.broker-down": Answers(
        lambda g: g.message_broker(),
        MessageBroker(True, (ALPHA, SCRIPT, BETA), (ALPHA, SCRIPT, BETA), "connected"),
    ),
    BO + "mqtt.broker-back": Answers(
        lambda g: g.message_broker(),
        MessageBroker(True, (ALPHA, SCRIPT, BETA), (ALPHA, SCRIPT, BETA), "connected"),
    ),
    "docker.active-containers": Answers(
        lambda g: g.active_containers(),
        (Container(GHOST, "running", IMAGE), Container(ALPHA, "running", IMAGE), Container(SCRIPT, "running", IMAGE)),
    ),
    "docker.active-containers.after-failed-archive": Answers(
        lambda g: g.active_containers(),
        (Container(ALPHA, "running", IMAGE), Container(SCRIPT, "running", IMAGE), Container(BETA, "running", IMAGE)),
    ),
    "docker.active-containers.empty": Answers(lambda g: g.active_containers(), ()),
    "docker.active-containers.down": Raises(
        lambda g: g.active_containers(), Unavailable, "Hummingbot answered HTTP 500 with something that is not JSON."
    ),
    "docker.exited-containers": Answers(lambda g: g.exited_containers(), (Container(GHOST, "exited", IMAGE),)),
    "docker.exited-containers.empty": Answers(lambda g: g.exited_containers(), ()),
    "docker.running": Answers(lambda g: g.is_docker_running(), True),
    "docker.running.down": Raises(
        lambda g: g.is_docker_running(), Unavailable, "Hummingbot answered HTTP 500 with something that is not JSON."
    ),
    # Its log of deploys
    "archived-bots.list.empty": Answers(lambda g: g.archived_bots(), ()),
    "archived-bots.list": Answers(lambda g: g.archived_bots(), (ARCHIVED,)),
    "archived-bots.summary": Answers(
        lambda g: g.archived_summary(ARCHIVED), ArchivedSummary(("BTC-USDT",), ("binance_perpetual",), 2)
    ),
    "archived-bots.summary.404": Raises(
        lambda g: g.archived_summary("bots/archived/ghost/data/ghost.sqlite"),
        Rejected,
        "Hummingbot refused: Database path 'bots/archived/ghost/data/ghost.sqlite' not found",
    ),
    BO + "bot-runs.empty": Answers(lambda g: g.bot_runs(), ()),
    BO + "bot-runs.created": Answers(
        lambda g: g.bot_runs(),
        [
            (3, SCRIPT, "CREATED", "DEPLOYED", False),
            (2, ALPHA, "CREATED", "DEPLOYED", False),
            (1, GHOST, "CREATED", "DEPLOYED", False),
        ],
        runs,
    ),
    BO + "bot-runs.filter": Answers(
        lambda g: g.bot_runs(instance_name=ALPHA, limit=1), [(2, ALPHA, "CREATED", "DEPLOYED", False)], runs
    ),
    BO + "bot-runs.run-stopped-bot-running": Answers(
        lambda g: g.bot_runs(instance_name=ALPHA), [(2, ALPHA, "STOPPED", "DEPLOYED", True)], runs
    ),
    BO + "bot-runs.stopped-but-alive": Answers(
        lambda g: g.bot_runs(instance_name=BETA), [(4, BETA, "STOPPED", "DEPLOYED", True)], runs
    ),
    BO + "bot-runs.archiving": Answers(
        lambda g: g.bot_runs(instance_name=GAMMA), [(5, GAMMA, "STOPPED", "DEPLOYED", True)], runs
    ),
    BO + "bot-runs.archived": Answers(
        lambda g: g.bot_runs(instance_name=GAMMA),
        (
            5,
            GAMMA,
            "master_account",
            "ARCHIVED",
            at("2026-11-21T09:35:51.606650"),
            at("2026-11-21T09:36:21.596030"),
            ("bridge-pmm-01",),
            "running",
            PERFORMANCE,
        ),
        lambda v: (
            v[0].id,
            v[0].instance_name,
            v[0].account,
            v[0].deployment_status,
            v[0].deployed_at,
            v[0].stopped_at,
            v[0].controllers,
            v[0].final.word,
            v[0].final.reports[0].performance,
        ),
    ),
    # Deploy
    BO + "deploy-v2-controllers.ok": Answers(deploy, Deployed(ALPHA, ("bridge-pmm-01",))),
    BO + "deploy-v2-controllers.unknown-config": Answers(
        lambda g: deploy(g, "bridge-ghostcfg", "no-such-config"), Deployed(GHOST, ("no-such-config",))
    ),
    BO + "deploy-v2-controllers.422": Raises(
        deploy,
        Rejected,
        "Hummingbot refused: body.credentials_profile: Field required; body.controllers_config: Field required",
    ),
    # A plain 500 may also come from after the container was made, so it is looked up, never sent again.
    BO + "deploy-v2-controllers.bad-name": Raises(lambda g: deploy(g, "bridge alpha.1"), UnknownOutcome, DEPLOY_LOST),
    BO + "deploy-v2-controllers.dotted-config": Raises(
        lambda g: deploy(g, config="bridge_0.1"), UnknownOutcome, DEPLOY_LOST
    ),
    BO + "deploy-v2-controllers.docker-down": Raises(
        deploy, Unavailable, "Hummingbot could not reach its Docker engine, so nothing was deployed."
    ),
    BO + "deploy-v2-controllers.image-missing": Raises(
        deploy,
        Rejected,
        "Hummingbot could not create the bot: 404 Client Error for (address) Not Found "
        '("pull access denied (no network)")',
    ),
    BO + "deploy-v2-controllers.unknown-account": Raises(
        lambda g: deploy(g, account="ghost"),
        Rejected,
        "Hummingbot has no such account, so it could not deploy the bot.",
    ),
    BO + "deploy-v2-script.ok": Answers(
        lambda g: g.deploy_script(
            instance_name="bridge-script", account="master_account", script="simple_pmm", script_config=None
        ),
        Deployed(SCRIPT, ()),
    ),
    BO + "deploy-v2-script.unknown-account": Raises(
        lambda g: g.deploy_script(instance_name="bridge-script", account="ghost", script="s", script_config=None),
        Rejected,
        "Hummingbot has no such account, so it could not deploy the bot.",
    ),
    # Start, stop, retire
    BO + "start-bot.ok": Answers(
        lambda g: g.start_strategy(ALPHA, script="v2_with_controllers", config=f"{ALPHA}.yml"),
        CommandPublished(ALPHA, "start"),
    ),
    BO + "start-bot.already-running": Answers(
        lambda g: g.start_strategy(ALPHA, script="v2_with_controllers", config=f"{ALPHA}.yml"),
        CommandPublished(ALPHA, "start"),
    ),
    BO + "start-bot.unknown": Raises(
        lambda g: g.start_strategy("no-such-bot", script="v2_with_controllers", config="x.yml"),
        Rejected,
        "Hummingbot does not know the bot no-such-bot.",
    ),
    BO + "start-bot.422": Raises(
        lambda g: g.start_strategy("", script="s", config="c"),
        Rejected,
        "Hummingbot refused: body.bot_name: Field required",
    ),
    BO + "stop-bot.ok": Answers(lambda g: g.stop_strategy(ALPHA), CommandPublished(ALPHA, "stop")),
    BO + "stop-bot.silent-bot": Answers(lambda g: g.stop_strategy(ALPHA), CommandPublished(ALPHA, "stop")),
    BO + "stop-bot.unknown": Raises(
        lambda g: g.stop_strategy("no-such-bot"), Rejected, "Hummingbot does not know the bot no-such-bot."
    ),
    BO + "stop-bot.broker-down": Raises(
        lambda g: g.stop_strategy(BETA),
        Unavailable,
        "Hummingbot could not pass on the stop: its message broker seems to be away.",
    ),
    BO + "stop-and-archive.ok": Answers(archive(GAMMA), ArchiveStarted(GAMMA)),
    BO + "stop-and-archive.broker-down": Answers(archive(BETA), ArchiveStarted(BETA)),
    BO + "stop-and-archive.container-exited": Raises(archive(GHOST), Rejected, NOT_ACTIVE.format(GHOST)),
    BO + "stop-and-archive.repeat": Raises(archive(GAMMA), Rejected, NOT_ACTIVE.format(GAMMA)),
    BO + "stop-and-archive.unknown": Raises(archive("no-such-bot"), Rejected, NOT_ACTIVE.format("no-such-bot")),
    # Trades and figures
    BO + "history.ok": Answers(
        lambda g: g.trades_of(ALPHA, days=1),
        (
            InstanceTrade(
                trade_id="4821973301",
                connector="binance_perpetual",
                symbol="BTC-USDT",
                side="buy",
                price=D("61010.25"),
                quantity=D("0.004"),
                traded_at=at("2026-11-21T09:06:40"),
                fees=(("USDT", D("0.0976")),),
            ),
        ),
    ),
    BO + "history.timeout": Raises(
        lambda g: g.trades_of(ALPHA), Unavailable, f"The bot {ALPHA} did not answer Hummingbot in time."
    ),
    BO + "history.broker-down": Raises(
        lambda g: g.trades_of(BETA), Unavailable, f"The bot {BETA} did not answer Hummingbot in time."
    ),
    BO + "history.unknown": Raises(
        lambda g: g.trades_of("no-such-bot"), Rejected, "Hummingbot does not know the bot no-such-bot."
    ),
    BO + "controller-performance-latest": Answers(
        lambda g: g.latest_performance(),
        [
            ("orphan-from-cli", at("2026-11-21T09:30:33.425997"), "manual-ctrl", PERFORMANCE),
            (ALPHA, at("2026-11-21T09:31:33.440944"), "bridge-pmm-01", PERFORMANCE),
        ],
        lambda v: [(s.instance_name, s.recorded_at, s.report.controller, s.report.performance) for s in v],
    ),
    BO + "controller-performance-latest.empty": Answers(lambda g: g.latest_performance(), ()),
    # Configs
    "controllers.configs.save": Answers(saved({"controller_name": "pmm_simple", "buy_spreads": [0.002]}), None),
    "controllers.configs.save.unvalidated": Answers(
        lambda g: g.save_controller_config("bridge-bad-02", {"anything": "goes"}), None
    ),
    "controllers.configs.save.422": Raises(
        lambda g: g.save_controller_config("bridge-pmm-03", {}),
        Rejected,
        "Hummingbot refused: body: Input should be a valid dictionary",
    ),
    "controllers.configs.save.traversal": Raises(
        lambda g: g.save_controller_config("../../evil", {}), Rejected, NO_SUCH_CALL
    ),
    "controllers.bot-configs": Answers(lambda g: g.instance_configs(ALPHA), (NamedConfig("bridge-pmm-01", PMM_01),)),
    "controllers.bot-configs.404": Raises(
        lambda g: g.instance_configs("ghost"), Rejected, "Hummingbot refused: Bot 'ghost' not found"
    ),
    "controllers.configs.get": Answers(
        lambda g: g.controller_config("bridge-pmm-01"), NamedConfig("bridge-pmm-01", PMM_01)
    ),
    "controllers.configs.get.404": Raises(
        lambda g: g.controller_config("ghost"), Rejected, "Hummingbot refused: Configuration 'ghost' not found"
    ),
    "controllers.configs.list": Answers(
        lambda g: g.controller_configs(),
        (
            NamedConfig("bridge-bad-02", {"anything": "goes"}),
            NamedConfig("bridge-pmm-01", {key: value for key, value in PMM_01.items() if key != "id"}),
        ),
    ),
    "controllers.configs.empty": Answers(lambda g: g.controller_configs(), ()),
    "controllers.config.template": Answers(
        lambda g: g.controller_template("market_making", "pmm_simple"),
        {
            "id": (None, True),
            "leverage": (20, False),
            "buy_spreads": ("0.01,0.02", False),
            "trailing_stop": (None, False),
        },
        lambda v: {n: templated(v)[n] for n in ("id", "leverage", "buy_spreads", "trailing_stop")},
    ),
    "controllers.config.template.404": Raises(
        lambda g: g.controller_template("market_making", "ghost"),
        Rejected,
        "Hummingbot refused: Controller configuration class for 'ghost' not found",
    ),
    "controllers.config.validate.ok": Answers(
        lambda g: g.validate_controller_config("market_making", "pmm_simple", {"leverage": 5}), None
    ),
    "controllers.config.validate.400": Raises(
        lambda g: g.validate_controller_config("market_making", "pmm_simple", {"leverage": "lots"}),
        Rejected,
        "Hummingbot refused: leverage: Input should be a valid integer, unable to parse string as an integer; "
        "nope: Extra inputs are not permitted",
    ),
    "scripts.configs.save": Answers(lambda g: g.save_script_config("bridge-script-01", {"markets": {}}), None),
    "scripts.configs.get": Answers(
        lambda g: g.script_config("bridge-script-01"),
        NamedConfig(
            "bridge-script-01",
            {
                "candles_config": [],
                "controllers_config": ["bridge-pmm-01.yml"],
                "markets": {},
                "script_file_name": "v2_with_controllers.py",
            },
        ),
    ),
    "scripts.configs.get.404": Raises(
        lambda g: g.script_config("ghost"), Rejected, "Hummingbot refused: Configuration 'ghost' not found"
    ),
    "scripts.configs.list": Answers(
        lambda g: g.script_configs(),
        (
            NamedConfig(
                "bridge-script-01",
                {
                    "script_file_name": "v2_with_controllers.py",
                    "controllers_config": ["bridge-pmm-01.yml"],
                    "candles_config": [],
                    "markets": {},
                },
            ),
        ),
    ),
    "scripts.configs.empty": Answers(lambda g: g.script_configs(), ()),
    # Accounts and credentials
    "accounts.list": Answers(lambda g: g.accounts(), ("master_account",)),
    "accounts.delete-credential.absent": Answers(lambda g: g.delete_credentials("bridge_one", "binance"), None),
    "accounts.add-account": Answers(lambda g: g.add_account("bridge_one"), None),
    "accounts.add-account.duplicate": Raises(
        lambda g: g.add_account("bridge_one"), Rejected, "Hummingbot refused: Account already exists."
    ),
    "accounts.add-account.bad-name": Raises(
        lambda g: g.add_account("bridge one"),
        Rejected,
        "Hummingbot refused: Invalid account name: 'bridge one'. "
        "Only letters, numbers, underscores and hyphens are allowed.",
    ),
    "accounts.credentials.list": Answers(lambda g: g.credentials("master_account"), ()),
    "accounts.credentials.list.404": Raises(
        lambda g: g.credentials("ghost"),
        Rejected,
        "Hummingbot refused: Directory 'credentials/ghost/connectors' not found",
    ),
    "accounts.credentials.list.400": Raises(
        lambda g: g.credentials("bad.name"),
        Rejected,
        "Hummingbot refused: Invalid account name: 'bad.name'. "
        "Only letters, numbers, underscores and hyphens are allowed.",
    ),
    "accounts.add-credential.exchange-unreachable": Raises(
        add_keys("bridge_one", "binance_perpetual", binance_perpetual_api_key="k", binance_perpetual_api_secret="s"),
        Unavailable,
        "Hummingbot could not reach binance_perpetual to check the credentials.",
    ),
    "accounts.add-credential.wrong-keys": Raises(
        add_keys("bridge_one", "binance_perpetual", api_key="k"),
        Rejected,
        "Hummingbot wants other credential fields for binance_perpetual.",
    ),
    "accounts.add-credential.unknown-connector": Raises(
        add_keys("bridge_one", "ghostex", api_key="k"), Rejected, "Hummingbot does not know the connector ghostex."
    ),
    "accounts.add-credential.bad-account-name": Raises(
        add_keys("bad.name", "binance_perpetual", api_key="k"),
        Rejected,
        "Hummingbot does not accept the account name bad.name.",
    ),
}

NOT_CALLED: dict[str, str] = {
    "accounts.delete-account": "the bridge never deletes an account at Hummingbot",
    "connectors.": "exchanges/ owns the map of names and credential fields; its tests read these",
    "archived-bots.orders": "orders that are over are no use to the bridge",
    "archived-bots.performance": "it fails with a 500; the ledger has the figures",
    "archived-bots.status": "it says of every small database that it is unhealthy",
    "archived-bots.trades": "trades are read from the exchange",
    BO + "bot-runs.by-id": "runs are looked up by name",
    BO + "bot-runs.delete": "deleting a run deletes the only copy of its trades",
    BO + "bot-runs.filter-running": "run_status RUNNING is never written, so nobody asks for it",
    BO + "bot-runs.stats": "its counts are always wrong (active_runs is 0)",
    BO + "controller-performance-history": "only the latest report is used",
    "controllers.bot-config.update": "each start is a new deployment with the current config, a running one is not edited",
    "controllers.configs.delete": "configs are small and named after the deployment they belong to",
    "controllers.list": "templates name their controller",
    "portfolio.": "balances are read from the exchange",
    "scripts.config.template": "script configs are written whole",
    "scripts.configs.delete": "as for controllers",
    "scripts.get": "templates name their script",
    "scripts.list": "templates name their script",
    "trading.": "these are about connectors inside the API's process, not about bots",
}
