"""Reference A, the design that the product replaces: FastAPI, SQLAlchemy 2 (sync), psycopg2, uvicorn with 2 workers.

Written as such services are: ORM models with joined loading, Pydantic shapes, a session per request, the key looked up
through the ORM, filters by client in the queries. With HUMMINGBOT_URL it asks Hummingbot inside each list of bots and
merges what runs; without it, it reads what is stored. No row-level security and no tenant setting.
"""

from __future__ import annotations

import hashlib
import os
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import requests
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy import ForeignKey, create_engine, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship, sessionmaker

from bots.rules.status import derive_status

HUMMINGBOT_URL = os.environ.get("HUMMINGBOT_URL", "")
CURRENT_FOR = timedelta(seconds=10 + 3 * int(os.environ.get("HUMMINGBOT_POLL_SECONDS", "10")))
engine = create_engine(
    os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://", 1), pool_size=10, max_overflow=2
)
new_session = sessionmaker(engine)


class Base(DeclarativeBase):
    type_annotation_map = {dict[str, Any]: JSONB, list[Any]: JSONB}


class Client(Base):
    __tablename__ = "clients"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    account_identifier: Mapped[str]
    status: Mapped[str]
    management_mode: Mapped[str]
    retired_at: Mapped[datetime | None]
    wallets: Mapped[list[Wallet]] = relationship(order_by="Wallet.created_at, Wallet.id")
    connectors: Mapped[list[Connector]] = relationship(
        primaryjoin="and_(Connector.client_id == Client.id, Connector.retired_at.is_(None))",
        order_by="Connector.created_at, Connector.id",
    )


class Wallet(Base):
    __tablename__ = "wallets"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    client_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clients.id"))
    chain: Mapped[str]
    address: Mapped[str]
    address_key: Mapped[str]
    created_at: Mapped[datetime]
    client: Mapped[Client] = relationship(viewonly=True)


class Connector(Base):
    __tablename__ = "connectors"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    client_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clients.id"))
    name: Mapped[str]
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]


class ApiKey(Base):
    __tablename__ = "api_keys"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    prefix: Mapped[str]
    digest: Mapped[str]
    client_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("clients.id"))
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    client: Mapped[Client | None] = relationship()


class Bot(Base):
    __tablename__ = "bots"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    client_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clients.id"))
    connector_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("connectors.id"))
    connector_name: Mapped[str]
    name: Mapped[str]
    pair: Mapped[str]
    strategy: Mapped[str]
    config: Mapped[dict[str, Any]]
    runtime_kind: Mapped[str] = mapped_column(default="hummingbot")
    desired_status: Mapped[str] = mapped_column(default="created")
    desired_by: Mapped[str] = mapped_column(default="")
    desired_reason: Mapped[str] = mapped_column(default="")
    reported_status: Mapped[str | None]
    reported_by: Mapped[str] = mapped_column(default="")
    stale_minutes: Mapped[Decimal | None]
    stopped_minutes: Mapped[Decimal | None]
    source: Mapped[str] = mapped_column(default="")
    source_id: Mapped[str] = mapped_column(default="")
    deletion_requested_by: Mapped[str] = mapped_column(default="")
    retired_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    client: Mapped[Client] = relationship()
    health: Mapped[BotHealth | None] = relationship()
    runtime: Mapped[BotRuntime | None] = relationship()
    stats: Mapped[BotStats | None] = relationship()
    deployments: Mapped[list[BotDeployment]] = relationship(order_by="BotDeployment.sequence.desc()")


class BotHealth(Base):
    __tablename__ = "bot_health"
    bot_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("bots.id"), primary_key=True)
    client_id: Mapped[uuid.UUID]
    status: Mapped[str] = mapped_column(default="unknown")
    message: Mapped[str] = mapped_column(default="Not checked yet.")
    status_updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_known_status: Mapped[str | None]
    last_known_at: Mapped[datetime | None]
    last_trade_at: Mapped[datetime | None]
    last_heartbeat_at: Mapped[datetime | None]
    heartbeat_status: Mapped[str] = mapped_column(default="")
    evidence: Mapped[list[Any]] = mapped_column(default=list, deferred=True)
    thresholds: Mapped[dict[str, Any]] = mapped_column(default=dict, deferred=True)


class BotRuntime(Base):
    __tablename__ = "bot_runtime"
    bot_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("bots.id"), primary_key=True)
    status: Mapped[str]
    explanation: Mapped[str]
    observed_at: Mapped[datetime]


class BotStats(Base):
    __tablename__ = "bot_stats"
    bot_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("bots.id"), primary_key=True)
    buys_24h: Mapped[int | None]
    sells_24h: Mapped[int | None]
    volume_24h: Mapped[Decimal | None]
    pnl: Mapped[Decimal | None]
    last_price: Mapped[Decimal | None]


