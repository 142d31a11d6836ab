"""Analytics over HTTP: what the caller's bots earned and how steadily. Numbers are JSON numbers here, null where they
cannot be computed."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from bots.selectors import resolve_bot
from clients.api import text
from clients.views import ScopedView
from ground.errors import InvalidInput
from ground.http import exact_json, iso, json_response
from ground.keyset import read_limit
from ledger import serializers_analytics as shapes
from ledger.api.parameters import one_of_words
from ledger.rules import metrics
from ledger.rules.metrics import PRECISE
from ledger.rules.periods import INTERVALS_PER_YEAR, LEAST_RETURNS
from ledger.rules.words import Period
from ledger.selectors import analytics
from ledger.selectors.analytics import Equity, Lens, Traded

RANGES = {"24h": Period.DAILY, "7d": Period.WEEKLY, "30d": Period.MONTHLY, "all": Period.ALL_TIME}
NAMES = {period: name for name, period in RANGES.items()}
MOST_COMPARED = 50
STEP = Decimal("1e-18")
ABOUT_RANGES = (
    "A range begins at the full hour at or before that long ago. Returns are hourly for 24h and 7d and daily for 30d and "
    "all, annualised with 8760 or 365 intervals a year."
)
RANGE = OpenApiParameter(
    "timeRange", str, enum=list(RANGES), description=f"By default all. {ABOUT_RANGES}"
)  # fmt: skip
PARAMETERS = [
    RANGE,
    OpenApiParameter("mode", str, enum=["live", "paper"], description="By default live where there are live accounts."),
    OpenApiParameter(
        "currency", str, description="By default the one with most closed trades; they are never added up."
    ),
    OpenApiParameter("account", str, description="Only this client's bots; an unknown one has none."),
]


class AnalyticsView(ScopedView):
    """What all the paths share: which bots are looked at, and how figures are written."""

    def lens(self, request: Request, *, bot_id: UUID | None = None) -> Lens:
        return analytics.look(
            self.scope,
            period=RANGES[one_of_words(request, "timeRange", tuple(RANGES), default="all")],
            now=timezone.now(),
            mode=one_of_words(request, "mode", ("live", "paper"), default=""),
            currency=text(request, "currency").upper(),
            account=text(request, "account"),
            bot_id=bot_id,
        )


class PerformanceView(AnalyticsView):
    @extend_schema(operation_id="get_performance", responses=shapes.PerformanceShown, parameters=PARAMETERS)
    def get(self, request: Request) -> HttpResponse:
        """What all bots in scope earned together, and how steadily. Their equity is the sum of theirs, in the hours or days
        in which all are known; a bot at rest that holds nothing keeps its last value."""
        with self.scope.transaction():
            lens = self.lens(request)
            return _answer(_looked(lens) | _performance(lens))


class BotPerformanceView(AnalyticsView):
    @extend_schema(operation_id="get_bot_performance", responses=shapes.BotPerformanceShown, parameters=[RANGE])
    def get(self, request: Request, bot: str) -> HttpResponse:
        """What one bot earned, and how steadily."""
        with self.scope.transaction():
            bot_id = resolve_bot(self.scope, bot)
            lens = self.lens(request, bot_id=bot_id)
            ((_, name),) = analytics.named_bots(self.scope, [str(bot_id)])
            return _answer(_of_bot(lens, bot_id, name))


class ComparisonView(AnalyticsView):
    @extend_schema(
        operation_id="compare_bots",
        responses=shapes.ComparisonShown,
        parameters=[
            OpenApiParameter(
                "bot_ids", str, required=True, description=f"Up to {MOST_COMPARED}, with commas between them."
            ),
            RANGE,
        ],
    )
    def get(self, request: Request) -> HttpResponse:
        """The performance of some bots side by side, each in its own currency and mode, in the order asked for. Bots that
        are not there for the caller are left out."""
        names = _names(request)
        with self.scope.transaction():
            bots = [
                _of_bot(self.lens(request, bot_id=bot_id), bot_id, name)
                for bot_id, name in analytics.named_bots(self.scope, names)
            ]
        return _answer({"timeRange": one_of_words(request, "timeRange", tuple(RANGES), default="all"), "bots": bots})


class RiskMetricsView(AnalyticsView):
    @extend_schema(operation_id="get_risk_metrics", responses=shapes.RiskShown, parameters=PARAMETERS)
    def get(self, request: Request) -> HttpResponse:
        """How the equity of the bots in scope swung. Sharpe, Sortino and volatility need 10 returns; a gap is no return."""
        with self.scope.transaction():
            lens = self.lens(request)
            equity = analytics.equity(lens)
        about = {
            "interval": str(lens.grain),
            "intervals_per_year": int(INTERVALS_PER_YEAR[lens.grain]),
            "equity_bots": equity.bots,
            "equity_since": iso(equity.since),
        }
        return _answer(_looked(lens) | {"metrics": _risk(lens, equity)} | about)


class BestWorstView(AnalyticsView):
    @extend_schema(
        operation_id="list_best_and_worst_trades",
        responses=shapes.BestWorstShown,
        parameters=[*PARAMETERS, OpenApiParameter("limit", int, description="Of each, 1..100, by default 5.")],
    )
    def get(self, request: Request) -> HttpResponse:
        """The closed trades with the most profit and those with the least; of equals the latest comes first."""
        limit = read_limit(request.query_params.get("limit"), default=5, most=100)
        with self.scope.transaction():
            lens = self.lens(request)
            best = analytics.extreme_trades(lens, limit=limit, is_best=True)
            worst = analytics.extreme_trades(lens, limit=limit, is_best=False)
        return _answer(_looked(lens) | {"best_trades": best, "worst_trades": worst})


class BySymbolView(AnalyticsView):
    @extend_schema(operation_id="get_figures_by_symbol", responses=shapes.BySymbolShown, parameters=PARAMETERS)
    def get(self, request: Request) -> HttpResponse:
        """What was traded and earned of each symbol, the most profitable first."""
        with self.scope.transaction():
            lens = self.lens(request)
            found = analytics.by_symbol(lens)
        symbols = [
            {"symbol": symbol, **_traded(traded), "best_pnl": traded.best, "worst_pnl": traded.worst}
            for symbol, traded in found
        ]
        return _answer(_looked(lens) | {"symbols": symbols, "total_symbols": len(symbols)})


class SummaryView(AnalyticsView):
    @extend_schema(operation_id="get_summary", responses=shapes.SummaryShown, parameters=PARAMETERS)
    def get(self, request: Request) -> HttpResponse:
        """All that was traded in the range, added up, with the return of the equity beside it."""
        with self.scope.transaction():
            lens = self.lens(request)
            traded, equity = analytics.traded(lens), analytics.equity(lens)
        risk = _risk(lens, equity)
        of_all = {
            "total_pnl": PRECISE.add(traded.closed.pnl, lens.opening_pnl),
            "pnl_adjustment": lens.opening_pnl,
            "return_percent": _percent(risk["total_return"]),
            "sharpe_ratio": risk["sharpe_ratio"],
            "max_drawdown": risk["max_drawdown"],
        }
        return _answer(_looked(lens) | {"summary": {"total_bots": lens.bots, **_traded(traded), **of_all}})


def _looked(lens: Lens) -> dict[str, Any]:
    return {
        "timeRange": NAMES[lens.period],
        "since": None if lens.period is Period.ALL_TIME else iso(lens.since),
        "mode": lens.mode,
        "currency": lens.currency,
        "currencies": list(lens.currencies),
        "bots": lens.bots,
    }


def _of_bot(lens: Lens, bot_id: UUID, name: str) -> dict[str, Any]:
    return {"botId": str(bot_id), "botName": name} | _looked(lens) | _performance(lens)


def _performance(lens: Lens) -> dict[str, Any]:
    traded, equity = analytics.traded(lens), analytics.equity(lens)
    closed, risk = traded.closed, _risk(lens, equity)
    realized = PRECISE.add(closed.pnl, lens.opening_pnl)
    return {
        "totalPnL": realized,
        "totalPnLPercent": _percent(PRECISE.divide(realized, lens.capital) if lens.capital else None),
        "totalTrades": traded.trades,
        "closedTrades": closed.count,
        "winRate": _percent(closed.win_rate),
        "avgWin": closed.average_win,
        "avgLoss": closed.average_loss,
        "profitFactor": closed.profit_factor,
        "fees": traded.fees,
        "volume": traded.volume,
        "returnPercent": _percent(risk["total_return"]),
        "sharpeRatio": risk["sharpe_ratio"],
        "maxDrawdown": risk["max_drawdown"],
        "equityBots": equity.bots,
        "equitySince": iso(equity.since),
        "pnlAdjustment": lens.opening_pnl,
    }


def _traded(traded: Traded) -> dict[str, Any]:
    closed = traded.closed
    return {
        "total_pnl": closed.pnl,
        "total_trades": traded.trades,
        "closed_trades": closed.count,
        "winning_trades": closed.wins,
        "losing_trades": closed.losses,
        "win_rate": _percent(closed.win_rate),
        "avg_win": closed.average_win,
        "avg_loss": closed.average_loss,
        "gross_profit": closed.gross_profit,
        "gross_loss": closed.gross_loss,
        "profit_factor": closed.profit_factor,
        "expectancy": closed.expectancy,
        "fees": traded.fees,
        "volume": traded.volume,
    }


def _risk(lens: Lens, equity: Equity) -> dict[str, Any]:
    """Ratios of the equity's returns; None where there are too few, or where it stood at nothing."""
    returns = equity.curve.returns(now=lens.now)
    given: dict[str, Any] = {"intervals_per_year": INTERVALS_PER_YEAR[lens.grain], "minimum": LEAST_RETURNS}
    return {
        "sharpe_ratio": metrics.sharpe_ratio(returns, **given) if returns else None,
        "sortino_ratio": metrics.sortino_ratio(returns, **given) if returns else None,
        "max_drawdown": equity.max_drawdown,
        "volatility": metrics.volatility(returns, **given) if returns else None,
        "average_return": metrics.mean(returns) if returns else None,
        "total_return": equity.curve.total_return,
        "returns": len(returns or ()),
    }


def _percent(ratio: Decimal | None) -> Decimal | None:
    return None if ratio is None else PRECISE.multiply(ratio, Decimal(100))


def _names(request: Request) -> list[str]:
    raw = str(request.query_params.get("bot_ids", "")).replace("\x00", "")
    names = list(dict.fromkeys(name.strip()[:200] for name in raw.split(",") if name.strip()))
    if not names or len(names) > MOST_COMPARED:
        raise InvalidInput(
            f"bot_ids must name 1 to {MOST_COMPARED} bots, with commas.", fields={"bot_ids": ["1 to 50"]}
        )
    return names


def _answer(body: Mapping[str, Any]) -> HttpResponse:
    return json_response(exact_json(_rounded(body)).encode())


def _rounded(value: Any) -> Any:
    """Decimals to 18 places, without trailing zeros."""
    if isinstance(value, Decimal):
        short = value.quantize(STEP, rounding=ROUND_HALF_EVEN, context=PRECISE)
        return PRECISE.normalize(short) if short else Decimal(0)
    if isinstance(value, Mapping):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value
