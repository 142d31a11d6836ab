"""The pages that anybody may see, where an operator allows it: the only paths of the arena without a key."""

from __future__ import annotations

from django.urls import path
from django.views.generic import RedirectView

from arena import pages

urlpatterns = [
    path("arena", RedirectView.as_view(url="/arena/")),
    path("arena/", pages.board_page),
    path("arena/data", pages.board_data),
    path("arena/curves", pages.board_curves),
    path("arena/<str:bot>/", pages.bot_page),
    path("arena/<str:bot>/data", pages.bot_data),
    path("arena/<str:bot>/equity", pages.bot_equity),
    path("arena/<str:bot>/candles", pages.bot_candles),
]
