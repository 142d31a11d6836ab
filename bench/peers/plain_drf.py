"""Reference B, plain DRF: ModelViewSet, ModelSerializer, gunicorn's gthread with 2 workers of 4 threads.

It uses the product's models on the same tables, as the tables' owner, and the middleware of ``startproject``; related rows
come by select_related and prefetch_related, the key through the ORM. No row-level security and no tenant setting.
"""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import django
from django.conf import settings

from bridge_project.up.urls import database_config

settings.configure(
    SECRET_KEY="plain",
    ENCRYPTION_KEYS=[],
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    APPEND_SLASH=False,
    USE_TZ=True,
    TIME_ZONE="UTC",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {**database_config(os.environ["DATABASE_URL"]), "CONN_MAX_AGE": None}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
                    "django.contrib.messages", "rest_framework", "clients", "bots"],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware", "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware", "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    REST_FRAMEWORK={"DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]},
)  # fmt: skip
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import transaction  # noqa: E402
from django.db.models import Prefetch, QuerySet  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework import serializers, viewsets  # noqa: E402
from rest_framework.authentication import BaseAuthentication  # noqa: E402
from rest_framework.exceptions import AuthenticationFailed, NotFound, ValidationError  # noqa: E402
from rest_framework.permissions import IsAuthenticated  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402

from bots.models import Bot, BotHealth  # noqa: E402
from bots.rules.status import derive_status  # noqa: E402
from clients.models import ApiKey, Client, Connector, Wallet  # noqa: E402

CURRENT_FOR = timedelta(seconds=10 + 3 * int(os.environ.get("HUMMINGBOT_POLL_SECONDS", "10")))


class Caller:
    """Somebody with a key."""

    is_authenticated = True

    def __init__(self, key: ApiKey) -> None:
        self.client_id = key.client_id


class KeyAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[Caller, None]:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        key = ApiKey.objects.select_related("client").filter(prefix=token.rpartition("_")[0], revoked_at=None).first()
        if key is None or key.digest != hashlib.sha256(token.encode()).hexdigest():
            raise AuthenticationFailed
        if key.client and (key.client.retired_at or key.client.status == "suspended"):
            raise AuthenticationFailed
        now = datetime.now(UTC)
        if key.last_used_at is None or key.last_used_at < now - timedelta(minutes=1):
            ApiKey.objects.filter(id=key.id).update(last_used_at=now)
        return Caller(key), None


class WalletSerializer(serializers.ModelSerializer[Wallet]):
    class Meta:
        model = Wallet
        fields = ["id", "chain", "address", "created_at"]


class ConnectorSerializer(serializers.ModelSerializer[Connector]):
    class Meta:
        model = Connector
        fields = ["id", "name"]


class ClientOfWalletSerializer(serializers.ModelSerializer[Client]):
    client_id = serializers.UUIDField(source="id")
    role = serializers.SerializerMethodField()
    wallets = WalletSerializer(many=True)
    connectors = ConnectorSerializer(many=True)

    class Meta:
        model = Client
        fields = ["client_id", "account_identifier", "name", "role", "management_mode", "wallets", "connectors"]

    def get_role(self, client: Client) -> str:
        return "client"


