"""Everything Hummingbot knows of instances that are not among the deployments: live, dead, archived or only logged."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bots.gateways.hummingbot import HummingbotGateway
from bots.rules.lost_facts import IS_UP, Instance, Life, current_of, grouped, requested_of
from bots.rules.words import TemplateKind
from bots.types import BotRun, InstanceStatus, NamedConfig
from ground.errors import Rejected

_RUNS_PER_PAGE = 100
_MOST_PAGES = 200
_MOST_CONTROLLERS = 10


@dataclass(frozen=True, slots=True)
class _Lists:
    statuses: Mapping[str, InstanceStatus]
    active: frozenset[str]
    exited: frozenset[str]
    archived: Mapping[str, str]  # name to the path of its database
    runs: Mapping[str, BotRun]


def survey_hummingbot(gateway: HummingbotGateway, *, known: Collection[str]) -> dict[str, tuple[Instance, ...]]:
    """The instances of each bot, oldest first, unless its current one is ``known``. Raises a GatewayError unless every
    list could be read: what is missing from a part of them must not pass for gone."""
    lists = _Lists(
        statuses=gateway.statuses(),
        active=frozenset(container.name for container in gateway.active_containers()),
        exited=frozenset(container.name for container in gateway.exited_containers()),
        archived={_of_path(path): path for path in gateway.archived_bots()},
        runs=_runs(gateway),
    )
    names = {*lists.statuses, *lists.active, *lists.exited, *lists.archived, *lists.runs}
    groups = grouped(_instance(name, lists) for name in names if _is_a_bots(name, lists))
    return {
        key: _with_content(gateway, group, lists)
        for key, group in groups.items()
        if current_of(group).name not in known
    }


def _runs(gateway: HummingbotGateway) -> dict[str, BotRun]:
    """By instance; the newest of each, from a log that is paged newest first."""
    runs: dict[str, BotRun] = {}
    for page in range(_MOST_PAGES):
        found = gateway.bot_runs(limit=_RUNS_PER_PAGE, offset=page * _RUNS_PER_PAGE)
        for run in found:
            runs.setdefault(run.instance_name, run)
        if len(found) < _RUNS_PER_PAGE:
            break
    return runs


def _of_path(path: str) -> str:
    """The instance whose folder the database lies in: bots/archived/<instance>/data/<file>."""
    parts = path.split("/")
    return parts[parts.index("archived") + 1] if "archived" in parts[:-1] else parts[-1].removesuffix(".sqlite")


def _is_a_bots(name: str, lists: _Lists) -> bool:
    """Docker lists every container of the host: one that Hummingbot has never listed nor logged is none of its bots."""
    return name in lists.statuses or name in lists.runs or name in lists.archived or requested_of(name) != name


def _instance(name: str, lists: _Lists) -> Instance:
    run, status = lists.runs.get(name), lists.statuses.get(name)
    is_script = run is not None and run.script is not None
    final = status if status and status.reports else run.final if run else None
    return Instance(
        name=name,
        life=_life(name, lists, is_script=is_script),
        account=run.account if run else None,
        kind=TemplateKind.SCRIPT if is_script else TemplateKind.CONTROLLER,
        script=run.script if run else None,
        controllers=max(len(run.controllers), 1) if run else 1,
        markets=_markets(final),
        markets_from="the positions it reported",
        run_id=run.id if run else None,
        was_stopped=run is not None and run.run_status == "STOPPED",
        deployed_at=run.deployed_at if run else None,
        stopped_at=run.stopped_at if run else None,
    )


def _life(name: str, lists: _Lists, *, is_script: bool) -> Life:
    status, run = lists.statuses.get(name), lists.runs.get(name)
    if name in lists.active or (status is not None and name not in lists.exited):
        return _life_of_one_up(status, run, is_script=is_script)
    if name in lists.exited:
        return Life.EXITED
    is_archived = name in lists.archived or (run is not None and run.deployment_status == "ARCHIVED")
    return Life.ARCHIVED if is_archived else Life.GONE


def _life_of_one_up(status: InstanceStatus | None, run: BotRun | None, *, is_script: bool) -> Life:
    """A run that the log calls stopped is no sign: Hummingbot writes that before it tries, and never takes it back. Nor
    is silence: Hummingbot does not watch a container whose image has lost its tag."""
    if status is None:
        return Life.UP
    if status.word == "stopping":
        return Life.STOPPED
    if is_script:
        was_stopped = run is not None and run.run_status == "STOPPED"
        return Life.RUNNING if status.recently_active and not was_stopped else Life.UP
    if status.word == "running" and status.is_reporting:
        return Life.RUNNING
    return Life.STOPPED if status.word == "running" and status.reports else Life.UP


def _markets(status: InstanceStatus | None) -> tuple[tuple[str, str], ...]:
    reports = status.reports if status else ()
    held = [position for report in reports if report.performance for position in report.performance.positions]
    return tuple(sorted({(position.connector, position.symbol) for position in held}))


def _with_content(gateway: HummingbotGateway, group: tuple[Instance, ...], lists: _Lists) -> tuple[Instance, ...]:
    """The same, with what the current one of them runs: only that one is asked for."""
    current = current_of(group)
    found = _script(gateway, current, lists) if current.kind == TemplateKind.SCRIPT else None
    found = found or _own_configs(gateway, current) or _stored(gateway, current, lists) or {}
    filled = replace(current, **found)
    if not filled.markets and current.name in lists.archived and "content" not in found:
        filled = replace(filled, **_archive(gateway, lists.archived[current.name]))
    return tuple(filled if one is current else one for one in group)


def _own_configs(gateway: HummingbotGateway, instance: Instance) -> dict[str, Any] | None:
    """What lies in the bot's own folder: what it truly runs, even where somebody has changed it since."""
    if instance.life not in (*IS_UP, Life.EXITED):
        return None
    try:
        configs = gateway.instance_configs(instance.name)
    except Rejected:
        return None
    return _one(configs, f"the config in the folder of {instance.name}")


