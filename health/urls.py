from __future__ import annotations

from django.urls import path

from health import api, api_heartbeats, api_uptime

urlpatterns = [
    path("bots/health/summary", api.HealthSummaryView.as_view()),
    path("bots/heartbeat", api.HeartbeatView.as_view()),
    path("bots/<str:bot>/heartbeats", api_heartbeats.HeartbeatsView.as_view()),
    path("bots/<str:bot>/heartbeat-plan", api_heartbeats.HeartbeatPlanView.as_view()),
    path("ping/<str:key>", api_heartbeats.PingView.as_view()),
    path("ping/<str:key>/<str:signal>", api_heartbeats.PingSignalView.as_view()),
    path("bots/<str:bot>/health", api.BotHealthView.as_view()),
    path("bots/<str:bot>/health/check", api.CheckHealthView.as_view()),
    path("bots/<str:bot>/health/history", api.HealthHistoryView.as_view()),
    path("bots/<str:bot>/uptime", api_uptime.UptimeView.as_view()),
]
