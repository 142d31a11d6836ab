"""Positions and orders that strategies left open, read before anything of theirs trades again. Runs in a worker."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from bots.models import Bot
from exchanges.names import Market, resolve
from exchanges.types import Balance, Credentials, MarketType, OpenOrder
from ground.encrypted import Undecryptable
from ground.errors import GatewayError
from ground.scope import Scope, assert_no_transaction
from ledger.models import Position
from ledger.rules.words import Mode, PositionStatus
from strategies.rules.carried import AccountSeen, HeldPosition, describe_carried

MOST_S = 20.0  # no call is begun later; each ends by itself within the gateway's own time-out
_AT_ONCE = 8


class Gateway(Protocol):
    """What is asked of one key; ``exchanges.gateways.ccxt_gateway.ExchangeGateway`` is one."""

    def fetch_open_orders(self, symbol: str) -> list[OpenOrder]: ...

    def fetch_balance(self) -> Mapping[str, Balance]: ...


class Gateways(Protocol):
    """What ``exchanges.gateways.pool.GatewayPool`` gives."""

    def gateway(
        self, exchange_id: str, market_type: MarketType | str, credentials: Credentials | None = None
    ) -> Gateway: ...


@dataclass(frozen=True, slots=True)
class _Account:
    """One bot's account, and what the ledger has of it. ``login`` None: it cannot be asked, ``problem`` says why."""

    bot_id: UUID
    pair: str
    market: Market
    order_prefix: str
    positions: tuple[HeldPosition, ...]
    sharers: tuple[str, ...]
    login: Credentials | None = field(repr=False)
    problem: str = ""


def read_carried(
    *, scope: Scope, bot_ids: Sequence[UUID], gateways: Gateways, now: datetime, most_s: float = MOST_S
) -> dict[UUID, dict[str, Any]]:
    """What each of these bots carries. Every bot has an answer: what could not be read says so in it."""
    if not bot_ids:
        return {}
    with scope.transaction():
        accounts = _accounts(bot_ids)
    assert_no_transaction()
    by_key: dict[object, list[_Account]] = defaultdict(list)
    for account in accounts:
        by_key[account.login.fingerprint if account.login else account.bot_id].append(account)
    until = time.monotonic() + most_s
    seen: dict[UUID, AccountSeen] = {}
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="carried") as pool:
        for found in pool.map(lambda group: _ask_key(group, gateways, until), by_key.values()):
            seen |= found
    return {account.bot_id: _described(account, seen[account.bot_id], now) for account in accounts}


def _described(account: _Account, seen: AccountSeen, now: datetime) -> dict[str, Any]:
    return describe_carried(
        positions=account.positions,
        account=seen,
        market_type=account.market.market_type,
        order_prefix=account.order_prefix,
        sharers=account.sharers,
        now=now,
    )


def _ask_key(accounts: Sequence[_Account], gateways: Gateways, until: float) -> dict[UUID, AccountSeen]:
    """One key's accounts, one after the other; its balances are asked for once, and only where they tell something."""
    balances: Mapping[str, Balance] | None = None
    seen: dict[UUID, AccountSeen] = {}
    for account in accounts:
        if account.login is None:
            seen[account.bot_id] = AccountSeen(problem=account.problem)
            continue
        if time.monotonic() >= until:
            seen[account.bot_id] = AccountSeen(problem="there was no time left to ask the exchange")
            continue
        try:
            gateway = gateways.gateway(account.market.exchange, account.market.market_type, account.login)
            orders = gateway.fetch_open_orders(account.pair)
            if account.positions and balances is None and account.market.market_type == MarketType.SPOT:
                balances = gateway.fetch_balance()
            seen[account.bot_id] = AccountSeen(orders, _held(balances, account.pair))
        except GatewayError as error:
            seen[account.bot_id] = AccountSeen(problem=error.message)
    return seen


def _held(balances: Mapping[str, Balance] | None, pair: str) -> Any:
    if balances is None:
        return None
    balance = balances.get(pair.partition("/")[0])
    return balance.total if balance is not None else 0


def _accounts(bot_ids: Iterable[UUID]) -> list[_Account]:
    bots = list(Bot.objects.filter(id__in=list(bot_ids)).select_related("connector").order_by("id"))
    positions = _positions([bot.id for bot in bots])
    sharers = _sharers(bots)
    return [_account(bot, positions.get(bot.id, ()), sharers.get(bot.id, ())) for bot in bots]


def _positions(bot_ids: list[UUID]) -> dict[UUID, tuple[HeldPosition, ...]]:
    rows: dict[UUID, list[HeldPosition]] = defaultdict(list)
    held = Position.objects.filter(bot_id__in=bot_ids, status=PositionStatus.OPEN, mode=Mode.LIVE)
    for row in held.order_by("opened_at", "id"):
        rows[row.bot_id].append(
            HeldPosition(row.symbol, row.position_type, row.quantity, row.entry_price, row.opened_at)
        )
    return {bot_id: tuple(found) for bot_id, found in rows.items()}


def _sharers(bots: list[Bot]) -> dict[UUID, tuple[str, ...]]:
    """Names of other bots on the same connector and pair: their orders cannot be told from this one's."""
    connectors = [bot.connector_id for bot in bots if bot.connector_id]
    names: dict[tuple[object, str], list[tuple[UUID, str]]] = defaultdict(list)
    others = Bot.objects.filter(connector_id__in=connectors, retired_at=None).exclude(desired_status="created")
    for bot_id, connector, pair, name in others.values_list("id", "connector_id", "pair", "name"):
        names[connector, pair].append((bot_id, name))
    return {
        bot.id: tuple(sorted(name for other, name in names[bot.connector_id, bot.pair] if other != bot.id))
        for bot in bots
    }


def _account(bot: Bot, positions: tuple[HeldPosition, ...], sharers: tuple[str, ...]) -> _Account:
    market = resolve(bot.connector_name)
    login, problem = _login(bot, market)
    prefix = bot.config.get("client_order_id_prefix", "") if isinstance(bot.config, dict) else ""
    return _Account(bot.id, bot.pair, market, str(prefix or ""), positions, sharers, login, problem)


def _login(bot: Bot, market: Market) -> tuple[Credentials | None, str]:
    connector = bot.connector
    if connector is None or connector.retired_at is not None or not connector.api_key or not connector.api_secret:
        return None, f"there are no credentials for {market.title}"
    try:
        memo = connector.passphrase.open() if connector.passphrase else ""
        return Credentials(connector.api_key.open(), connector.api_secret.open(), memo), ""
    except Undecryptable as error:
        return None, error.message
