"""docs/sandbox.md names everything that a newcomer can switch, call or pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sandbox.control.routes import ROUTES
from sandbox.exchange.serve import VENUES
from sandbox.faults import BOT_FAULTS, EXCHANGE_FAULTS, HTTP_FAULTS, HUMMINGBOT_FAULTS, KEY_FAULTS, MODEL_FAULTS
from sandbox.lives import STEPS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "sandbox.md").read_text()
FAULTS = HTTP_FAULTS | EXCHANGE_FAULTS | KEY_FAULTS | MODEL_FAULTS | HUMMINGBOT_FAULTS | BOT_FAULTS
OPTIONS = re.findall(r'add_argument\("(--[a-z-]+)"', (ROOT / "sandbox" / "__main__.py").read_text())
CALLS = [f"{route.method} {route.template.replace('{name}', 'NAME')}" for route in ROUTES.all]


@pytest.mark.parametrize("word", [*FAULTS, *STEPS, *OPTIONS, *VENUES, *CALLS])
def test_is_described(word: str) -> None:
    assert f"`{word}" in TEXT
