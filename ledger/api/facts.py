"""What a bot did, over HTTP: its trades, positions, decisions, and its money."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from bots.selectors import bot_json, resolve_bot
from clients.views import ScopedView
from ground.http import dump, json_response
from ground.keyset import Page
from ledger import serializers as shapes
from ledger.api.parameters import PAGE_PARAMETERS, TRADE_PARAMETERS, one_of_words, switch, trade_filters
from ledger.selectors import accounts, facts
from ledger.services.allocate_capital import allocate_capital

KEY_LENGTH = 2  # of every cursor here: an instant and an id


class LedgerBotView(ScopedView):
    @extend_schema(operation_id="get_ledger_bot", responses=shapes.LedgerBotShown)
    def get(self, request: Request, bot: str) -> HttpResponse:
        """One bot with the counters of its ledger and its money. All of it is kept up to date as rows come, so it costs the
        same whatever the bot has done."""
        with self.scope.transaction():
            bot_id = resolve_bot(self.scope, bot)
            shown = bot_json(self.scope, bot_id)
            statistics, money = accounts.statistics_and_account(self.scope, bot_id)
        return json_response(f'{shown[:-1]},"statistics":{statistics},"money":{money}}}')


class LedgerTradesView(ScopedView):
    @extend_schema(
        operation_id="list_trades",
        responses=shapes.LedgerTradesShown,
        parameters=[*TRADE_PARAMETERS, *PAGE_PARAMETERS],
    )
    def get(self, request: Request, bot: str) -> HttpResponse:
        """The executions of a bot, newest first. An entry opens or grows a position, an exit closes some of it and carries
        the profit; `pnl` is after fees, so realised profit is its sum."""
        filters, page = trade_filters(request), _page(request)
        with self.scope.transaction():
            found = facts.trades_page(self.scope, resolve_bot(self.scope, bot), page, filters)
        named = {"symbol": filters.symbol_shown, "action": filters.action}
        dates = {name: request.query_params.get(name) or None for name in ("startDate", "endDate")}
        return _listed("trades", found, page, named | dates)


class LedgerPositionsView(ScopedView):
    @extend_schema(
        operation_id="list_positions",
        responses=shapes.PositionsShown,
        parameters=[
            OpenApiParameter("status", str, enum=["all", "open", "closed"], description="By default all."),
            *PAGE_PARAMETERS,
        ],
    )
    def get(self, request: Request, bot: str) -> HttpResponse:
        """The positions of a bot, the last opened first. Live bots have one open position per market and symbol, in which
        executions are netted at average cost; on paper each position stands by itself."""
        status = one_of_words(request, "status", ("all", "open", "closed"), default="all")
        page = _page(request)
        with self.scope.transaction():
            found = facts.positions_page(self.scope, resolve_bot(self.scope, bot), page, status=status)
        return _listed("positions", found, page, {"status": status})


class LedgerDecisionsView(ScopedView):
    @extend_schema(
        operation_id="list_decisions",
        responses=shapes.DecisionsShown,
        parameters=[
            OpenApiParameter("success_only", bool, description="Only those that were executed or rightly held."),
            OpenApiParameter(
                "include", str, enum=["prompt"], description="Adds `prompt_sent`, most of a decision's bytes."
            ),
            *PAGE_PARAMETERS,
        ],
    )
    def get(self, request: Request, bot: str) -> HttpResponse:
        """What a bot decided and what came of it, newest first. Bots that a language model decides for have decisions."""
        success_only = switch(request, "success_only")
        has_prompt = one_of_words(request, "include", ("prompt",), default="") == "prompt"
        page = _page(request)
        with self.scope.transaction():
            found = facts.decisions_page(
                self.scope, resolve_bot(self.scope, bot), page, success_only=success_only, has_prompt=has_prompt
            )
        return _listed("decisions", found, page, {"success_only": success_only})


class LedgerDecisionView(ScopedView):
    @extend_schema(operation_id="get_decision", responses=shapes.OneDecisionShown)
    def get(self, request: Request, bot: str, decision: str) -> HttpResponse:
        """One decision with the whole prompt and the trades it led to."""
        with self.scope.transaction():
            return json_response(facts.decision_json(self.scope, resolve_bot(self.scope, bot), decision))


class CapitalView(ScopedView):
    http_method_names = ["put", "options"]

    @extend_schema(operation_id="allocate_capital", request=shapes.CapitalInput, responses=shapes.AccountShown)
    def put(self, request: Request, bot: str) -> HttpResponse:
        """Say how much money a bot started with; without it there is no equity, no return and no rank. It is counted in the
        account's currency, the quote of the bot's pair. null takes it back."""
        with self.scope.transaction():
            bot_id = resolve_bot(self.scope, bot)
            body = shapes.CapitalInput(data=request.data)
            body.is_valid(raise_exception=True)
            allocate_capital(scope=self.scope, bot_id=bot_id, capital=body.validated_data["allocated_capital"])
            return json_response(accounts.statistics_and_account(self.scope, bot_id)[1])


class BotTradesView(ScopedView):
    @extend_schema(operation_id="list_bot_trades", responses=shapes.ExecutionsShown, parameters=PAGE_PARAMETERS)
    def get(self, request: Request, bot: str) -> HttpResponse:
        """The executions of a bot, newest first, as dashboards read them. `/api/v2/bots/{id}/trades` shows more of each."""
        page = _page(request)
        with self.scope.transaction():
            bot_id = resolve_bot(self.scope, bot)
            found = facts.trades_page(self.scope, bot_id, page, facts.TradeFilters(), columns=facts.EXECUTION)
            checked_at = facts.checked_at(self.scope, bot_id)
        rest = dump({"next": found["next"], "checked_at": checked_at})
        return json_response(b'{"bot_id":%b,"trades":%b,%b' % (dump(bot_id), found["rows"].encode(), rest[1:]))


class BotFiguresView(ScopedView):
    @extend_schema(operation_id="get_bot_stats", responses=shapes.BotFiguresShown)
    def get(self, request: Request, bot: str) -> HttpResponse:
        """The figures of the last 24 hours and of all time; null where they cannot be told. A win rate is of closed trades
        alone, and fees in a currency whose worth is not known stand apart."""
        with self.scope.transaction():
            return json_response(accounts.bot_figures(self.scope, resolve_bot(self.scope, bot)))


def _page(request: Request) -> Page:
    return Page.read(request.query_params, key_length=KEY_LENGTH)


def _listed(name: str, found: dict[str, Any], page: Page, filters: dict[str, Any]) -> HttpResponse:
    """``{name: rows, pagination, next, filters}`` around rows that the database wrote as JSON."""
    pagination = {
        "total": found["total"],
        "limit": page.limit,
        "offset": page.offset or 0,
        "hasMore": found["next"] is not None,
    }
    rest = dump({"pagination": pagination, "next": found["next"], "filters": filters})
    return json_response(b'{"%b":%b,%b' % (name.encode(), found["rows"].encode(), rest[1:]))
