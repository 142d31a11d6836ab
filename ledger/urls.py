from __future__ import annotations

from django.urls import include, path

from ledger.api import facts

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
]
