"""The demo's arena: four bots that the sandbox's models steer, made by the command that an operator would use."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
_KEY_NAME = "DEMO_MODEL_KEY"
_TURN_S = 30  # so that a newcomer sees decisions within a minute
_COOLDOWN_MINUTES = 2  # and trades go on after the first ones are closed
_PRICES = {"*": {"input": 1.25, "output": 10}}
_DATA = "You hold {{totalValue}} in all, {{availableBalance}} of it free, {{unrealizedPnl}} not realised.\n{{openPositions}}"
BOTS = (
    ("desk", "Astrologer", "gpt-sandbox", "You are Astrologer, a mystic who trades by the stars, and never more than a "
     f"little. It is {{{{currentDate}}}}. {_DATA}"),
    ("client_harbour", "Trend follower", "claude-sandbox", f"You follow what has risen or fallen over the last day. {_DATA}\n"
     "{{marketData}}"),
    ("client_northwind", "Contrarian", "gemini-sandbox", "You buy what everybody sells, with small stakes and near stops. "
     f"{_DATA}\n{{{{marketData}}}}"),
)  # fmt: skip
# It looks at figures with tools before it decides; the model is one of the first provider's.
ADVANCED = ("desk", "Analyst", "gpt-sandbox", "You look at the figures before you do anything, and risk one percent at a time. "
            f"{_DATA}\n{{{{marketData}}}}")  # fmt: skip
_KINDS = {"gpt-sandbox": "openai", "claude-sandbox": "anthropic", "gemini-sandbox": "google"}


def fill_arena(accounts: set[str], control: Callable[[str, dict[str, Any]], None]) -> str:
    """Make what is missing; returns the command's own words. Bots of clients that are not there are left out."""
    key = f"demo-{secrets.token_hex(16)}"
    control("/model/keys", {"key": key, "account": "demo"})
    given = {
        "providers": [
            {"name": f"{kind} (sandbox)", "kind": kind, "model": model, "api_key_env": _KEY_NAME, "prices": _PRICES}
            for model, kind in _KINDS.items()
        ],
        "participants": [
            {"account": account, "name": name, "prompt": prompt, "provider": f"{_KINDS[model]} (sandbox)",
             "turn_interval_s": _TURN_S, "cooldown_minutes": _COOLDOWN_MINUTES, "start": True,
             **({"is_advanced": True, "model": "sandbox-analyst"} if name == ADVANCED[1] else {})}
            for account, name, model, prompt in (*BOTS, ADVANCED) if account in accounts
        ],
        # Anybody may watch, and curves have points after minutes. What an operator changes later stays.
        "settings": {"is_public": True, "snapshot_minutes": 1},
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "manage.py"), "load_arena", "-"], input=json.dumps(given), text=True,
        capture_output=True, check=False, timeout=120, env={**os.environ, _KEY_NAME: key},
    )  # fmt: skip
    return done.stdout if done.returncode == 0 else f"No arena: {done.stderr.strip().splitlines()[-1:]}"
