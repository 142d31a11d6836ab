"""What the OpenAPI text says beyond the views: how to authenticate, and a short line for each operation."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

METHODS = ("get", "put", "post", "patch", "delete")


class ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = "clients.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key: `tbo_…` of an operator, `tbc_…` of a client, `tbp_…` for one bot's heartbeats.",
        }


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "clients.authentication.OperatorSessionAuthentication"
    name = "adminSession"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey", "in": "cookie", "name": "sessionid",
            "description": "The session of an operator who is signed in to the admin; writes need the CSRF token.",
        }  # fmt: skip


def add_summaries(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """The first sentence of each description, so that a reader of the list knows what each operation does."""
    for path in result.get("paths", {}).values():
        for method in METHODS:
            operation = path.get(method)
            if operation and operation.get("description") and "summary" not in operation:
                operation["summary"] = operation["description"].split(". ")[0].split("; ")[0].rstrip(".").strip()[:110]
    return result
