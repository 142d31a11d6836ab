"""``python -m sandbox --port 8900``: serve until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from aiohttp import web

from sandbox import state
from sandbox.hummingbot.api import Login
from sandbox.server import create_app
from sandbox.world import World

_DEMO_INTERVAL_S = 4.0
_INTERVAL_S = 60.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A local Hummingbot API and exchanges.")
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--seed", type=int, default=1, help="of the random walk and the cadences")
    parser.add_argument("--speed", type=float, default=1.0, help="world seconds per second: 10 waits ten times less")
    parser.add_argument("--mean-interval", type=float, help="seconds between two trades of a bot that does not say")
    parser.add_argument("--state-file", type=Path, help="JSON: keeps containers, keys and the tape over a restart")
    parser.add_argument("--tape-limit", type=int, default=20_000, help="trades kept; totals never forget")
    parser.add_argument("--demo", action="store_true", help=f"lively: a trade every {_DEMO_INTERVAL_S:g} s")
    parser.add_argument("--username", default=os.environ.get("SANDBOX_USERNAME", "admin"))
    parser.add_argument("--password", default=os.environ.get("SANDBOX_PASSWORD", "admin"))
    return parser.parse_args()


def main() -> None:
    options = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    interval_s = options.mean_interval or (_DEMO_INTERVAL_S if options.demo else _INTERVAL_S)

    def fresh() -> World:
        return World(seed=options.seed, speed=options.speed, mean_interval_s=interval_s, tape_limit=options.tape_limit)

    world = state.open_world(fresh, options.state_file)
    login = Login(options.username, options.password)
    app = create_app(world, login=login, state_file=options.state_file)
    logging.info("sandbox on http://127.0.0.1:%s (/hummingbot, /exchange, /model, /control)", options.port)
    try:
        web.run_app(app, host="127.0.0.1", port=options.port, print=None, access_log=None, shutdown_timeout=2)
    except OSError as error:
        raise SystemExit(f"The sandbox cannot listen on port {options.port}: {error.strerror}.") from error


if __name__ == "__main__":
    main()
