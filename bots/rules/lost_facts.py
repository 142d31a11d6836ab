"""What is known of bots that Hummingbot knows and the bridge does not, and what their names say. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from bots.rules.words import DesiredStatus, TemplateKind
from bots.types import Template

_OURS = re.compile(r"tb-([0-9a-f]{32})-(\d+)-\d{8}-\d{6}")
_SUFFIX = re.compile(r"-\d{8}-\d{6}$")


class Action(StrEnum):
    CREATE = "create"  # a definition is made, and what is left of its instances becomes its deployments
    ADOPT = "adopt"  # the definition is there, named by the instance; its deployment is not
    LINK = "link"  # an instance of another name is given to a definition that fits it
    SKIP = "skip"  # nothing is done; the sentence says why


class Life(StrEnum):
    """What Hummingbot shows of one instance."""

    RUNNING = "running"  # its strategy reports, or it is a script whose container is up
    UP = "up"  # its container is up; whether its strategy runs cannot be told now
    STOPPED = "stopped"  # its container is up, and its strategy has left an empty report or is being archived
    EXITED = "exited"  # its container has ended
    ARCHIVED = "archived"
    GONE = "gone"  # only the log of deploys remembers it


IS_UP = (Life.RUNNING, Life.UP, Life.STOPPED)


@dataclass(frozen=True, slots=True)
class Instance:
    """What Hummingbot shows of one instance, from all its lists."""

    name: str
    life: Life
    account: str | None = None
    kind: TemplateKind = TemplateKind.CONTROLLER
    content: Mapping[str, Any] | None = None  # of its one controller or script
    content_from: str = ""  # where that was read
    controllers: int = 1
    parts: tuple[str, ...] = ()  # of several controllers: each one's name, kind and market, for people
    script: str | None = None
    markets: tuple[tuple[str, str], ...] = ()  # (connector, pair) of its positions, or of its archive
    markets_from: str = ""
    run_id: int | None = None
    was_stopped: bool = False  # Hummingbot's log says that somebody stopped it, which need not have worked
    deployed_at: datetime | None = None
    stopped_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KnownClient:
    id: UUID
    account: str


@dataclass(frozen=True, slots=True)
class KnownBot:
    id: UUID
    client_id: UUID
    name: str
    connector: str
    pair: str
    strategy: str
    runs_in_hummingbot: bool
    is_retired: bool
    has_deployment: bool  # any, ever
    has_open: bool  # one that runs or may run
    wish: DesiredStatus = DesiredStatus.CREATED


@dataclass(frozen=True, slots=True)
class Remembered:
    """A definition as the audit last showed it."""

    client_id: UUID | None
    values: Mapping[str, Any]
    entry: int
    was_retired: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What the bridge knows."""

    clients: Sequence[KnownClient]
    bots: Sequence[KnownBot]
    instances: frozenset[str]  # names of deployments
    awaited: frozenset[str]  # requested names whose instance is being looked for
    remembered: Mapping[UUID, Remembered]
    templates: Sequence[Template]


@dataclass(frozen=True, slots=True)
class Sourced:
    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be done for one bot. ``instances`` are all that Hummingbot knows of it, oldest first."""

    key: str
    action: Action
    why: str
    instances: tuple[Instance, ...]
    bot_id: UUID | None = None
    client_id: UUID | None = None
    fields: Mapping[str, Sourced] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    needs_owner: bool = False  # an operator must say whose it is
    is_managed: bool = False  # nothing is missing
    then: str = ""  # what follows in Hummingbot once it is done

    def value(self, name: str) -> Any:
        return self.fields[name].value

    @property
    def current(self) -> Instance:
        return current_of(self.instances)


def group_key(instance_name: str) -> str:
    """What an instance's generations have in common: our bot's id, else the name without Hummingbot's suffix."""
    match = _OURS.fullmatch(instance_name)
    return f"tb-{match[1]}" if match else _SUFFIX.sub("", instance_name)


def sequence_of(instance_name: str) -> int | None:
    """The counter in a name of ours."""
    match = _OURS.fullmatch(instance_name)
    return int(match[2]) if match else None


def requested_of(instance_name: str) -> str:
    """The name that was asked for, without Hummingbot's suffix."""
    return _SUFFIX.sub("", instance_name)


def grouped(instances: Iterable[Instance]) -> dict[str, tuple[Instance, ...]]:
    """The instances of each bot, oldest first."""
    groups: dict[str, list[Instance]] = {}
    for instance in instances:
        groups.setdefault(group_key(instance.name), []).append(instance)
    return {key: tuple(sorted(found, key=_age)) for key, found in sorted(groups.items())}


def current_of(instances: Sequence[Instance]) -> Instance:
    """The one that counts: the newest whose container is up, else the newest."""
    return next((one for one in reversed(instances) if one.life in IS_UP), instances[-1])


def our_id(key: str) -> UUID | None:
    """The bot that a key of ours names."""
    is_ours = key.startswith("tb-") and re.fullmatch(r"[0-9a-f]{32}", key.removeprefix("tb-"))
    return UUID(key.removeprefix("tb-")) if is_ours else None


def advice(*, is_ours: bool, has_container: bool, controllers: Sequence[str], is_watched: bool) -> str:
    """What to do about an instance that is up and belongs to no definition: in a word or two, a colon, and in full."""
    unwatched = "" if is_watched else " Hummingbot does not watch it: its image has probably lost its tag."
    if not has_container:
        return "Find its host: Hummingbot hears it, but not from a container of its own. Stop it where it runs."
    if len(controllers) > 1:
        return (
            f"Split it: it runs several controllers ({', '.join(controllers)}), and a definition holds one. Stop and "
            "archive it in Hummingbot, then make a bot here for each of them."
        )
    if is_ours:
        return f"Recover it: its definition or its deployment was lost.{unwatched}"
    return f"Claim or leave it: if it is yours, say whose it is and recover it; else leave it, or stop it there.{unwatched}"


def _age(instance: Instance) -> tuple[int, str]:
    return sequence_of(instance.name) or 0, instance.name[-15:]