class BotSerializer(serializers.ModelSerializer[Bot]):
    account = serializers.CharField(source="client.account_identifier")
    connector = serializers.CharField(source="connector_name", max_length=64)
    connector_id = serializers.UUIDField(read_only=True)
    instance_name = serializers.SerializerMethodField()
    status = serializers.SerializerMethodField()
    runtime = serializers.SerializerMethodField()
    deployment_message = serializers.SerializerMethodField()
    health_status = serializers.SerializerMethodField()
    health_message = serializers.SerializerMethodField()
    last_known = serializers.SerializerMethodField()
    last_trade_time = serializers.DateTimeField(source="health.last_trade_at", read_only=True)
    last_heartbeat = serializers.DateTimeField(source="health.last_heartbeat_at", read_only=True)
    stale_minutes = serializers.FloatField(read_only=True)
    stopped_minutes = serializers.FloatField(read_only=True)
    status_updated_at = serializers.DateTimeField(source="health.status_updated_at", read_only=True)
    stats = serializers.SerializerMethodField()

    class Meta:
        model = Bot
        fields = [
            "id", "client_id", "account", "instance_name", "name", "connector", "connector_id", "pair", "strategy", "config",
            "runtime_kind", "status", "desired_status", "reported_status", "runtime", "deployment_message",
            "health_status", "health_message", "last_known", "last_trade_time", "last_heartbeat", "stale_minutes",
            "stopped_minutes", "status_updated_at", "stats", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = [
            "client_id",
            "runtime_kind",
            "desired_status",
            "reported_status",
            "created_at",
            "updated_at",
        ]

    def _deployment(self, bot: Bot) -> Any:
        found = bot.newest_first if hasattr(bot, "newest_first") else []
        return found[0] if found and bot.runtime_kind == "hummingbot" else None

    def _runtime(self, bot: Bot) -> Any:
        return getattr(bot, "runtime", None) if bot.runtime_kind == "hummingbot" else None

    def _is_current(self, bot: Bot) -> bool:
        runtime = self._runtime(bot)
        return bool(runtime and runtime.observed_at > datetime.now(UTC) - CURRENT_FOR)

    def get_instance_name(self, bot: Bot) -> str | None:
        deployment = self._deployment(bot)
        return (deployment.instance_name or deployment.requested_name) if deployment else None

    def get_status(self, bot: Bot) -> str:
        deployment, runtime = self._deployment(bot), self._runtime(bot)
        return derive_status(
            kind=bot.runtime_kind, desired=bot.desired_status, reported=bot.reported_status,
            deployment=deployment.status if deployment else None,
            is_confirmed=bool(deployment and deployment.confirmed_at), runtime=runtime.status if runtime else None,
            is_current=self._is_current(bot),
        )  # fmt: skip

    def get_runtime(self, bot: Bot) -> dict[str, Any] | None:
        runtime = self._runtime(bot)
        if runtime is None:
            return None
        return {
            "status": runtime.status, "source": "hummingbot" if self._is_current(bot) else "last_known",
            "observed_at": runtime.observed_at, "explanation": runtime.explanation,
            "age_s": round((datetime.now(UTC) - runtime.observed_at).total_seconds(), 1),
        }  # fmt: skip

    def get_deployment_message(self, bot: Bot) -> str | None:
        deployment = self._deployment(bot)
        return (deployment.message or None) if deployment else None

    def get_health_status(self, bot: Bot) -> str:
        health = getattr(bot, "health", None)
        return health.status if health else "unknown"

    def get_health_message(self, bot: Bot) -> str:
        health = getattr(bot, "health", None)
        return health.message if health else "Not checked yet."

    def get_last_known(self, bot: Bot) -> dict[str, Any] | None:
        health = getattr(bot, "health", None)
        if health is None or health.status != "unknown" or not health.last_known_status:
            return None
        return {"health_status": health.last_known_status, "at": health.last_known_at}

    def get_stats(self, bot: Bot) -> dict[str, Any]:
        stats = getattr(bot, "stats", None)
        return {
            "trades_24h": {"buys": stats.buys_24h if stats else None, "sells": stats.sells_24h if stats else None},
            "volume_24h": _number(stats.volume_24h) if stats else None, "pnl": _number(stats.pnl) if stats else None,
            "last_price": _number(stats.last_price) if stats else None,
        }  # fmt: skip


class BotViewSet(viewsets.ModelViewSet[Bot]):
    authentication_classes = [KeyAuthentication]
    permission_classes = [IsAuthenticated]
    serializer_class = BotSerializer

    def get_queryset(self) -> QuerySet[Bot]:
        newest = Bot.deployments.rel.related_model.objects.order_by("-sequence")
        bots = Bot.objects.filter(retired_at=None, client__retired_at=None).exclude(runtime_kind="arena")
        bots = bots.select_related("client", "health", "runtime", "stats")
        bots = bots.prefetch_related(Prefetch("deployments", newest, to_attr="newest_first")).order_by(
            "created_at", "id"
        )
        if self.request.user.client_id:
            bots = bots.filter(client_id=self.request.user.client_id)
        account = self.request.query_params.get("account")
        return bots.filter(client__account_identifier=account) if account else bots

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        rows = self.get_serializer(self.get_queryset(), many=True).data
        return Response({"bots": rows, "total": len(rows), "next": None})

    def perform_create(self, serializer: Any) -> None:
        account = serializer.validated_data.pop("client")["account_identifier"]
        clients = Client.objects.filter(account_identifier=account, retired_at=None)
        own = self.request.user.client_id
        client = (clients.filter(id=own) if own else clients).first()
        if client is None:
            raise ValidationError({"account": [f"No client found with account_identifier '{account}'"]})
        name = serializer.validated_data["connector_name"]
        connector = Connector.objects.filter(client=client, name=name, retired_at=None).first()
        with transaction.atomic():
            bot = serializer.save(client=client, connector=connector, runtime_kind="hummingbot")
            BotHealth.objects.create(bot=bot, client_id=client.id)


class ClientByWalletViewSet(viewsets.ReadOnlyModelViewSet[Client]):
    authentication_classes = [KeyAuthentication]
    permission_classes = [IsAuthenticated]
    serializer_class = ClientOfWalletSerializer

    def get_object(self) -> Client:
        connectors = Connector.objects.filter(retired_at=None).only("id", "name", "client_id", "created_at")
        clients = Client.objects.filter(retired_at=None, wallets__address_key=self.kwargs["address"].lower())
        own = self.request.user.client_id
        clients = clients.filter(id=own) if own else clients
        client = clients.prefetch_related("wallets", Prefetch("connectors", connectors)).first()
        if client is None:
            raise NotFound("No client found for this wallet address")
        return client


def _number(value: Decimal | None) -> str | None:
    return None if value is None else format(value.normalize() if value else Decimal(0), "f")


urlpatterns = [
    path("bots", BotViewSet.as_view({"get": "list"})),
    path("bots/create", BotViewSet.as_view({"post": "create"})),
    path("clients/by-wallet/<str:address>", ClientByWalletViewSet.as_view({"get": "retrieve"})),
]
application = get_wsgi_application()
