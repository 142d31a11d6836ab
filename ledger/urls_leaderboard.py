from __future__ import annotations

from django.urls import path

from ledger import api_leaderboard as api

urlpatterns = [
    path("api/leaderboard/stats", api.LeaderboardStatsView.as_view()),
    path("api/leaderboard/bot/<str:bot>/history", api.LeaderboardHistoryView.as_view()),
    path("api/leaderboard/<str:period>", api.LeaderboardView.as_view()),
]
