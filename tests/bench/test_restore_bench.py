"""The restore's benchmark on few strategies: all of them come back after kill -9 of everything, each of them once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.long
def test_every_strategy_comes_back_once_after_everything_was_killed(prepared_home: Path) -> None:
    command = [sys.executable, "-m", "bench", "restore", "--quick"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    figures, strategies = result["figures"], result["load"]["strategies"]
    assert (figures["deployments"], figures["containers_running"], figures["bots_running_twice"]) == (
        strategies,
        strategies,
        0,
    )
    assert float(figures["spacing_s"]) > 0
