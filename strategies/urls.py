from __future__ import annotations

from django.urls import path

from strategies import api, api_restores

urlpatterns = [
    path("api/live-strategy/start", api.StartStrategyView.as_view()),
    path("api/live-strategy/stop", api.StopStrategyView.as_view()),
    path("api/live-strategy/status", api.StrategyStatusView.as_view()),
    path("api/live-strategy/history", api.StrategyHistoryView.as_view()),
    path("api/live-strategy/restores", api_restores.RestoresView.as_view()),
]
