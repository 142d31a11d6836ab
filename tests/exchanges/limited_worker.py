"""A worker in a process of its own: asks an exchange with several keys at once and prints what became of each call.

Arguments: Redis URL, base address, exchange, and the keys with commas between.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

from exchanges.gateways.pool import open_gateways
from exchanges.types import Credentials
from ground.errors import GatewayError


def main(redis_url: str, base: str, exchange: str, keys: str) -> None:
    pool = open_gateways({exchange: base}, timeout_s=5.0, redis_url=redis_url)

    def ask(key: str) -> str:
        try:
            pool.gateway(exchange, "spot", Credentials(key, "secret", "pass")).fetch_own_trades("BTC/USDT")
        except GatewayError as error:
            return type(error).__name__
        return "answered"

    with ThreadPoolExecutor(32) as threads:
        outcomes = list(threads.map(ask, keys.split(",")))
    sys.stdout.write(json.dumps(outcomes))


if __name__ == "__main__":
    main(*sys.argv[1:])
