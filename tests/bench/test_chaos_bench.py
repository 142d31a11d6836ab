"""Chaos in small: some seconds of kill -9 of everything, and all that should run runs once afterwards; and what it draws."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.chaos import Chaos
from bench.chaos_audit import deployment_faults, strategy_faults
from bench.chaos_books import deployed_wrongly, doubled, spans_of
from bench.chaos_checks import BotState, running, state_fault
from bench.chaos_plan import WEIGHTS, draw, told
from bench.chaos_wishes import Target, Wish

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.long
def test_what_should_run_runs_exactly_once_after_some_seconds_of_chaos(prepared_home: Path) -> None:
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
    assert {action.kind for action in once} == set(WEIGHTS), "ten minutes hold every kind of evil"
    assert all(hasattr(Chaos, f"_{kind}") for kind in WEIGHTS)
    assert told(once).startswith(f"{sum(action.kind == 'start' for action in once)} start (16/")
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


A, B = f"tb-{'a' * 32}", f"tb-{'b' * 32}"
A1, A2, B1 = f"{A}-1-20260101-000000", f"{A}-2-20260101-000100", f"{B}-1-20260101-000000"


def test_two_containers_of_one_bot_are_seen_to_run_twice() -> None:
    names = (A1, A2, B1, "somebody")
    containers = [{"name": name, "container": "running", "strategy_running": True} for name in names]
    containers.append({"name": f"{B}-2-20260101-000100", "container": "exited", "strategy_running": False})
    assert {bot: len(found) for bot, found in running(containers).items()} == {"a" * 32: 2, "b" * 32: 1}


def test_the_journal_shows_what_ran_together_between_two_looks() -> None:
    moves = [(A1, 0, True), (B1, 5, True), (A2, 990, True), (A1, 1000, False), (B1, 1500, False), (A1, 2000, True)]
    spans = spans_of({"name": name, "at_ms": at_ms, "is_running": on} for name, at_ms, on in moves)
    faults, pardoned = doubled(spans, revived=[])
    assert (sorted(faults), pardoned) == (
        [f"{A1} and {A2} ran together for 0.0 s", f"{A2} and {A1} ran together and still run"],
        [],
    )
    ended = [*spans[:2], *(replace(span, ended_ms=9000) for span in spans[2:])]
    faults, pardoned = doubled(ended, revived=[(A1, 1900)])
    assert (len(faults), pardoned) == (1, [f"{A2} and {A1} ran together for 7.0 s"]), "only what chaos brought back"
    one_after_another = spans_of(
        {"name": name, "at_ms": at_ms, "is_running": on}
        for name, at_ms, on in ((A1, 0, True), (A1, 10, False), (A2, 10, True))
    )
    assert doubled(one_after_another, revived=[]) == ([], [])


def test_a_deploy_that_was_carried_out_twice_or_for_nobody_is_found_in_hummingbots_own_log() -> None:
    again = f"{A}-1-20260101-000009"
    assert deployed_wrongly([A1, B1, "somebody"], {f"{A}-1": A1, f"{B}-1": B1, f"{B}-2": ""}) == []
    assert len(deployed_wrongly([A1, again], {f"{A}-1": A1})) == 1
    assert len(deployed_wrongly([A1, B1], {f"{A}-1": A1, f"{B}-1": ""})) == 1


def test_one_container_and_one_living_deployment_that_knows_it_is_what_running_once_means() -> None:
    right = BotState(True, False, "", "active", [f"2 live confirmed {A2}"])
    stopped = BotState(False, False, "", None, [])
    assert state_fault(right, [A2], [A2], is_strategy=True) == state_fault(stopped, [], [], is_strategy=True) == ""
    for state, there, trading in (
        (right, [], []),
        (right, [A1, A2], [A2]),
        (right, [A2], []),
        (right, [A1], [A1]),
        (replace(right, alive=[*right.alive, f"1 retiring {A1}"]), [A2], [A2]),
        (replace(right, alive=[f"2 live {A2}"]), [A2], [A2]),
        (replace(right, strategy="restoring"), [A2], [A2]),
        (stopped, [A2], []),
        (replace(stopped, alive=[f"1 stopping {A1}"]), [], []),
        (replace(stopped, strategy="stopping"), [], []),
    ):
        assert state_fault(state, there, trading, is_strategy=True), (state, there, trading)


def test_a_deployment_whose_steps_the_audit_does_not_explain_is_a_fault() -> None:
    now = datetime.now(UTC)
    person, worker = ("operator:key", "start"), ("system:reconciler", "deploy")
    steps = [
        ("d", "INSERT", *person, None, {"status": "wanted"}),
        ("d", "UPDATE", *worker, {}, {"status": "sending"}),
        ("d", "UPDATE", *worker, {}, {"status": "live", "was_adopted": True}),
    ]

    def row(status: str = "live", by: str = "operator:key", message: str = "", is_noted: bool = False) -> list[object]:
        return ["d", "bot", 1, status, message, by, now, is_noted]

    assert deployment_faults([row()], steps) == []
    assert deployment_faults([row(by="system:recovery", is_noted=True)], steps) == []
    assert deployment_faults([row(by="system:recovery")], steps), "no failure was noted before it"
    assert deployment_faults([row("ended")], steps), "it ended and nobody told"
    assert deployment_faults([row()], [steps[0], steps[2]]), "live, and was never sent"
    assert deployment_faults([row()], [*steps[:2], ("d", "UPDATE", "", "deploy", {}, {"status": "live"})])
    failed = ("d", "UPDATE", *worker, {}, {"status": "failed"})
    assert deployment_faults([row("failed")], [*steps[:2], failed]), "it does not say why"
    assert deployment_faults([row("failed", message="Refused.")], [*steps[:2], failed]) == []


def test_a_strategy_that_was_lost_or_ended_without_one_row_of_history_is_a_fault() -> None:
    now = datetime.now(UTC)
    life = {"bot_id": "bot", "started_at": now.isoformat(), "status": "active"}
    begun = ("s", "INSERT", "operator:key", "start", None, life)
    stopping = ("s", "UPDATE", "operator:key", "chaos", {"status": "active"}, {"status": "stopping"})
    ended = ("s", "DELETE", "system:strategies", "strategy ended", life | {"status": "stopping"}, None)
    told_once = ("bot", now, now, "operator:key", "chaos")
    assert strategy_faults([begun], {"s"}, []) == strategy_faults([begun, stopping, ended], set(), [told_once]) == []
    assert strategy_faults([begun], set(), []) == ["strategy s was lost"]
    assert strategy_faults([], {"s"}, []) == ["strategy s came from nowhere"]
    assert strategy_faults([begun, ended], set(), []) and strategy_faults([begun, ended], set(), [told_once] * 2)
    back = ("s", "UPDATE", "system:strategies", "as its bot does", {"status": "stopping"}, {"status": "active"})
    assert strategy_faults([begun, stopping, back], {"s"}, []), "from stopping nothing comes back"
    nobodys = (*told_once[:3], "system:strategies", "chaos")
    assert strategy_faults([begun, ended], set(), [nobodys]), "a person must have ended it"
