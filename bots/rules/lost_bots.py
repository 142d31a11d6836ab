"""Bots that Hummingbot knows and the bridge does not: whose they are, what each field says and why, what to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from bots.rules.names import account_name
from bots.rules.unrender import unrender
from bots.rules.words import DesiredStatus, TemplateKind
from bots.types import Template
from exchanges import symbols
from exchanges.names import resolve
from ground.errors import InvalidInput

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
    STOPPED = "stopped"  # its container is up, its run was stopped, and nothing reports
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
    script: str | None = None
    markets: tuple[tuple[str, str], ...] = ()  # (connector, pair) of its positions, or of its archive
    markets_from: str = ""
    run_id: int | None = None
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

    def value(self, name: str) -> Any:
        return self.fields[name].value

    @property
    def current(self) -> Instance:
        return current_of(self.instances)


class _SkipError(Exception):
    """Nothing can be done for it, for this reason."""


class _NobodysError(_SkipError):
    """Nothing says whose it is."""


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


def propose(instances: Sequence[Instance], known: Known, *, client: KnownClient | None = None) -> Proposal:
    """What to do for the bot of these instances, oldest first. ``client`` is whom the operator says it belongs to."""
    key = group_key(instances[0].name)
    try:
        return _proposed(key, tuple(instances), known, client)
    except _SkipError as skipped:
        is_nobodys = isinstance(skipped, _NobodysError)
        return Proposal(key, Action.SKIP, str(skipped), tuple(instances), needs_owner=is_nobodys)


def _proposed(key: str, instances: tuple[Instance, ...], known: Known, chosen: KnownClient | None) -> Proposal:
    current = current_of(instances)
    if current.name in known.instances:
        raise _SkipError("It is managed already.")
    if requested_of(current.name) in known.awaited:
        raise _SkipError("Its deployment is being looked up; the workers adopt it.")
    bot_id = our_id(key)
    existing = next((bot for bot in known.bots if bot.id == bot_id), None)
    if existing is not None:
        return _adopted(key, instances, existing)
    memory = known.remembered.get(bot_id) if bot_id else None
    if memory is not None and memory.was_retired:
        raise _SkipError("Its definition was deleted on purpose; take the instance down in Hummingbot.")
    if current.controllers > 1:
        raise _SkipError("It runs several controllers; a definition holds one.")
    client, client_source = _client(current, known, memory, chosen)
    fields, notes = _fields(key, current, known, memory)
    fields = {"client": Sourced(client.account, client_source), **fields}
    if bot_id is None:
        fitting = _fitting(client, fields, known)
        if len(fitting) > 1:
            raise _SkipError(f"{len(fitting)} definitions of {client.account} fit it: {_names(fitting)}.")
        if fitting:
            return _linked(key, instances, fitting[0], fields, notes)
    return Proposal(
        key=key, action=Action.CREATE, why=_why_created(current), instances=instances, bot_id=bot_id,
        client_id=client.id, fields=fields, notes=notes,
    )  # fmt: skip


def _adopted(key: str, instances: tuple[Instance, ...], bot: KnownBot) -> Proposal:
    current = current_of(instances)
    if bot.is_retired:
        raise _SkipError("Its definition was deleted; take the instance down in Hummingbot.")
    if bot.has_open:
        raise _SkipError("Its definition has another deployment that may run; stop the bot first.")
    if current.life not in IS_UP and bot.has_deployment:
        raise _SkipError("Its definition is there and nothing of this instance runs.")
    wish, notes = _wish_of(bot, current)
    fields = {"name": Sourced(bot.name, "the definition"), "wish": wish}
    why = f"{bot.name} is defined; this instance bears its id and is not among its deployments."
    return Proposal(
        key=key, action=Action.ADOPT, why=why, instances=instances, bot_id=bot.id, client_id=bot.client_id,
        fields=fields, notes=notes,
    )  # fmt: skip


def _linked(
    key: str, instances: tuple[Instance, ...], bot: KnownBot, fields: Mapping[str, Sourced], notes: tuple[str, ...]
) -> Proposal:
    if bot.has_open:
        raise _SkipError(f"{bot.name} fits it and has another deployment that may run; stop that first.")
    wish, more = _wish_of(bot, current_of(instances))
    fields, notes = {**fields, "name": Sourced(bot.name, "the definition"), "wish": wish}, (*notes, *more)
    why = f"{bot.name} is defined with the same client, exchange, pair and strategy."
    return Proposal(
        key=key, action=Action.LINK, why=why, instances=instances, bot_id=bot.id, client_id=bot.client_id,
        fields=fields, notes=notes,
    )  # fmt: skip


def _client(
    current: Instance, known: Known, memory: Remembered | None, chosen: KnownClient | None
) -> tuple[KnownClient, str]:
    if chosen is not None:
        return chosen, "your choice"
    account = current.account or ""
    for client in known.clients:
        if account == account_name(client.account, client.id):
            return client, f"its Hummingbot account {account}"
    if memory is not None:
        found = next((client for client in known.clients if client.id == memory.client_id), None)
        if found:
            return found, f"the audit (entry {memory.entry})"
    for client in known.clients:
        if account == client.account:
            return client, f"its Hummingbot account {account}"
    raise _NobodysError(f"No client is known of its Hummingbot account {account or '(none)'}: say whose it is.")


def _fields(
    key: str, current: Instance, known: Known, memory: Remembered | None
) -> tuple[dict[str, Sourced], tuple[str, ...]]:
    """Every field of the definition with where it comes from."""
    audit = f"the audit (entry {memory.entry})" if memory else ""
    kept = dict(memory.values) if memory else {}
    fields = _market(current, kept, audit)
    notes: tuple[str, ...] = ()
    if kept.get("strategy"):
        fields["strategy"] = Sourced(kept["strategy"], audit)
        fields["config"] = Sourced(kept.get("config") or {}, audit)
    else:
        found, notes = _strategy(current, known.templates)
        fields |= found
    own = requested_of(current.name)
    shown = f"{fields['strategy'].value} {fields['pair'].value}"
    named = Sourced(shown, "its strategy and pair") if our_id(key) else Sourced(own, "its name in Hummingbot")
    fields["name"] = Sourced(kept["name"], audit) if kept.get("name") else named
    for name in ("stale_minutes", "stopped_minutes"):
        if kept.get(name) is not None:
            fields[name] = Sourced(kept[name], audit)
    fields["wish"] = _wish(current, kept, audit)
    return fields, notes


def _market(current: Instance, kept: Mapping[str, Any], audit: str) -> dict[str, Sourced]:
    content = current.content or {}
    connector, pair = content.get("connector_name"), content.get("trading_pair")
    source = current.content_from
    if not (isinstance(connector, str) and isinstance(pair, str)):
        if len(current.markets) == 1:
            (connector, pair), source = current.markets[0], current.markets_from
        elif kept.get("pair"):
            connector, pair, source = kept["connector_name"], kept["pair"], audit
        else:
            raise _SkipError("Nothing in Hummingbot says on which exchange and pair it trades.")
    try:
        pair = symbols.normalize(str(pair))
    except InvalidInput as error:
        raise _SkipError(error.message) from None
    if kept.get("connector_name") and _market_of(kept["connector_name"]) == _market_of(str(connector)):
        connector, of_connector = kept["connector_name"], audit
    else:
        of_connector = source
    return {"connector": Sourced(str(connector), of_connector), "pair": Sourced(pair, source)}


def _strategy(current: Instance, templates: Sequence[Template]) -> tuple[dict[str, Sourced], tuple[str, ...]]:
    content, source = current.content, current.content_from
    if content is None:
        raise _SkipError("Its config is nowhere in Hummingbot any more.")
    found = unrender(templates, content, kind=current.kind)
    if found is None:
        label = str(current.script or content.get("controller_name") or "unknown").removesuffix(".py")[:64]
        note = f"No template gives this config: make one named {label} before it is started again."
        raw = {key: value for key, value in content.items() if not key.startswith("_")}
        return {"strategy": Sourced(label, source), "config": Sourced(raw, source)}, (note,)
    notes = [f"The template {found.strategy} does not write {', '.join(found.strangers)}."] if found.strangers else []
    if found.others:
        notes.append(f"It fits {', '.join(found.others)} as well.")
    through = f"{source}, read through the template {found.strategy}"
    return {"strategy": Sourced(found.strategy, through), "config": Sourced(dict(found.config), through)}, tuple(notes)


def _wish(current: Instance, kept: Mapping[str, Any], audit: str) -> Sourced:
    wished = kept.get("desired_status")
    if wished in (DesiredStatus.RUNNING, DesiredStatus.STOPPED):
        return Sourced(str(wished), audit)
    if current.life in (Life.RUNNING, Life.UP):
        return Sourced(str(DesiredStatus.RUNNING), f"it is {current.life} in Hummingbot")
    return Sourced(str(DesiredStatus.STOPPED), f"it is {current.life} in Hummingbot")


def _wish_of(bot: KnownBot, current: Instance) -> tuple[Sourced, tuple[str, ...]]:
    """What a definition wants that is there: as it stands, unless it was never started and its instance runs."""
    if bot.wish == DesiredStatus.CREATED and current.life in (Life.RUNNING, Life.UP):
        return Sourced(
            str(DesiredStatus.RUNNING), f"it is {current.life} in Hummingbot, and was never started here"
        ), ()
    if bot.wish != DesiredStatus.RUNNING and current.life in IS_UP:
        return Sourced(str(bot.wish), "the definition"), ("It is not wanted running: it will be taken down.",)
    return Sourced(str(bot.wish), "the definition"), ()


def _fitting(client: KnownClient, fields: Mapping[str, Sourced], known: Known) -> list[KnownBot]:
    return [
        bot
        for bot in known.bots
        if bot.client_id == client.id
        and bot.runs_in_hummingbot
        and not bot.is_retired
        and bot.pair == fields["pair"].value
        and bot.strategy == fields["strategy"].value
        and _market_of(bot.connector) == _market_of(fields["connector"].value)
    ]


def _why_created(current: Instance) -> str:
    return {
        Life.RUNNING: "It runs in Hummingbot and nobody defined it.",
        Life.UP: "Its container is up in Hummingbot and nobody defined it.",
        Life.STOPPED: "It is stopped in Hummingbot and nobody defined it.",
        Life.EXITED: "Its container has ended and nobody defined it.",
        Life.ARCHIVED: "It is archived in Hummingbot and nobody defined it.",
        Life.GONE: "Only Hummingbot's log of deploys remembers it.",
    }[current.life]


def our_id(key: str) -> UUID | None:
    """The bot that a key of ours names."""
    is_ours = key.startswith("tb-") and re.fullmatch(r"[0-9a-f]{32}", key.removeprefix("tb-"))
    return UUID(key.removeprefix("tb-")) if is_ours else None


def _market_of(connector: str) -> tuple[str, str]:
    market = resolve(connector)
    return market.exchange, market.market_type


def _age(instance: Instance) -> tuple[int, str]:
    return sequence_of(instance.name) or 0, instance.name[-15:]


def _names(bots: Sequence[KnownBot]) -> str:
    return ", ".join(sorted(bot.name for bot in bots)[:5])