class BotDeployment(Base):
    __tablename__ = "bot_deployments"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    bot_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("bots.id"))
    sequence: Mapped[int]
    status: Mapped[str]
    requested_name: Mapped[str]
    instance_name: Mapped[str]
    message: Mapped[str]
    confirmed_at: Mapped[datetime | None]


class BotInput(BaseModel):
    name: str = Field(max_length=200)
    account: str
    connector: str = Field(max_length=64)
    pair: str = Field(max_length=40)
    strategy: str = Field(max_length=64)
    config: dict[str, Any] = {}


class RuntimeShown(BaseModel):
    status: str
    source: str
    observed_at: datetime
    age_s: float
    explanation: str


class LastKnown(BaseModel):
    health_status: str
    at: datetime | None


class TradeCounts(BaseModel):
    buys: int | None = None
    sells: int | None = None


class Stats(BaseModel):
    trades_24h: TradeCounts
    volume_24h: str | None = None
    pnl: str | None = None
    last_price: str | None = None


class BotShown(BaseModel):
    id: uuid.UUID
    client_id: uuid.UUID
    account: str
    instance_name: str | None
    name: str
    connector: str
    connector_id: uuid.UUID | None
    pair: str
    strategy: str
    config: dict[str, Any]
    runtime_kind: str
    status: str
    desired_status: str
    reported_status: str | None
    runtime: RuntimeShown | None
    deployment_message: str | None
    health_status: str
    health_message: str
    last_known: LastKnown | None
    last_trade_time: datetime | None
    last_heartbeat: datetime | None
    stale_minutes: float | None
    stopped_minutes: float | None
    status_updated_at: datetime | None
    stats: Stats
    created_at: datetime
    updated_at: datetime


class BotsShown(BaseModel):
    bots: list[BotShown]
    total: int
    next: str | None = None


class WalletShown(BaseModel):
    id: uuid.UUID
    chain: str
    address: str
    created_at: datetime


class ConnectorShown(BaseModel):
    id: uuid.UUID
    name: str


class ClientOfWallet(BaseModel):
    client_id: uuid.UUID
    account_identifier: str
    name: str
    role: str
    management_mode: str
    wallets: list[WalletShown]
    connectors: list[ConnectorShown]


app = FastAPI()
_local = threading.local()


def database() -> Iterator[Session]:
    with new_session() as session:
        yield session


Database = Annotated[Session, Depends(database)]


def caller(session: Database, authorization: Annotated[str, Header()] = "") -> ApiKey:
    token = authorization.removeprefix("Bearer ")
    query = select(ApiKey).where(ApiKey.prefix == token.rpartition("_")[0]).options(joinedload(ApiKey.client))
    key = session.scalars(query).first()
    if key is None or key.revoked_at or key.digest != hashlib.sha256(token.encode()).hexdigest():
        raise HTTPException(401, "The API key is unknown.")
    if key.client and (key.client.retired_at or key.client.status == "suspended"):
        raise HTTPException(401, "The API key is unknown.")
    now = datetime.now(UTC)
    if key.last_used_at is None or key.last_used_at < now - timedelta(minutes=1):
        key.last_used_at = now
        session.commit()
    return key


Caller = Annotated[ApiKey, Depends(caller)]


def running_in_hummingbot() -> dict[str, Any]:
    """What Hummingbot says now, by instance; nothing when it cannot be asked."""
    if not hasattr(_local, "http"):
        _local.http = requests.Session()
    try:
        answer = _local.http.get(f"{HUMMINGBOT_URL}/bot-orchestration/status", timeout=5)
        found: dict[str, Any] = answer.json()["data"]
    except (requests.RequestException, ValueError, KeyError):
        return {}
    return found


@app.get("/bots")
def list_bots(session: Database, key: Caller, account: str = "") -> BotsShown:
    query = (
        select(Bot).join(Bot.client)
        .where(Bot.retired_at.is_(None), Client.retired_at.is_(None), Bot.runtime_kind != "arena")
        .options(joinedload(Bot.client), joinedload(Bot.health), joinedload(Bot.runtime), joinedload(Bot.stats),
                 joinedload(Bot.deployments))
        .order_by(Bot.created_at, Bot.id)
    )  # fmt: skip
    if account:
        query = query.where(Client.account_identifier == account)
    if key.client_id:
        query = query.where(Bot.client_id == key.client_id)
    bots = session.scalars(query).unique().all()
    seen = running_in_hummingbot() if HUMMINGBOT_URL else None
    return BotsShown(bots=[shown(bot, seen) for bot in bots], total=len(bots))


