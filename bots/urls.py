from __future__ import annotations

from django.urls import path

from bots import api

urlpatterns = [
    path("bots", api.BotsView.as_view()),
    path("bots/create", api.CreateBotView.as_view()),
    path("bots/<str:bot>/start", api.StartBotView.as_view()),
    path("bots/<str:bot>/stop", api.StopBotView.as_view()),
    path("bots/<str:bot>/clone", api.CloneBotView.as_view()),
]
