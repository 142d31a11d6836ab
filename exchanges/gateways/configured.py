"""The gateways to exchanges that this installation is configured for."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from exchanges.gateways.pool import GatewayPool


@functools.cache
def configured_gateways() -> GatewayPool:
    """This process's, always the same ones, which keep the exchanges' limits together with those of every other process.

    ccxt is imported here, at first use: in a worker, and never in a web process.
    """
    from exchanges.gateways.pool import open_gateways

    return open_gateways(
        settings.EXCHANGE_BASE_URLS, timeout_s=settings.EXCHANGE_TIMEOUT_SECONDS, redis_url=settings.REDIS_URL
    )
