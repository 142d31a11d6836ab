"""A model of Hummingbot in the bridge's own clock, that may lie, delay, lose and repeat, as a test tells it to.

It stands where the gateway stands and answers with the gateway's values and errors. What it lies about is noted in
``has_lied``: only then may two of a bot's strategies trade at once, and only until it tells the truth again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from bots.rules.names import requested_by_us
from bots.types import (
    ApiVersion,
    ArchiveStarted,
    BotRun,
    CommandPublished,
    Container,
    ControllerReport,
    Deployed,
    InstanceStatus,
    NamedConfig,
    Performance,
)
from ground.errors import Rejected, Unavailable, UnknownOutcome
from ground.scope import assert_no_transaction

SYSTEM = "Hummingbot"
DEPLOY = ("lost", "dropped", "late", "twice", "refused", "away", "killed")
STOP = ("lost", "dropped", "unheard", "away")
ARCHIVE = ("lost", "dropped", "silent_failure", "away")
STATUSES = ("away", "stale", "forgotten", "restarted")
CONTAINERS = ("away", "stale", "empty")
_LIES = ("stale", "empty", "late", "twice")


class WorkerKilled(BaseException):
    """kill -9 between a call and the note of its answer."""


@dataclass
class Instance:
    name: str
    boots_at: datetime
    is_up: bool = True
    trades: bool = False
    has_stopped: bool = False
    heard_at: datetime | None = None


@dataclass
class HummingbotModel:
    now: datetime = datetime(2026, 11, 21, 12, tzinfo=UTC)
    instances: dict[str, Instance] = field(default_factory=dict)
    runs: list[BotRun] = field(default_factory=list)
    has_lied: bool = False
    faults: dict[str, str] = field(default_factory=dict)  # call -> what goes wrong the next time
    meanwhile: dict[str, Callable[[], object]] = field(default_factory=dict)  # call -> what happens during it
    deploys: Counter[str] = field(default_factory=Counter)  # requested name -> calls that may have made a container
    wrongs: list[str] = field(default_factory=list)
    _later: list[tuple[datetime, Callable[[], None]]] = field(default_factory=list)
    _last: dict[str, Any] = field(default_factory=dict)

    # What a test does to it

    def clock(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        for due in sorted([item for item in self._later if item[0] <= self.now], key=lambda item: item[0]):
            self._later.remove(due)
            due[1]()
        for one in self.instances.values():
            if one.is_up and not one.has_stopped and self.now >= one.boots_at:
                one.trades = True

    def trading(self) -> list[str]:
        return sorted(one.name for one in self.instances.values() if one.is_up and one.trades)

    def up(self) -> list[str]:
        return sorted(one.name for one in self.instances.values() if one.is_up)

    def kill(self) -> None:
        for one in self.instances.values():
            one.is_up = one.trades = False

    def rise(self) -> None:
        """The host starts every container again that had ended."""
        for one in self.instances.values():
            if not one.is_up:
                self.has_lied = True
                one.is_up, one.has_stopped, one.boots_at = True, False, self.now + timedelta(seconds=2)

    def vanish(self) -> None:
        self.instances.clear()

    def end_by_itself(self) -> None:
        for one in self.instances.values():
            one.trades, one.has_stopped = False, True

    def heal(self) -> None:
        self.faults.clear()
        self.meanwhile.clear()

    # What the bridge asks of it

    def remaining_s(self) -> float:
        return float("inf")

    def version(self) -> ApiVersion:
        return ApiVersion("Hummingbot API", "1.0.1")

    def statuses(self) -> dict[str, InstanceStatus]:
        fault = self._begin("statuses")
        if fault == "forgotten":
            return {}
        if fault == "restarted":  # it lists what is up, and has heard of none yet
            return {o.name: InstanceStatus(o.name, "stopped") for o in self.instances.values() if o.is_up}
        return self._list("statuses", fault, lambda: {o.name: _status(o) for o in self.instances.values() if o.is_up})

    def active_containers(self) -> tuple[Container, ...]:
        return self._containers("active", is_up=True)

    def exited_containers(self) -> tuple[Container, ...]:
        return self._containers("exited", is_up=False)

    def bot_runs(self, *, instance_name: str | None = None, limit: int = 100, offset: int = 0) -> tuple[BotRun, ...]:
        assert_no_transaction()
        return tuple(reversed(self.runs))[offset : offset + limit]

    def deploy_controllers(
        self, *, instance_name: str, account: str, controllers: list[str], timeout_s: float | None = None
    ) -> Deployed:
        fault = self._begin("deploy")
        if fault == "away":
            raise Unavailable("away", system=SYSTEM)
        self.deploys[instance_name] += 1
        if fault == "refused":
            raise Rejected("name conflict", system=SYSTEM)
        bot = instance_name.rpartition("-")[0]
        if not self.has_lied and any(name.startswith(f"{bot}-") for name in self.trading()):
            self.wrongs.append(f"{instance_name} was deployed while {self.trading()} trade, and nobody lied")
        if fault == "dropped":
            raise UnknownOutcome("lost", system=SYSTEM)
        if fault == "late":
            self._after(25, lambda: self._make(instance_name))
            raise UnknownOutcome("lost", system=SYSTEM)
        made = self._make(instance_name)
        if fault == "twice":
            self._after(1, lambda: self._make(instance_name))
        if fault == "lost":
            raise UnknownOutcome("lost", system=SYSTEM)
        if fault == "killed":
            raise WorkerKilled
        return Deployed(made)

    def stop_strategy(self, instance_name: str) -> CommandPublished:
        fault = self._begin("stop")
        if fault == "away":
            raise Unavailable("away", system=SYSTEM)
        one = self.instances.get(instance_name)
        if one is None or not one.is_up:
            raise Rejected("unknown bot", system=SYSTEM)
        if fault not in ("dropped", "unheard"):
            one.trades, one.has_stopped = False, True
        if fault in ("lost", "dropped"):
            raise UnknownOutcome("lost", system=SYSTEM)
        return CommandPublished(instance_name, "stop")

    def stop_and_archive(self, instance_name: str) -> ArchiveStarted:
        fault = self._begin("archive")
        if fault == "away":
            raise Unavailable("away", system=SYSTEM)
        one = self.instances.get(instance_name)
        if one is None or not one.is_up:
            raise Rejected("not active", system=SYSTEM)
        if fault not in ("dropped", "silent_failure"):
            self._after(1, lambda: self._stop(instance_name))
            self._after(19, lambda: self._remove(instance_name))
        if fault in ("lost", "dropped"):
            raise UnknownOutcome("lost", system=SYSTEM)
        return ArchiveStarted(instance_name)

    def validate_controller_config(self, kind: str, name: str, content: Mapping[str, Any]) -> None:
        assert_no_transaction()

    def save_controller_config(self, name: str, content: Mapping[str, Any]) -> None:
        assert_no_transaction()

    def controller_config(self, name: str) -> NamedConfig:
        return NamedConfig(name, {})

    # Inside

    def _begin(self, call: str) -> str:
        assert_no_transaction()
        happens = self.meanwhile.pop(call, None)
        if happens:
            happens()
        fault = self.faults.pop(call, "")
        self.has_lied |= fault in _LIES
        return fault

    def _list(self, call: str, fault: str, read: Callable[[], Any]) -> Any:
        if fault == "away":
            raise Unavailable("away", system=SYSTEM)
        if fault != "stale" or call not in self._last:
            self._last[call] = read()
        return self._last[call]

    def _containers(self, call: str, *, is_up: bool) -> tuple[Container, ...]:
        fault = self._begin(call)
        if fault == "empty":
            return ()
        return tuple(
            self._list(
                call,
                fault,
                lambda: [Container(o.name, call, "image") for o in self.instances.values() if o.is_up is is_up],
            )
        )

    def _make(self, requested: str) -> str:
        stamp = self.now + timedelta(seconds=len(self.runs))  # two of one second have two names all the same
        name = f"{requested}-{stamp:%Y%m%d-%H%M%S}"
        assert requested_by_us(name) == requested
        self.instances[name] = Instance(name, boots_at=self.now + timedelta(seconds=2))
        self.runs.append(BotRun(len(self.runs), name, None, "CREATED", "DEPLOYED", self.now, None))
        return name

    def _after(self, seconds: float, then: Callable[[], Any]) -> None:
        self._later.append((self.now + timedelta(seconds=seconds), then))

    def _stop(self, name: str) -> None:
        if one := self.instances.get(name):
            one.trades, one.has_stopped = False, True

    def _remove(self, name: str) -> None:
        self.instances.pop(name, None)


_FIGURES = Performance(Decimal(1), Decimal(0), Decimal(1), Decimal(100))


def _status(one: Instance) -> InstanceStatus:
    if one.trades:
        report = ControllerReport("maker", "running", _FIGURES, digest="figures")
        return InstanceStatus(one.name, "running", (report,), recently_active=True)
    if one.has_stopped:
        return InstanceStatus(
            one.name, "running", (ControllerReport("maker", "running", None, ""),), recently_active=True
        )
    return InstanceStatus(one.name, "stopped", recently_active=True)
