"""Bots that Hummingbot knows and the bridge does not: whose they are, what each field says and why, what to do. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bots.rules.lost_facts import (
    IS_UP,
    Action,
    Instance,
    Known,
    KnownBot,
    KnownClient,
    Life,
    Proposal,
    Remembered,
    Sourced,
    current_of,
    group_key,
    our_id,
    requested_of,
)
from bots.rules.names import account_name
from bots.rules.unrender import unrender
from bots.rules.words import DesiredStatus
from bots.types import Template
from exchanges import symbols
from exchanges.names import resolve
from ground.errors import InvalidInput


class _SkipError(Exception):
    """Nothing can be done for it, for this reason."""


class _NobodysError(_SkipError):
    """Nothing says whose it is."""


class _ManagedError(_SkipError):
    """Nothing is missing."""


def propose(instances: Sequence[Instance], known: Known, *, client: KnownClient | None = None) -> Proposal:
    """What to do for the bot of these instances, oldest first. ``client`` is whom the operator says it belongs to."""
    key = group_key(instances[0].name)
    try:
        return _proposed(key, tuple(instances), known, client)
    except _SkipError as skipped:
        return Proposal(
            key, Action.SKIP, str(skipped), tuple(instances), needs_owner=isinstance(skipped, _NobodysError),
            is_managed=isinstance(skipped, _ManagedError),
        )  # fmt: skip


def _proposed(key: str, instances: tuple[Instance, ...], known: Known, chosen: KnownClient | None) -> Proposal:
    current = current_of(instances)
    if current.name in known.instances:
        raise _ManagedError("It is managed already.")
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
        raise _SkipError(_several(current))
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
        client_id=client.id, fields=fields, notes=notes, then=_then(instances, fields["wish"].value),
    )  # fmt: skip


def _adopted(key: str, instances: tuple[Instance, ...], bot: KnownBot) -> Proposal:
    current = current_of(instances)
    if bot.is_retired:
        raise _SkipError("Its definition was deleted; take the instance down in Hummingbot.")
    if bot.has_open:
        raise _SkipError("Its definition has another deployment that may run; stop the bot first.")
    if current.life not in IS_UP and bot.has_deployment:
        raise _SkipError("Its definition is there and nothing of this instance runs.")
    wish = _wish_of(bot, current)
    fields = {"name": Sourced(bot.name, "the definition"), "wish": wish}
    why = f"{bot.name} is defined; this instance bears its id and is not among its deployments."
    return Proposal(
        key=key, action=Action.ADOPT, why=why, instances=instances, bot_id=bot.id, client_id=bot.client_id,
        fields=fields, then=_then(instances, wish.value),
    )  # fmt: skip


def _linked(
    key: str, instances: tuple[Instance, ...], bot: KnownBot, fields: Mapping[str, Sourced], notes: tuple[str, ...]
) -> Proposal:
    if bot.has_open:
        raise _SkipError(f"{bot.name} fits it and has another deployment that may run; stop that first.")
    wish = _wish_of(bot, current_of(instances))
    fields = {**fields, "name": Sourced(bot.name, "the definition"), "wish": wish}
    why = f"{bot.name} is defined with the same client, exchange, pair and strategy."
    return Proposal(
        key=key, action=Action.LINK, why=why, instances=instances, bot_id=bot.id, client_id=bot.client_id,
        fields=fields, notes=notes, then=_then(instances, wish.value),
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
    if not account:
        raise _NobodysError("Hummingbot does not say under which account it was deployed: say whose it is.")
    raise _NobodysError(f"No client is known of its Hummingbot account {account}: say whose it is.")


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
    if current.life == Life.UP and current.was_stopped:
        return Sourced(str(DesiredStatus.STOPPED), "its run was stopped in Hummingbot")
    if current.life in (Life.RUNNING, Life.UP):
        return Sourced(str(DesiredStatus.RUNNING), f"it is {current.life} in Hummingbot")
    return Sourced(str(DesiredStatus.STOPPED), f"it is {current.life} in Hummingbot")


def _wish_of(bot: KnownBot, current: Instance) -> Sourced:
    """What a definition wants that is there: as it stands, unless it was never started and its instance runs."""
    is_up = current.life == Life.RUNNING or (current.life == Life.UP and not current.was_stopped)
    if bot.wish == DesiredStatus.CREATED and is_up:
        source = f"it is {current.life} in Hummingbot, and was never started here"
        return Sourced(str(DesiredStatus.RUNNING), source)
    return Sourced(str(bot.wish), "the definition")


def _then(instances: Sequence[Instance], wish: str) -> str:
    """What the workers make of it in Hummingbot."""
    current = current_of(instances)
    if wish == DesiredStatus.RUNNING:
        said = {
            Life.RUNNING: "It goes on running.",
            Life.UP: "It is watched; should nothing report in it for some minutes, it is taken down and deployed again.",
            Life.STOPPED: "It is wanted running: what is left of it is taken down, and it is deployed again.",
        }.get(current.life, "It is wanted running: it is deployed again.")
    elif current.life in IS_UP:
        said = "It is not wanted running: it is taken down."
    else:
        said = "Nothing runs until somebody starts it."
    is_doubled = sum(one.life in IS_UP for one in instances) > 1
    return f"{said} An older instance of it that is up as well is taken down." if is_doubled else said


def _several(current: Instance) -> str:
    parts = f" ({'; '.join(current.parts)})" if current.parts else ""
    return (
        f"It runs {current.controllers} controllers{parts}, and a definition holds one: stop and archive it in Hummingbot, "
        "then make a bot here for each of them."
    )


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
        Life.RUNNING: "It runs in Hummingbot and has no definition here.",
        Life.UP: "Its container is up in Hummingbot and has no definition here.",
        Life.STOPPED: "It is stopped in Hummingbot and has no definition here.",
        Life.EXITED: "Its container has ended and has no definition here.",
        Life.ARCHIVED: "It is archived in Hummingbot and has no definition here.",
        Life.GONE: "Only Hummingbot's log of deploys remembers it.",
    }[current.life]


def _market_of(connector: str) -> tuple[str, str]:
    market = resolve(connector)
    return market.exchange, market.market_type


def _names(bots: Sequence[KnownBot]) -> str:
    return ", ".join(sorted(bot.name for bot in bots)[:5])
