"""How the admin looks and what its sidebar lists: settings of django-unfold."""

from __future__ import annotations

from typing import Any

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Trading Bridge",
    "SITE_HEADER": "Trading Bridge",
    "SITE_SYMBOL": "swap_horiz",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "/static/bridge/icon.svg"}],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "STYLES": ["/static/bridge/admin.css"],
    "ENVIRONMENT": "bridge_project.dashboard.environment",
    "DASHBOARD_CALLBACK": "bridge_project.dashboard.dashboard",
    "LOGIN": {"form": "bridge_project.second_factor.SignInForm"},
    "ACCOUNT": {
        "navigation": [
            {"title": "Second factor", "link": "/admin/second-factor"},
            {"title": "Change password", "link": "/admin/password_change/"},
        ]
    },
    "COLORS": {
        "primary": {
            "50": "#eefcf9",
            "100": "#d0f7ee",
            "200": "#a4eedf",
            "300": "#6fdfcb",
            "400": "#3bc7b1",
            "500": "#1fab97",
            "600": "#128a7b",
            "700": "#126e64",
            "800": "#135851",
            "900": "#144944",
            "950": "#052c2a",
        },
    },
    "SIDEBAR": {"show_search": True, "navigation": "bridge_project.dashboard.navigation"},
}
