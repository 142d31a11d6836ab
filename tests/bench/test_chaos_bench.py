"""Chaos in small: some seconds of kill -9 of everything, and all that should run runs once afterwards; and what it draws."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench.chaos_checks import running
from bench.chaos_plan import draw
from bench.chaos_wishes import Target, Wish

CHECKOUT = Path(__file__).resolve().parents[2]


def test_what_should_run_runs_exactly_once_after_some_seconds_of_chaos() -> None:
    command = [sys.executable, "-m", "bench", "chaos", "--quick", "--minutes", "0.3", "--seed", "5"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-6000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["failed"] == []
    assert result["figures"]["looks"] > 0
    assert result["load"]["seed"] == 5


def test_the_same_seed_draws_the_same_evil() -> None:
    once = draw(seed=7, seconds=600, every_s=2)
    assert once == draw(seed=7, seconds=600, every_s=2) != draw(seed=8, seconds=600, every_s=2)
    assert {"start", "stop", "kill", "kill_server", "dead", "vanished"} <= {action.kind for action in once}
    assert {action.name for action in once} >= {"web", "worker", "beat", "broker", "database"}


def test_a_wish_that_was_never_answered_may_or_may_not_hold() -> None:
    now = datetime.now(UTC)
    target = Target("bot")
    target.wishes = [Wish(True, now, 200)]
    assert target.may_be_wanted() == {True}
    target.wishes.append(Wish(False, now))
    assert target.may_be_wanted() == {True, False}
    target.wishes.append(Wish(False, now, 200))
    assert target.may_be_wanted() == {False}


def test_two_containers_of_one_bot_are_seen_to_run_twice() -> None:
    of_one, other = f"tb-{'a' * 32}", f"tb-{'b' * 32}"
    names = (f"{of_one}-1-20260101-000000", f"{of_one}-2-20260101-000100", f"{other}-1-20260101-000000", "somebody")
    containers = [{"name": name, "container": "running", "strategy_running": True} for name in names]
    containers.append({"name": f"{other}-2-20260101-000100", "container": "exited", "strategy_running": False})
    assert {bot: len(found) for bot, found in running(containers).items()} == {"a" * 32: 2, "b" * 32: 1}
