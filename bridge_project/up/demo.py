"""``bin/up --demo``: the sandbox stands for Hummingbot and the exchanges, and time is short."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

USERNAME = "demo"
EXCHANGES = ("kucoin", "binance")
MODELS = {"openai": "openai/v1", "anthropic": "anthropic", "google": "google"}
# So that a newcomer sees a death noticed within two minutes. What the caller sets wins.
PACE = {
    "HEALTH_CHECK_INTERVAL_SECONDS": "10",
    "STALE_THRESHOLD_MINUTES": "0.5",
    "STOPPED_THRESHOLD_MINUTES": "1.5",
    "HEARTBEAT_TIMEOUT_MINUTES": "1",
    "HUMMINGBOT_POLL_SECONDS": "3",
}


def sandbox_command(python: str, *, home: Path, port: int) -> list[str]:
    return [python, "-m", "sandbox", "--demo", "--port", str(port), "--state-file", str(home / "sandbox.json")]


def seed_command(python: str, *, home: Path, url: str) -> list[str]:
    """Fills the bridge with the demo's clients and bots, through its own API."""
    return [python, "-m", "sandbox.demo", "--url", url, "--credentials", str(home / "credentials.json")]


def demo_environment(*, port: int, given: dict[str, str]) -> dict[str, str]:
    """The variables that make this a demo: addresses of the sandbox, and a pace at which something happens."""
    password = secrets.token_urlsafe(18)
    base = f"http://127.0.0.1:{port}"
    return {
        **{name: given.get(name) or value for name, value in PACE.items()},
        "DEMO": "1",
        "SANDBOX_USERNAME": USERNAME,
        "SANDBOX_PASSWORD": password,
        "SANDBOX_URL": base,
        "HUMMINGBOT_API_URL": f"{base}/hummingbot",
        "HUMMINGBOT_API_USERNAME": USERNAME,
        "HUMMINGBOT_API_PASSWORD": password,
        "EXCHANGE_BASE_URLS": json.dumps(dict.fromkeys(EXCHANGES, f"{base}/exchange")),
        "MODEL_BASE_URLS": json.dumps({name: f"{base}/model/{path}" for name, path in MODELS.items()}),
    }