def _stored(gateway: HummingbotGateway, instance: Instance, lists: _Lists) -> dict[str, Any] | None:
    """What lies among the stored configs under the name that was deployed."""
    run = lists.runs.get(instance.name)
    names = run.controllers if run and run.controllers else (requested_of(instance.name),)
    configs = []
    for name in names[:_MOST_CONTROLLERS]:
        try:
            configs.append(gateway.controller_config(name))
        except Rejected:
            continue
    deployed_by = f"bot run {run.id}" if run else "its name"
    return _one(configs, f"the stored config {configs[0].name} ({deployed_by})") if configs else None


def _script(gateway: HummingbotGateway, instance: Instance, lists: _Lists) -> dict[str, Any] | None:
    run = lists.runs.get(instance.name)
    name = (run.script_config if run else None) or requested_of(instance.name)
    try:
        config = gateway.script_config(name.removesuffix(".yml"))
    except Rejected:
        return None
    markets = config.content.get("markets")
    pairs = markets.items() if isinstance(markets, dict) else ()
    listed = tuple((connector, pair) for connector, of_it in pairs if isinstance(of_it, list) for pair in of_it)
    source = f"the stored script config {config.name}"
    found: dict[str, Any] = {"content": dict(config.content), "content_from": source}
    return found | ({"markets": listed, "markets_from": source} if listed else {})


def _one(configs: Collection[NamedConfig], source: str) -> dict[str, Any] | None:
    readable = [config for config in configs if config.error is None]
    if not readable:
        return None
    found = {"content": dict(readable[0].content), "content_from": source, "controllers": len(readable)}
    return found | ({"parts": tuple(_part(config) for config in readable)} if len(readable) > 1 else {})


def _part(config: NamedConfig) -> str:
    said = [config.content.get(name) for name in ("controller_name", "connector_name", "trading_pair")]
    return f"{config.name}: {' '.join(str(word) for word in said if word)}"[:200]


def _archive(gateway: HummingbotGateway, path: str) -> dict[str, Any]:
    try:
        summary = gateway.archived_summary(path)
    except Rejected:
        return {}
    markets = tuple((connector, pair) for connector in summary.connectors for pair in summary.pairs)
    return {"markets": markets, "markets_from": "its archived database"}
