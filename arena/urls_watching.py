from __future__ import annotations

from django.urls import path

from arena import api_watching

urlpatterns = [
    path("api/state", api_watching.StateView.as_view()),
    path("api/stream", api_watching.StreamView.as_view()),
    path("api/stream/ticket", api_watching.TicketView.as_view()),
]