@app.get("/clients/by-wallet/{address}")
def client_by_wallet(session: Database, key: Caller, address: str) -> ClientOfWallet:
    query = (
        select(Wallet).where(Wallet.address_key == address.lower())
        .options(joinedload(Wallet.client).joinedload(Client.wallets),
                 joinedload(Wallet.client).joinedload(Client.connectors))
    )  # fmt: skip
    wallet = session.scalars(query).unique().first()
    if wallet is None or wallet.client.retired_at or key.client_id not in (None, wallet.client_id):
        raise HTTPException(404, "No client found for this wallet address")
    client = wallet.client
    return ClientOfWallet(
        client_id=client.id, account_identifier=client.account_identifier, name=client.name, role="client",
        management_mode=client.management_mode,
        wallets=[WalletShown(id=w.id, chain=w.chain, address=w.address, created_at=w.created_at) for w in client.wallets],
        connectors=[ConnectorShown(id=c.id, name=c.name) for c in client.connectors],
    )  # fmt: skip


@app.post("/bots/create", status_code=201)
def create_bot(session: Database, key: Caller, body: BotInput) -> BotShown:
    query = select(Client).where(Client.account_identifier == body.account, Client.retired_at.is_(None))
    client = session.scalars(query.options(joinedload(Client.connectors))).unique().first()
    if client is None or key.client_id not in (None, client.id):
        raise HTTPException(400, f"No client found with account_identifier '{body.account}'")
    connector = next((c for c in client.connectors if c.name == body.connector), None)
    bot = Bot(
        client=client, connector_id=connector.id if connector else None, connector_name=body.connector, name=body.name,
        pair=body.pair, strategy=body.strategy, config=body.config, health=BotHealth(client_id=client.id),
    )  # fmt: skip
    session.add(bot)
    session.commit()
    return shown(bot)


def shown(bot: Bot, seen: dict[str, Any] | None = None) -> BotShown:
    """The bot as it is answered; ``seen`` is what Hummingbot just said, None where what is stored counts."""
    now = datetime.now(UTC)
    ours = bot.runtime_kind == "hummingbot"
    deployment = bot.deployments[0] if ours and bot.deployments else None
    stored = bot.runtime if ours else None
    health, stats = bot.health, bot.stats
    runtime, is_current = None, False
    if seen is not None and deployment and deployment.instance_name in seen:
        is_current = True
        runtime = RuntimeShown(
            status=seen[deployment.instance_name]["status"],
            source="hummingbot",
            observed_at=now,
            age_s=0,
            explanation="",
        )
    elif stored:
        is_current = stored.observed_at > now - CURRENT_FOR
        runtime = RuntimeShown(
            status=stored.status, source="hummingbot" if is_current else "last_known", observed_at=stored.observed_at,
            age_s=round((now - stored.observed_at).total_seconds(), 1), explanation=stored.explanation,
        )  # fmt: skip
    status = derive_status(
        kind=bot.runtime_kind, desired=bot.desired_status, reported=bot.reported_status,  # type: ignore[arg-type]
        deployment=deployment.status if deployment else None,  # type: ignore[arg-type]
        is_confirmed=bool(deployment and deployment.confirmed_at),
        runtime=runtime.status if runtime else None, is_current=is_current,  # type: ignore[arg-type]
    )  # fmt: skip
    return BotShown(
        id=bot.id, client_id=bot.client_id, account=bot.client.account_identifier,
        instance_name=(deployment.instance_name or deployment.requested_name) if deployment else None, name=bot.name,
        connector=bot.connector_name, connector_id=bot.connector_id, pair=bot.pair, strategy=bot.strategy,
        config=bot.config, runtime_kind=bot.runtime_kind, status=status, desired_status=bot.desired_status,
        reported_status=bot.reported_status, runtime=runtime,
        deployment_message=(deployment.message or None) if deployment else None,
        health_status=health.status if health else "unknown",
        health_message=health.message if health else "Not checked yet.",
        last_known=LastKnown(health_status=health.last_known_status, at=health.last_known_at)
        if health and health.status == "unknown" and health.last_known_status else None,
        last_trade_time=health.last_trade_at if health else None,
        last_heartbeat=health.last_heartbeat_at if health else None,
        stale_minutes=float(bot.stale_minutes) if bot.stale_minutes is not None else None,
        stopped_minutes=float(bot.stopped_minutes) if bot.stopped_minutes is not None else None,
        status_updated_at=health.status_updated_at if health else None,
        stats=Stats(
            trades_24h=TradeCounts(buys=stats.buys_24h if stats else None, sells=stats.sells_24h if stats else None),
            volume_24h=number(stats.volume_24h) if stats else None, pnl=number(stats.pnl) if stats else None,
            last_price=number(stats.last_price) if stats else None,
        ),
        created_at=bot.created_at, updated_at=bot.updated_at,
    )  # fmt: skip


def number(value: Decimal | None) -> str | None:
    return None if value is None else format(value.normalize() if value else Decimal(0), "f")
