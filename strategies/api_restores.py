"""Restore runs over HTTP."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from clients.api import text
from clients.views import ScopedView
from ground.http import dump, json_response
from ground.keyset import Page
from strategies import serializers_restores as shapes
from strategies.restore_selectors import restores_page
from strategies.services.owners import find_owner


class RestoresView(ScopedView):
    @extend_schema(
        operation_id="list_restores",
        responses=shapes.RestoresShown,
        parameters=[
            OpenApiParameter("account", str, description="Only this account's steps."),
            OpenApiParameter("limit", int, description="1..500; 100."),
            OpenApiParameter("cursor", str, description="`next` of the page before."),
            OpenApiParameter("offset", int, description="For pages that count: adds `pagination`."),
        ],
    )
    def get(self, request: Request) -> HttpResponse:
        """How strategies were brought back: plan, steps and outcome of each run, newest first."""
        page = Page.read(request.query_params, key_length=2)
        account = text(request, "account")
        if account:
            client_id = find_owner(scope=self.scope, account=account)
            if client_id is None:
                return json_response({"restores": [], "next": None})
        else:
            client_id = None
        found = restores_page(self.scope, page, client_id=client_id)
        extra: dict[str, Any] = {"next": found["next"]}
        if found["total"] is not None:
            extra["pagination"] = page.pagination(found["total"])
        return json_response(b'{"restores":%b,%b' % (found["rows"].encode(), dump(extra)[1:]))
