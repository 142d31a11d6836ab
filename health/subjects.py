"""The bots to look at, with everything that their verdict needs and the credentials still sealed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from bots.rules.words import DesiredStatus, HealthStatus, ReportedStatus, RuntimeKind, RuntimeStatus
from exchanges.names import Market, resolve
from ground.encrypted import Sealed, Undecryptable
from ground.sql import fetch_all
from health.away import Spells, away_spells
from health.models import HealthSettings
from health.rules.attribution import Rival
from health.rules.silence import LimitChoice, limits_at
from health.rules.verdict import STOP_GRACE
from health.selectors import thresholds
from health.types import Heartbeat, Limits, Run, RuntimeSeen, Standing

# An observation counts as seen running only if it is recent, and made well after a stop was asked for: for some time
# after it, Hummingbot goes on saying that the bot runs.
SEEN_RUNNING = """
    r.status = 'running' AND b.runtime_kind = 'hummingbot' AND r.observed_at > %(now)s - interval '2 minutes'
    AND (b.desired_status <> 'stopped' OR r.observed_at > coalesce(b.desired_at, '-infinity') + %(stop_grace)s)
"""


@dataclass(frozen=True, slots=True)
class Keys:
    """A connector's credentials, sealed."""

    api_key: Sealed = field(repr=False)
    api_secret: Sealed = field(repr=False)
    passphrase: Sealed | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Subject:
    """One bot to look at. ``ledger_until``: its newest trade in the ledger; ``instance_name``: in Hummingbot."""

    bot_id: UUID
    client_id: UUID
    connector_id: UUID | None
    pair: str
    market: Market
    run: Run
    limits: Limits  # of the silence that is known so far
    choice: LimitChoice  # makes them anew for what a check finds
    standing: Standing
    order_prefix: str
    keys: Keys | None
    heartbeat: Heartbeat | None
    known_trade_at: datetime | None
    ledger_until: datetime | None
    rivals: tuple[Rival, ...]
    runtime: RuntimeSeen | None = None
    instance_name: str = ""
    order_config: Mapping[str, str] = field(default_factory=dict)  # what its config says of its orders


_SUBJECTS = f"""
    SELECT b.id, b.client_id, k.id AS connector_id, b.pair, b.connector_name, b.runtime_kind, b.desired_status,
           b.desired_at, b.desired_by, b.stale_minutes, b.stopped_minutes, b.config ->> 'client_order_id_prefix' AS order_prefix,
           k.api_key, k.api_secret, k.passphrase,
           b.config ->> 'order_amount', b.config ->> 'leverage', b.config ->> 'side',
           h.status, h.message, h.status_updated_at, h.last_trade_at, h.last_heartbeat_at, h.heartbeat_status,
           h.heartbeat_expires_at, h.heartbeat_detail,
           coalesce(h.confirmed_start_at, CASE WHEN d.confirmed_at >= b.desired_at THEN d.confirmed_at END),
           CASE WHEN {SEEN_RUNNING} THEN r.observed_at END, s.last_trade_at,
           r.status, r.explanation, r.observed_at, r.changed_at, r.performance_at, r.error_lines::text, r.errors_at,
           r.instance_name, CASE WHEN c.is_enough THEN c.profile::text END,
           CASE WHEN NOT c.is_enough THEN c.note END
      FROM bots b
      JOIN bot_health h ON h.bot_id = b.id
      LEFT JOIN connectors k ON k.id = b.connector_id AND k.retired_at IS NULL
      LEFT JOIN bot_runtime r ON r.bot_id = b.id
      LEFT JOIN bot_stats s ON s.bot_id = b.id
      LEFT JOIN bot_cadences c ON c.bot_id = b.id
      LEFT JOIN LATERAL (
        SELECT x.confirmed_at FROM bot_deployments x WHERE x.bot_id = b.id ORDER BY x.sequence DESC LIMIT 1
      ) d ON b.runtime_kind = 'hummingbot'
     WHERE b.id = ANY(%(ids)s) AND b.retired_at IS NULL AND b.runtime_kind <> 'arena'
     ORDER BY b.id
"""  # noqa: S608 - made of constants

