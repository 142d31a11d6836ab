from __future__ import annotations

from django.urls import include, path

from ledger.api import analytics, facts

urlpatterns = [
    path("", include("ledger.urls_leaderboard")),
    path("api/v2/bots/<str:bot>", facts.LedgerBotView.as_view()),
    path("api/v2/bots/<str:bot>/trades", facts.LedgerTradesView.as_view()),
    path("api/v2/bots/<str:bot>/positions", facts.LedgerPositionsView.as_view()),
    path("api/v2/bots/<str:bot>/decisions", facts.LedgerDecisionsView.as_view()),
    path("api/v2/bots/<str:bot>/decisions/<str:decision>", facts.LedgerDecisionView.as_view()),
    path("api/v2/bots/<str:bot>/account", facts.CapitalView.as_view()),
    path("bots/<str:bot>/trades", facts.BotTradesView.as_view()),
    path("bots/<str:bot>/stats", facts.BotFiguresView.as_view()),
    path("api/analytics/performance", analytics.PerformanceView.as_view()),
    path("api/analytics/performance/<str:bot>", analytics.BotPerformanceView.as_view()),
    path("api/analytics/comparison", analytics.ComparisonView.as_view()),
    path("api/analytics/risk-metrics", analytics.RiskMetricsView.as_view()),
    path("api/analytics/aggregate/best-worst", analytics.BestWorstView.as_view()),
    path("api/analytics/aggregate/by-symbol", analytics.BySymbolView.as_view()),
    path("api/analytics/aggregate/summary", analytics.SummaryView.as_view()),
]
