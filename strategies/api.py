"""The HTTP surface of strategies: the paths and words of the service that ran them before."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from clients.api import read_body, text
from clients.idempotency import idempotent_start
from clients.views import ScopedView
from ground.errors import InvalidInput
from ground.http import dump, json_response
from ground.keyset import Page
from strategies import selectors
from strategies import serializers as shapes
from strategies.rules.words import StrategyStatus
from strategies.services.owners import find_owner
from strategies.services.start_strategy import start_strategy
from strategies.services.stop_strategy import stop_strategies

ACCOUNT = OpenApiParameter("account", str, description="The key's own client; for operators the desk.")
NARROWING = [OpenApiParameter("symbol", str), OpenApiParameter("exchange", str), ACCOUNT]
_SHOWN_OF_NONE = ("mode", "interval", "exchange", "status", "last_active")


class StartStrategyView(ScopedView):
    @extend_schema(operation_id="start_strategy", request=shapes.StartInput, responses=shapes.StrategyStartedShown)
    @idempotent_start
    def post(self, request: Request) -> HttpResponse:
        """Want a strategy running. What Hummingbot has not confirmed within some seconds is brought up by the workers."""
        body = read_body(shapes.StartInput, request)
        if not body.get("symbol"):
            raise InvalidInput("symbol required", code="symbol_required", fields={"symbol": ["required"]})
        started = start_strategy(scope=self.scope, now=timezone.now(), **body)
        strategy = started.strategy
        if not started.is_new:
            sentence = f"strategy already running for {strategy.symbol_shown}"
            return json_response({"started": False, "reason": sentence, "symbol": strategy.symbol_shown})
        every = _not_stopping(selectors.active_strategies(self.scope, client_id=strategy.client_id))
        return json_response(
            {
                "started": True, "symbol": strategy.symbol_shown, "mode": strategy.strategy_type,
                "interval": strategy.interval, "exchange": strategy.exchange, "bot_id": strategy.bot_id,
                "active_strategies": len(every), "all_strategies": every,
            }
        )  # fmt: skip


class StopStrategyView(ScopedView):
    @extend_schema(operation_id="stop_strategy", request=shapes.StopInput, responses=shapes.StrategyStoppedShown)
    @idempotent_start
    def post(self, request: Request) -> HttpResponse:
        """Want strategies stopped: of a symbol, of an exchange, or all of the account's."""
        body = read_body(shapes.StopInput, request)
        client_id = find_owner(scope=self.scope, account=body.pop("account", ""))
        symbol = body.get("symbol", "")
        stopped = stop_strategies(scope=self.scope, client_id=client_id, now=timezone.now(), **body)
        if not symbol:
            names = [row.symbol_shown for row in stopped]
            return json_response({"stopped": True, "stopped_strategies": names, "count": len(names)})
        if not stopped:
            sentence = f"no strategy running for {symbol}"
            return json_response({"stopped": False, "reason": sentence, "symbol": symbol})
        rest = _not_stopping(selectors.active_strategies(self.scope, client_id=client_id))
        return json_response(
            {
                "stopped": True, "symbol": stopped[0].symbol_shown, "count": len(stopped),
                "remaining_strategies": len(rest), "active_symbols": [row["symbol"] for row in rest],
            }
        )  # fmt: skip


class StrategyStatusView(ScopedView):
    @extend_schema(operation_id="get_strategy_status", responses=shapes.StatusShown, parameters=NARROWING)
    def get(self, request: Request) -> HttpResponse:
        """One symbol's strategy, or all of the account's. Never asks Hummingbot."""
        symbol = text(request, "symbol")
        found = selectors.active_strategies(
            self.scope,
            client_id=find_owner(scope=self.scope, account=text(request, "account")),
            symbol=symbol,
            exchange=text(request, "exchange"),
        )
        running = any(row["running"] for row in found)
        if not symbol:
            count = len(_not_stopping(found))
            return json_response({"running": running, "active_count": count, "strategies": found})
        if not found:
            return json_response({"running": False, "symbol": symbol} | dict.fromkeys(_SHOWN_OF_NONE))
        one = next((row for row in found if row["running"]), found[0])
        return json_response(one | ({"strategies": found} if len(found) > 1 else {}))


class StrategyHistoryView(ScopedView):
    @extend_schema(
        operation_id="list_strategy_history",
        responses=shapes.HistoryShown,
        parameters=[
            *NARROWING,
            OpenApiParameter("limit", int, description="1..500; 100."),
            OpenApiParameter("cursor", str, description="`next` of the page before."),
            OpenApiParameter("offset", int, description="For pages that count: adds `pagination`."),
        ],
    )
    def get(self, request: Request) -> HttpResponse:
        """The account's runs that are over, newest first, with the ledger's figures."""
        page = Page.read(request.query_params, key_length=2)
        found = selectors.strategy_history(
            self.scope,
            page,
            client_id=find_owner(scope=self.scope, account=text(request, "account")),
            symbol=text(request, "symbol"),
            exchange=text(request, "exchange"),
        )
        extra: dict[str, Any] = {"next": found["next"]}
        if found["total"] is not None:
            extra["pagination"] = page.pagination(found["total"])
        return json_response(b'{"history":%b,%b' % (found["rows"].encode(), dump(extra)[1:]))


def _not_stopping(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["status"] != StrategyStatus.STOPPING]
