"""This process's gateways to exchanges; ccxt is imported here, at first use, and never by a web process."""

from __future__ import annotations

import functools

from django.conf import settings

from strategies.services.read_carried import Gateways


@functools.cache
def exchange_gateways() -> Gateways:
    """Always the same ones, which keep the exchanges' limits together with those of every other process."""
    from exchanges.gateways.pool import open_gateways

    return open_gateways(
        settings.EXCHANGE_BASE_URLS, timeout_s=settings.EXCHANGE_TIMEOUT_SECONDS, redis_url=settings.REDIS_URL
    )
