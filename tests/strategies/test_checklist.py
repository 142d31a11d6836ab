"""The testing checklist of the background document on strategy persistence, line by line, on processes as they really run.

'Local' is ``bin/up``; 'Railway' is the Procfile's processes beside a PostgreSQL and a broker that outlive them. Each of
the two is told once from its start to its end, and the tests stand on what was found on the way.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bridge_project.up import processes
from bridge_project.up.processes import Lock
from tests.strategies.houses import Desk, Local, Platform

SAVED, RESTORING, RESTORED = (
    "Saved strategy: BTCUSDT (scalp)",
    "Restoring 1 strategies",
    "Restored strategy: BTCUSDT (scalp)",
)
ACTIVE = "SELECT symbol_shown, strategy_type, exchange, status FROM active_strategies"
PAST = "SELECT symbol_shown, strategy_type, exchange, reason FROM strategy_history"
RUNS = "SELECT reason, status FROM strategy_restores ORDER BY created_at"
TABLE = "SELECT current_setting('data_directory'), pg_relation_filepath('active_strategies')"
LOOKED = (
    "SELECT 1 FROM hummingbot_state WHERE failures = 0 AND last_ok_at > to_timestamp({after}) + interval '5 seconds'"
)
pytestmark = pytest.mark.long
Story = Callable[[], Iterator[tuple[str, dict[str, Any]]]]


class Facts(dict[str, Any]):
    """What was found, by the part of the story; a part that was not reached says where the story ended."""

    def __missing__(self, part: str) -> Any:
        pytest.fail(f"The story ended before '{part}'.\n{self.get('problem', '')}", pytrace=False)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str, prepared_home: Path) -> Facts:
    return told_once(tmp_path_factory, testrun_uid, tell_local)


@pytest.fixture(scope="module")
def railway(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str, prepared_home: Path) -> Facts:
    return told_once(tmp_path_factory, testrun_uid, tell_railway)


class TestLocal:
    def test_strategy_that_was_started_lies_in_the_database_s_files_in_the_data_folder(self, local: Facts) -> None:
        """Local: Start strategy, verify DB file created"""
        started = local["started"]
        assert started["answer"]["started"] is True
        assert started["rows"] == [["BTCUSDT", "scalp", "binance", "active"]]
        assert Path(started["table"]).is_relative_to(started["home"]) and started["bytes"] > 0
        assert [line for _, line in started["said"]] == [SAVED]
        assert len(started["running"]) == 1

    def test_app_that_is_restarted_restores_the_strategy_and_deploys_nothing_twice(self, local: Facts) -> None:
        """Local: Restart app, verify strategy restored"""
        restarted = local["restarted"]
        assert restarted["said"] == [["worker", RESTORING], ["worker", RESTORED]]
        assert restarted["rows"] == local["started"]["rows"]
        assert restarted["running"] == local["started"]["running"]
        assert restarted["deploys"] == 1


class TestRailway:
    def test_deployment_needs_a_disk_that_outlives_it_and_keeps_nothing_on_its_own(self, railway: Facts) -> None:
        """Railway: Deploy with volume mount"""
        deployed = railway["deployed"]
        assert deployed["without"]["code"] == 1 and "DATABASE_URL must be set" in deployed["without"]["words"]
        assert (deployed["health"]["status"], deployed["ran"]) == ("healthy", deployed["lasting"])
        assert {"beat", "now", "web", "worker"} <= set(deployed["ran"])
        assert not Path(deployed["table"]).is_relative_to(deployed["code"])
        assert deployed["own_disk"] == [], "no database and no secrets"

    def test_strategy_that_is_started_says_so_in_the_log_of_the_web_process(self, railway: Facts) -> None:
        """Railway: Start strategy, check logs"""
        started = railway["started"]
        assert started["said"] == [["web", SAVED]]
        assert started["rows"] == [["BTCUSDT", "scalp", "binance", "active"]]
        assert (len(started["running"]), started["deploys"]) == (1, 1)

    def test_redeploy_replaces_every_process_and_all_of_the_code(self, railway: Facts) -> None:
        """Railway: Trigger restart/redeploy"""
        before, after = railway["deployed"], railway["redeployed"]
        assert before["code"] != after["code"] and after["old_code_is_gone"]
        assert after["survivors"] == []
        assert set(after["folders"]) == {after["code"]}
        assert (after["health"]["status"], after["ran"]) == ("healthy", before["ran"])

    def test_strategy_comes_back_by_itself_and_runs_once(self, railway: Facts) -> None:
        """Railway: Verify strategy auto-restores"""
        first, found = railway["started"], railway["redeployed"]
        assert found["said"] == [["worker", RESTORING], ["worker", RESTORED]]
        assert found["rows"] == [["BTCUSDT", "scalp", "binance", "active"]]
        assert found["runs"][-1] == ["boot", "done"]
        assert len(found["running"]) == 1 and found["running"] != first["running"], "its old container was dead"

    def test_strategy_that_is_stopped_leaves_the_table_and_stays_stopped(self, railway: Facts) -> None:
        """Railway: Stop strategy, verify removed from DB"""
        for part in ("stopped", "redeployed"):
            found = railway[part]
            assert found["rows"] == [["BTCUSDT", "scalp", "binance", "active"]], "the other one alone"
            assert found["past"] == [["ETHUSDT", "scalp", "binance", "user_stopped"]]
            assert len(found["running"]) == 1
        assert railway["stopped"]["answer"]["stopped"] is True
        assert [row["reason"] for row in railway["stopped"]["history"]] == ["user_stopped"]
        assert railway["redeployed"]["deploys"] == railway["stopped"]["deploys"] + 1, "nothing of it was deployed again"


def test_every_line_of_the_checklist_has_its_test(shared: Path) -> None:
    text = (shared / "background" / "strategy-persistence.md").read_text(encoding="utf-8")
    lines = re.findall(r"^- \[ \] (.+)$", text, flags=re.MULTILINE)
    tests = [value for place in (TestLocal, TestRailway) for value in vars(place).values() if callable(value)]
    assert len(lines) == 7
    assert sorted(lines) == sorted(str(test.__doc__) for test in tests)


def tell_local() -> Iterator[tuple[str, dict[str, Any]]]:
    with Local() as house:
        house.add_desk()
        answer = house.start_strategy()
        house.wait_for("a running strategy", house.confirmed)
        [[folder, file]] = house.rows(TABLE)
        table = Path(folder, file)
        where = {"home": str(house.home), "table": str(table), "bytes": table.stat().st_size}
        yield "started", {"answer": answer, "said": house.said(), **where, **seen(house)}

        length = len(house.words())
        house.restart()
        house.wait_for(RESTORED, lambda: ["worker", RESTORED] in house.said(after=length))
        house.wait_for("a running strategy", house.confirmed)
        yield "restarted", {"said": house.said(after=length), **seen(house)}


def tell_railway() -> Iterator[tuple[str, dict[str, Any]]]:
    with Platform() as house:
        yield "deployed", deployed(house) | {"without": refused(house), "own_disk": own_disk(house)}

        house.add_desk()
        house.start_strategy()
        house.wait_for("a running strategy", house.confirmed)
        yield "started", {"said": house.said(), **seen(house)}

        house.start_strategy("ETHUSDT")
        house.wait_for("a second strategy", lambda: house.confirmed("ETHUSDT"))
        answer = house.stop_strategy("ETHUSDT")
        house.wait_for("it to be stopped", lambda: len(house.rows(ACTIVE)) == len(house.running()) == 1)
        yield "stopped", {"answer": answer, "history": house.history(), **seen(house)}

        old_code, old_pids = house.code, house.pids()
        house.kill_bridge()
        [container] = house.running()
        house.control("POST", "/faults", {"target": f"bot:{container}", "fault": "dead"})
        house.start_up()
        survivors = [pid for pid in old_pids if not processes.is_gone(pid)]
        await_restored(house)
        code = {"survivors": survivors, "old_code_is_gone": not old_code.exists()}
        looked = LOOKED.format(after=time.time())
        house.wait_for("workers that have looked around", lambda: house.rows(looked))
        yield "redeployed", code | deployed(house) | seen(house)


def await_restored(house: Platform) -> None:
    house.wait_for(RESTORED, lambda: ["worker", RESTORED] in house.said())
    house.wait_for("a running strategy", house.confirmed)


def deployed(house: Platform) -> dict[str, Any]:
    """What runs, where it was started, and where the data are."""
    house.wait_for("health", lambda: house.ask("GET", "/health")["status"] == "healthy")
    [[folder, file]] = house.rows(TABLE)
    return {
        "code": str(house.code), "health": house.ask("GET", "/health"), "table": str(Path(folder, file)),
        "lasting": house.lasting(),
        "ran": sorted(name for name, child in house.children.items() if child.poll() is None),
        "folders": [str(Path(f"/proc/{pid}/cwd").resolve()) for pid in house.pids()], "said": house.said(),
    }  # fmt: skip


def refused(house: Platform) -> dict[str, Any]:
    """A release that was given no database."""
    before = len(house.log_of("release").read_text())
    code = house.run_process("release", without="DATABASE_URL").wait(60)
    return {"code": code, "words": house.log_of("release").read_text()[before:]}


def own_disk(house: Platform) -> list[str]:
    """Of what may not be lost, that which lies on the deployment's own disk."""
    return sorted({"postgres", "valkey", "secrets.json"} & {path.name for path in house.code.rglob("*")})


def seen(house: Desk) -> dict[str, Any]:
    """The tables, and Hummingbot."""
    return {
        "rows": house.rows(ACTIVE), "past": house.rows(PAST), "runs": house.rows(RUNS), "running": house.running(),
        "deploys": house.deploys(),
    }  # fmt: skip


def told_once(factory: pytest.TempPathFactory, run: str, story: Story) -> Facts:
    """The facts of a story, told by whichever process of this test run comes first."""
    folder = factory.getbasetemp()
    folder = folder.parent if folder.name.startswith("popen-") else folder
    told = folder / f"{story.__name__}-{run}.json"
    lock = Lock(told.with_suffix(".lock"))
    with lock.held():
        if not told.exists():
            told.write_text(json.dumps(tell(story)))
    return Facts(json.loads(told.read_text()))


def tell(story: Story) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    try:
        for part, found in story():
            facts[part] = found
    except (AssertionError, OSError, ValueError, SystemExit, psycopg.Error, subprocess.SubprocessError):
        facts["problem"] = traceback.format_exc()
    return facts
