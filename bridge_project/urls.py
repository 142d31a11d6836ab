"""Every path of the product."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from bridge_project import pages

urlpatterns = [
    path("", pages.landing),
    path("admin/", admin.site.urls),
]
