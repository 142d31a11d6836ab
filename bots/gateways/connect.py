"""The Hummingbot that this installation is configured for."""

from __future__ import annotations

from django.conf import settings

from bots.gateways.hummingbot import HummingbotGateway


def configured_gateway(*, timeout_s: float = 15.0, deadline: float | None = None) -> HummingbotGateway | None:
    """A gateway to the configured API, or None where there is none."""
    if not settings.HUMMINGBOT_API_URL:
        return None
    return HummingbotGateway(
        settings.HUMMINGBOT_API_URL,
        settings.HUMMINGBOT_API_USERNAME,
        settings.HUMMINGBOT_API_PASSWORD,
        timeout_s=timeout_s,
        deadline=deadline,
    )
