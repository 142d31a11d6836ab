"""The ledger's benchmark on little data: its boards equal windows over all rows (it ends otherwise), a page is measured
through the web process and bare, and its last line is JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.long
def test_ledger_benchmark_measures_pages_and_boards(prepared_home: Path) -> None:
    command = [sys.executable, "-m", "bench", "ledger", "--quick", "--only", "trades_newest"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["bench"] == "ledger" and result["load"]["trades"] == 20_000
    assert set(result["figures"]["reads"]["trades_newest_50"]) >= {"p50_ms", "p99_ms", "sql_p50_ms", "sql_p99_ms"}
    assert {board["bots"] for board in result["figures"]["boards"].values()} == {40}