# Other bots on the pair whose connector is the same or, judging by what is shown of the key, may hold the same key.
_RIVALS = f"""
    SELECT me.id AS bot_id, me.client_id = b.client_id AS is_own_client, mk.id AS my_connector, k.id AS connector,
           mk.api_key AS my_key, k.api_key, b.name, b.connector_name, me.connector_name AS my_connector_name,
           b.config ->> 'client_order_id_prefix' AS order_prefix,
           CASE WHEN b.desired_status = 'stopped' AND NOT coalesce({SEEN_RUNNING}, false) THEN b.desired_at END
      FROM bots me
      JOIN connectors mk ON mk.id = me.connector_id AND mk.api_key IS NOT NULL
      JOIN connectors k ON k.id = mk.id OR (k.key_hint = mk.key_hint AND k.api_key IS NOT NULL)
      JOIN bots b ON b.connector_id = k.id AND b.pair = me.pair AND b.id <> me.id
      LEFT JOIN bot_runtime r ON r.bot_id = b.id
      LEFT JOIN bot_health h ON h.bot_id = b.id
     WHERE me.id = ANY(%(ids)s) AND b.retired_at IS NULL AND b.runtime_kind <> 'arena'
       AND (b.desired_status <> 'created' OR h.last_heartbeat_at > %(now)s - interval '1 day')
     ORDER BY b.name, b.id
"""  # noqa: S608 - made of constants


class _Row(NamedTuple):
    """A row of _SUBJECTS, in its order."""

    bot_id: UUID
    client_id: UUID
    connector_id: UUID | None
    pair: str
    connector_name: str
    runtime_kind: str
    desired_status: str
    desired_at: datetime | None
    desired_by: str
    stale_minutes: Decimal | None
    stopped_minutes: Decimal | None
    order_prefix: str | None
    api_key: str | None
    api_secret: str | None
    passphrase: str | None
    order_amount: str | None
    leverage: str | None
    side: str | None
    status: str
    message: str
    status_updated_at: datetime
    last_trade_at: datetime | None
    last_heartbeat_at: datetime | None
    heartbeat_status: str
    heartbeat_expires_at: datetime | None
    heartbeat_detail: str
    confirmed_at: datetime | None
    seen_running_at: datetime | None
    ledger_until: datetime | None
    runtime_status: str | None
    explanation: str | None
    observed_at: datetime | None
    changed_at: datetime | None
    figures_changed_at: datetime | None
    error_lines: str | None
    errors_at: datetime | None
    instance_name: str | None
    profile: str | None
    cadence_note: str | None


class _RivalRow(NamedTuple):
    """A row of _RIVALS, in its order."""

    bot_id: UUID
    is_own_client: bool
    my_connector: UUID
    connector: UUID
    my_key: str
    api_key: str
    name: str
    connector_name: str
    my_connector_name: str
    order_prefix: str | None
    stopped_at: datetime | None


def subjects(bot_ids: Sequence[UUID], *, now: datetime) -> list[Subject]:
    """The bots of these ids that exist and may be looked at. Call within a scope that sees every tenant."""
    params = {"ids": list(bot_ids), "now": now, "stop_grace": STOP_GRACE}
    rivals, limits, learning = _rivals(params), thresholds(), HealthSettings.objects.first() or HealthSettings()
    found = (_Row(*row) for row in fetch_all(_SUBJECTS, params))
    away = away_spells(bot_ids, now=now)
    return [_subject(row, rivals=rivals, choice=_choice(row, limits, learning, away), now=now) for row in found]


def _choice(row: _Row, limits: Limits, learning: HealthSettings, away: Mapping[UUID, Spells]) -> LimitChoice:
    return LimitChoice(
        limits,
        row.stale_minutes,
        row.stopped_minutes,
        json.loads(row.profile) if row.profile else None,
        learning.days_between_false_alarms if learning.learns_cadence else 0,
        away.get(row.bot_id, ()),
        row.cadence_note or "",
    )


