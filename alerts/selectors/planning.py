"""What the planning of messages reads: incidents as they stand, the rules that may match, and all that keeps silent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db.models import Q

from alerts.models import AlertRule, AlertsSettings, AlertsState, Incident, IncidentBot, MaintenanceWindow, Snooze
from alerts.rules.words import Severity
from alerts.types import BotShown, Case, Hold, QuietHours, Reader, Rule, Silences, Window
from bots.models import Bot
from exchanges.names import resolve


def load_cases(incident_ids: Collection[UUID]) -> dict[UUID, Case]:
    """These incidents as they stand, by id."""
    rows = Incident.objects.filter(id__in=list(incident_ids)).select_related("client", "bot__client")
    incidents = {row.id: row for row in rows}
    touched: dict[UUID, dict[UUID, list[BotShown]]] = defaultdict(lambda: defaultdict(list))
    for row in (
        IncidentBot.objects.filter(incident_id__in=list(incidents))
        .filter(Q(until_at=None) | Q(incident__resolved_at__isnull=False))
        .select_related("bot__client")
        .order_by("bot__name", "bot_id")
    ):
        touched[row.incident_id][row.client_id].append(_shown(row.bot))
    return {
        row.id: _case(row, {client: tuple(bots) for client, bots in touched[row.id].items()})
        for row in incidents.values()
    }


def load_rules(cases: Iterable[Case]) -> list[Rule]:
    """Every rule in force of operators and of the clients whom these incidents concern, in a fixed order."""
    clients = {client for case in cases for client in (case.client_id, *case.touched) if client}
    rows = (
        AlertRule.objects.filter(is_enabled=True, channel__is_enabled=True)
        .filter(Q(channel__client_id=None) | Q(channel__client_id__in=list(clients)))
        .select_related("channel")
        .order_by("channel_id", "after_minutes", "name")
    )
    return [to_rule(row) for row in rows]


def load_rules_by_id(rule_ids: Collection[UUID]) -> dict[UUID, Rule]:
    """These rules, in force or not."""
    rows = AlertRule.objects.filter(id__in=list(rule_ids)).select_related("channel")
    return {row.id: to_rule(row) for row in rows}


def load_silences(*, now: datetime) -> Silences:
    """Everything that can keep messages back now."""
    settings, state = AlertsSettings.objects.filter(id=1).first(), AlertsState.objects.filter(id=1).first()
    windows = MaintenanceWindow.objects.filter(starts_at__lte=now).filter(Q(ends_at=None) | Q(ends_at__gt=now))
    return Silences(
        hold=Hold(
            is_muted=bool(settings and settings.is_muted),
            held_until=state.held_until if state else None,
            awaits_cycle=bool(state and state.awaits_cycle),
        ),
        windows=tuple(_window(row) for row in windows),
        snoozes={(row.kind, row.key): row.until_at for row in Snooze.objects.filter(until_at__gt=now)},
    )


def to_rule(row: AlertRule) -> Rule:
    """A row of rules as a value."""
    kinds, quiet = row.kinds if isinstance(row.kinds, list) else [], None
    if row.quiet_from is not None and row.quiet_until is not None:
        days = row.quiet_days if isinstance(row.quiet_days, list) else []
        quiet = QuietHours(
            row.quiet_from, row.quiet_until, row.quiet_timezone, frozenset(day for day in days if isinstance(day, int))
        )
    return Rule(
        id=row.id,
        channel_id=row.channel_id,
        reader=Reader(row.channel.client_id, row.channel.bot_id),
        kinds=frozenset(kind for kind in kinds if isinstance(kind, str)),
        min_severity=Severity(row.min_severity),
        after=timedelta(minutes=row.after_minutes),
        repeat=timedelta(minutes=row.repeat_minutes) if row.repeat_minutes else None,
        sends_recovery=row.sends_recovery,
        quiet=quiet,
        critical_breaks_quiet=row.critical_breaks_quiet,
    )


def _case(row: Incident, touched: dict[UUID, tuple[BotShown, ...]]) -> Case:
    details: Any = row.details
    return Case(
        id=row.id,
        kind=row.kind,
        key=row.key,
        severity=Severity(row.severity),
        title=row.title,
        opened_at=row.opened_at,
        last_seen_at=row.last_seen_at,
        client_id=row.client_id,
        account=row.client.account_identifier if row.client else "",
        bot=_shown(row.bot) if row.bot else None,
        details=details if isinstance(details, dict) else {},
        touched=touched,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        resolved_at=row.resolved_at,
        resolved_by=row.resolved_by,
        resolution=row.resolution,
    )


def _shown(bot: Bot) -> BotShown:
    return BotShown(
        bot.id, bot.client_id, bot.name, bot.client.account_identifier, _exchange(bot.connector_name), bot.pair
    )


@lru_cache(maxsize=512)
def _exchange(connector_name: str) -> str:
    return resolve(connector_name).exchange


def _window(row: MaintenanceWindow) -> Window:
    return Window(
        name=row.name,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        cron=row.cron,
        timezone=row.timezone,
        duration=timedelta(minutes=row.duration_minutes or 0),
        client_id=row.client_id,
        bot_id=row.bot_id,
        exchange=row.exchange,
    )
