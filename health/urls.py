from __future__ import annotations

from django.urls import path

from health import api

urlpatterns = [
    path("bots/health/summary", api.HealthSummaryView.as_view()),
    path("bots/heartbeat", api.HeartbeatView.as_view()),
    path("bots/<str:bot>/health", api.BotHealthView.as_view()),
    path("bots/<str:bot>/health/check", api.CheckHealthView.as_view()),
    path("bots/<str:bot>/health/history", api.HealthHistoryView.as_view()),
]
