"""Old bots become ours, under their old ids; importing one starts nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bots.models import Bot, BotHealth
from bots.rules.words import DesiredStatus, HealthStatus, ReportedStatus, RuntimeKind
from bots.services.find_connector import find_connector
from bridge_project.use_cases.old_data.accounts import Clients
from bridge_project.use_cases.old_data.report import KNOWN, LINKED, MADE, Report
from bridge_project.use_cases.old_data.values import (
    OldRow,
    Refused,
    decimal_of,
    instant_of,
    new_id,
    object_of,
    old_id,
    text_of,
)  # fmt: skip
from clients.models import Client, Connector
from exchanges import symbols
from ground.errors import InvalidInput

_HEALTH = {str(word): word for word in HealthStatus} | {"running": HealthStatus.HEALTHY}
_WISHES = {
    "running": (DesiredStatus.RUNNING, ReportedStatus.RUNNING),
    "active": (DesiredStatus.RUNNING, ReportedStatus.RUNNING),
    "starting": (DesiredStatus.RUNNING, ReportedStatus.RUNNING),
    "error": (DesiredStatus.RUNNING, ReportedStatus.ERROR),
    "stopped": (DesiredStatus.STOPPED, ReportedStatus.STOPPED),
    "stopping": (DesiredStatus.STOPPED, ReportedStatus.STOPPED),
    "inactive": (DesiredStatus.STOPPED, ReportedStatus.STOPPED),
}


@dataclass(frozen=True, slots=True)
class BotsWish:
    """What imported bots are. Hummingbot's are never wanted running by an import: their old instance may still trade,
    and a second one must not."""

    kind: RuntimeKind
    now: datetime


def health_word(text: str) -> HealthStatus | None:
    """An old word for a verdict as ours; None for one that is none."""
    return _HEALTH.get(text.strip().lower())


def import_bot(row: OldRow, clients: Clients, report: Report, wish: BotsWish) -> Bot:
    """Find or make the bot of an old row. Raises Refused."""
    given, client = old_id(row), clients.owner(row)
    bot = Bot.objects.filter(client=client, source=report.source, source_id=given).first()
    outcome = KNOWN
    if bot is None:
        bot = Bot.objects.filter(id=new_id("bot", report.source, given)).first()
    if bot is None:
        definition = _definition(row, client, report, given)
        bot, outcome = _made_by_hand(definition), LINKED
        if bot is None:
            bot, outcome = _make_bot(row, definition, report, wish, given), MADE
    if bot.client_id != client.id:
        raise Refused("A bot of another client has its id here.")
    if bot.retired_at or bot.deletion_requested_at:
        raise Refused("It was deleted here since it was imported.")
    if not bot.source_id:
        Bot.objects.filter(id=bot.id).update(source=report.source, source_id=given)
    report.count("bots", outcome)
    return bot


def _definition(row: OldRow, client: Client, report: Report, given: str) -> dict[str, Any]:
    exchange, pair = (
        text_of(row, "connector", "connector_name", "exchange", limit=64),
        text_of(row, "pair", "symbol", "trading_pair"),
    )
    try:
        pair = symbols.normalize(pair)
        connector, stored = _connector(client, exchange, report, given)
    except InvalidInput as error:
        raise Refused(error.message) from None
    return {
        "client": client, "connector": connector, "connector_name": stored, "pair": pair,
        "name": text_of(row, "name") or f"Bot {given[:20]}", "strategy": text_of(row, "strategy", limit=64) or "spread",
        "config": object_of(row, "config"),
    }  # fmt: skip


def _connector(client: Client, name: str, report: Report, given: str) -> tuple[Connector | None, str]:
    try:
        return find_connector(client_id=client.id, name=name, connector_id=None)
    except InvalidInput as error:
        if error.code != "ambiguous_connector":
            raise
    report.note(f"bots[{given}] may use several connectors named {name}: choose one on its page.")
    return None, name


def _made_by_hand(definition: dict[str, Any]) -> Bot | None:
    """The same bot, defined here before the import: the only one of this client, name, pair and exchange."""
    same = {name: definition[name] for name in ("client", "name", "pair", "connector_name")}
    found = list(Bot.objects.filter(**same, source_id="", retired_at=None)[:2])
    return found[0] if len(found) == 1 else None


def _make_bot(row: OldRow, definition: dict[str, Any], report: Report, wish: BotsWish, given: str) -> Bot:
    stale, stopped = decimal_of(row, "stale_minutes"), decimal_of(row, "stopped_minutes")
    if (
        (stale is not None and stale <= 0)
        or (stopped is not None and stopped <= 0)
        or (stale and stopped and stopped < stale)
    ):
        report.note(f"bots[{given}] had thresholds that cannot be; the common ones hold.")
        stale = stopped = None
    fields: dict[str, Any] = {"stale_minutes": stale, "stopped_minutes": stopped}
    if made_at := instant_of(row, "created_at"):
        fields["created_at"] = made_at
    bot = Bot.objects.create(
        id=new_id("bot", report.source, given), runtime_kind=wish.kind, source=report.source, source_id=given,
        **definition, **fields, **_wish_of(row, report, wish, given),
    )  # fmt: skip
    BotHealth.objects.create(bot=bot, client_id=bot.client_id, **_health_of(row, bot, wish))
    return bot


def _wish_of(row: OldRow, report: Report, wish: BotsWish, given: str) -> dict[str, Any]:
    # The old watcher wrote its own finding into status; what somebody said last stands in reported_status.
    word = text_of(row, "desired_status", "reported_status", "status").lower()
    if word not in _WISHES:
        return {"desired_status": DesiredStatus.CREATED}
    desired, said = _WISHES[word]
    if wish.kind == RuntimeKind.HUMMINGBOT and desired == DesiredStatus.RUNNING:
        report.note(
            f"bots[{given}] ran in the old bridge. Stop its old instance, or have it adopted, and start it here."
        )
        desired = DesiredStatus.CREATED
    at = instant_of(row, "status_updated_at", "updated_at", "created_at") or wish.now
    actor = f"import:{report.source}"
    return {
        "desired_status": desired, "desired_at": None if desired == DesiredStatus.CREATED else at, "desired_by": actor,
        "desired_reason": f"{word} in the old bridge", "reported_status": said, "reported_at": at, "reported_by": actor,
    }  # fmt: skip


def _health_of(row: OldRow, bot: Bot, wish: BotsWish) -> dict[str, Any]:
    """Stopped where somebody stopped it, else unknown until the first check; the old verdict is the last known one."""
    known = health_word(text_of(row, "health_status"))
    fields: dict[str, Any] = {
        "status": HealthStatus.UNKNOWN, "message": "Imported from the old bridge, not checked yet.",
        "status_updated_at": wish.now, "due_at": wish.now, "last_trade_at": instant_of(row, "last_trade_time"),
        "last_heartbeat_at": instant_of(row, "last_heartbeat"),
    }  # fmt: skip
    if bot.desired_status == DesiredStatus.STOPPED:
        return fields | {"status": HealthStatus.STOPPED, "message": "stopped in the old bridge"}
    if known is not None and known != HealthStatus.UNKNOWN:
        at = instant_of(row, "status_updated_at", "updated_at") or wish.now
        fields |= {"last_known_status": known, "last_known_at": at}
    return fields
