"""Running strategies for ``bin/bench restore``, as starting them leaves them.

Clients, keys, strategies, bots and wanted deployments are made by the product's own services, keys are given to
Hummingbot by its worker's service, and each container is one that Hummingbot's API made. Only the step of a worker in
between is ours: one statement says of all deployments that they were sent and seen running.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing import get_context
from typing import TYPE_CHECKING
from uuid import UUID

import requests

if TYPE_CHECKING:
    from bots.gateways.hummingbot import HummingbotGateway
    from bots.models import BotDeployment
    from ground.scope import Scope

PAIRS = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT", "DOGE/USDT", "LTC/USDT", "SHARP/USDT")
HANDS = 4  # processes that seed at once
_ARE_LIVE = """
    UPDATE bot_deployments d SET status = 'live', instance_name = x.name, sent_at = %(now)s, confirmed_at = %(now)s,
           due_at = %(now)s
      FROM unnest(%(ids)s::uuid[], %(names)s::text[]) AS x (id, name) WHERE d.id = x.id
"""
MODES = ("scalp", "bull", "bear", "range")


def clients_for(strategies: int) -> int:
    return -(-strategies // len(PAIRS))


def seed(strategies: int, *, sandbox: str, gateway: HummingbotGateway, now: datetime) -> None:
    """So many strategies with a container each, every one of them confirmed."""
    with ProcessPoolExecutor(HANDS, mp_context=get_context("fork")) as pool:
        for done in [pool.submit(_seed_part, hand, strategies, sandbox, gateway, now) for hand in range(HANDS)]:
            done.result()


def _seed_part(hand: int, strategies: int, sandbox: str, gateway: HummingbotGateway, now: datetime) -> None:
    """Every so manieth client, with all that is theirs."""
    from ground.scope import Scope

    scope = Scope(actor="operator:bench")
    clients = range(hand, clients_for(strategies), HANDS)
    for number in clients:
        pairs = PAIRS[: strategies - number * len(PAIRS)]
        connector = _make_client(number, scope=scope, sandbox=sandbox, gateway=gateway, now=now)
        bots = [_start(number, turn, pair, scope=scope, now=now) for turn, pair in enumerate(pairs)]
        _deploy(bots, connector=connector, scope=scope, gateway=gateway, now=now)


def _make_client(number: int, *, scope: Scope, sandbox: str, gateway: HummingbotGateway, now: datetime) -> UUID:
    """One with a key at the sandbox's exchange, which Hummingbot holds too; its connector."""
    from bots.services.sync_credentials import sync_credentials
    from clients.models import Connector
    from clients.services.manage_clients import create_client

    key = {"api_key": f"bench-key-{number:06d}-{'x' * 16}", "api_secret": f"secret-{number}"}
    sent = {"exchange": "binance", "api_key": key["api_key"], "secret": key["api_secret"]}
    requests.post(f"{sandbox}/control/keys", json=sent, timeout=60).raise_for_status()
    create_client(
        scope=scope, name=f"Bench {number}", account_identifier=f"bench_{number}", wallets=[],
        connectors=[{"name": "binance", **key}],
    )  # fmt: skip
    with scope.transaction():
        connector_id = Connector.objects.values_list("id", flat=True).get(client__account_identifier=f"bench_{number}")
    sync_credentials(connector_id=connector_id, gateway=gateway, now=now)
    return connector_id


def _start(number: int, turn: int, pair: str, *, scope: Scope, now: datetime) -> UUID:
    """A strategy that is wanted running and not yet sent; its bot."""
    from strategies.models import ActiveStrategy
    from strategies.services.start_strategy import start_strategy

    start_strategy(
        scope=scope, symbol=pair.replace("/", ""), mode=MODES[turn % len(MODES)], exchange="binance",
        account=f"bench_{number}", now=now, wait=False,
    )  # fmt: skip
    with scope.transaction():
        found = ActiveStrategy.objects.filter(client__account_identifier=f"bench_{number}")
        return found.values_list("bot_id", flat=True).get(symbol=pair)


def _deploy(bots: list[UUID], *, connector: UUID, scope: Scope, gateway: HummingbotGateway, now: datetime) -> None:
    from bots.models import BotDeployment, HummingbotCredential
    from ground.sql import run

    with scope.transaction():
        wanted = list(BotDeployment.objects.filter(bot_id__in=bots).select_related("bot"))
        account = HummingbotCredential.objects.values_list("account_name", flat=True).get(connector_id=connector)
    names = [_deploy_one(row, account, gateway) for row in wanted]
    with scope.transaction(reason="bench"):
        run(_ARE_LIVE, {"ids": [row.id for row in wanted], "names": names, "now": now})


def _deploy_one(row: BotDeployment, account: str, gateway: HummingbotGateway) -> str:
    from bots.models import BotTemplate
    from bots.rules.templates import render
    from bots.services.define_bot import template_of
    from exchanges.hummingbot import required_connector_name

    content = render(
        template_of(BotTemplate.objects.get(name=row.bot.strategy)), row.config,
        connector=required_connector_name(row.bot.connector_name), symbol=row.bot.pair, config_name=row.requested_name,
    )  # fmt: skip
    gateway.save_controller_config(row.requested_name, content)
    return gateway.deploy_controllers(
        instance_name=row.requested_name, account=account, controllers=[row.requested_name]
    ).instance_name