def _subject(row: _Row, *, rivals: dict[UUID, list[Rival]], choice: LimitChoice, now: datetime) -> Subject:
    run = Run(
        RuntimeKind(row.runtime_kind),
        DesiredStatus(row.desired_status),
        row.desired_at,
        row.desired_by,
        row.confirmed_at,
        row.seen_running_at,
    )
    began = (row.last_trade_at, row.confirmed_at)
    return Subject(
        bot_id=row.bot_id,
        client_id=row.client_id,
        connector_id=row.connector_id,
        pair=row.pair,
        market=resolve(row.connector_name),
        run=run,
        limits=limits_at(choice, since=max((at for at in began if at), default=None), now=now),
        choice=choice,
        standing=Standing(HealthStatus(row.status), row.message, row.status_updated_at),
        order_prefix=row.order_prefix or "",
        keys=_keys(row),
        heartbeat=_heartbeat(row),
        known_trade_at=row.last_trade_at,
        ledger_until=row.ledger_until,
        rivals=tuple(rivals[row.bot_id]),
        runtime=_runtime(row),
        instance_name=row.instance_name or "",
        order_config={name: value for name in _ORDER_WORDS if (value := getattr(row, name)) is not None},
    )


_ORDER_WORDS = ("order_amount", "leverage", "side")


def _runtime(row: _Row) -> RuntimeSeen | None:
    if row.runtime_kind != RuntimeKind.HUMMINGBOT or row.runtime_status is None or row.observed_at is None:
        return None
    lines = json.loads(row.error_lines or "[]")
    return RuntimeSeen(
        RuntimeStatus(row.runtime_status),
        row.explanation or "",
        row.observed_at,
        row.changed_at,
        row.figures_changed_at,
        tuple(str(line) for line in lines),
        row.errors_at,
    )


def _keys(row: _Row) -> Keys | None:
    if not row.api_key or not row.api_secret:
        return None
    return Keys(Sealed(row.api_key), Sealed(row.api_secret), Sealed(row.passphrase) if row.passphrase else None)


def _heartbeat(row: _Row) -> Heartbeat | None:
    if row.last_heartbeat_at is None or row.heartbeat_status not in list(ReportedStatus):
        return None
    word = ReportedStatus(row.heartbeat_status)
    return Heartbeat(word, row.last_heartbeat_at, row.heartbeat_expires_at, row.heartbeat_detail)


def _rivals(params: dict[str, Any]) -> dict[UUID, list[Rival]]:
    found: dict[UUID, list[Rival]] = defaultdict(list)
    opened: dict[UUID, str] = {}
    for row in (_RivalRow(*fields) for fields in fetch_all(_RIVALS, params)):
        if not _is_same_account(row, opened) or not _is_same_market(row):
            continue
        name = row.name if row.is_own_client else "another bot"
        until = row.stopped_at + STOP_GRACE if row.stopped_at else None
        found[row.bot_id].append(Rival(name, row.order_prefix or "", until))
    return found


def _is_same_account(row: _RivalRow, opened: dict[UUID, str]) -> bool:
    mine, other = row.my_connector, row.connector
    return mine == other or _opened(mine, row.my_key, opened) == _opened(other, row.api_key, opened)


def _is_same_market(row: _RivalRow) -> bool:
    here, there = resolve(row.my_connector_name), resolve(row.connector_name)
    return (here.exchange, here.market_type) == (there.exchange, there.market_type)


def _opened(connector: UUID, token: str, opened: dict[UUID, str]) -> str:
    """The API key of a connector; one that cannot be decrypted is like no other."""
    if connector not in opened:
        try:
            opened[connector] = Sealed(token).open()
        except Undecryptable:
            opened[connector] = str(connector)
    return opened[connector]
