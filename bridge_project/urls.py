"""Every path of the product. Fixed paths come before those with an id."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from bridge_project import (
    api,
    metrics,
    openapi,  # noqa: F401 - it registers
    pages,
    preflight_page,
    second_factor,
    service_health,
)

handler400 = "bridge_project.api_errors.bad_request"
handler404 = "bridge_project.api_errors.not_found"
handler500 = "bridge_project.api_errors.server_error"

urlpatterns = [
    path("", pages.landing),
    path("health", service_health.health),
    path("livez", service_health.livez),
    path("readyz", service_health.readyz),
    path("metrics", metrics.MetricsView.as_view()),
    path("admin/second-factor", second_factor.second_factor, name="second_factor"),
    path("admin/preflight", preflight_page.preflight_page, name="preflight"),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("", include("clients.urls")),
    path("", include("health.urls")),
    path("", include("ledger.urls")),
    path("", include("arena.urls")),
    path("", include("arena.urls_watching")),
    path("", include("arena.urls_pages")),
    path("", include("strategies.urls")),
    path("", include("bots.urls")),
    path("clients/<str:client>/connector", api.LinkingConnectorsView.as_view()),
    path("clients/<str:client>", api.DeletableClientView.as_view()),
    path("bots/<str:bot>/timeline", api.BotTimelineView.as_view()),
    path("bots/<str:bot>", api.DeletableBotView.as_view()),
]
