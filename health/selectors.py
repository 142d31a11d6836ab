"""Reads of health: limits, the bots to look at with all that their verdict needs, and what the API shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings

from bots.selectors import IN_SCOPE, JOINS, STATUS, base_params
from ground.errors import InvalidInput, NotFound
from ground.keyset import NOT_OURS, Page, encode_cursor
from ground.scope import Scope
from ground.sql import fetch_one
from health.away import away_spells
from health.models import HealthSettings
from health.rules.cadence import away_during, learned_limits
from health.rules.evidence import limits_row
from health.rules.limits import limits_of_bot, minutes
from health.rules.silence import noted
from health.types import LearnedLimits, Limits


def thresholds() -> Limits:
    """The limits of all bots without their own: what an operator set, else the environment's."""
    row = HealthSettings.objects.first()
    stale, stopped, heartbeat = (
        (row.stale_minutes, row.stopped_minutes, row.heartbeat_timeout_minutes) if row else (None, None, None)
    )
    default = Limits(
        stale=minutes(settings.STALE_THRESHOLD_MINUTES),
        stopped=minutes(settings.STOPPED_THRESHOLD_MINUTES),
        heartbeat=minutes(settings.HEARTBEAT_TIMEOUT_MINUTES if heartbeat is None else heartbeat),
    )
    if stale is None and stopped is None:
        return default
    chosen = limits_of_bot(default, stale_minutes=stale, stopped_minutes=stopped)
    return Limits(chosen.stale, chosen.stopped, chosen.heartbeat, source="settings")


def check_interval_s() -> int:
    """How often each running bot is checked."""
    chosen = HealthSettings.objects.values_list("check_interval_seconds", flat=True).first()
    return chosen or int(settings.HEALTH_CHECK_INTERVAL_SECONDS)


def keep_checks_days() -> int:
    """After how many days checks without a change are forgotten."""
    row = HealthSettings.objects.first()
    return int((row or HealthSettings()).keep_checks_days)


_HEALTH = f"""
    SELECT b.id AS bot_id, b.name, {STATUS} AS status, coalesce(h.status, 'unknown') AS health_status,
           coalesce(h.message, 'Not checked yet.') AS health_message, coalesce(h.cause, '') AS cause,
           coalesce(h.changes_when, '') AS changes_when,
           CASE WHEN h.status = 'unknown' AND h.last_known_status IS NOT NULL THEN json_build_object(
               'health_status', h.last_known_status, 'at', bridge_iso(h.last_known_at)) END AS last_known,
           bridge_iso(h.last_trade_at) AS last_trade_time, bridge_iso(h.last_heartbeat_at) AS last_heartbeat,
           bridge_iso(h.status_updated_at) AS status_updated_at, bridge_iso(h.checked_at) AS checked_at,
           coalesce((SELECT json_agg(json_build_object(
               'probe', e -> 'probe', 'outcome', e -> 'outcome', 'observed_at', e -> 'observed_at', 'age_s',
               round(greatest(0, extract(epoch FROM %(now)s - (e ->> 'observed_at')::timestamptz)), 1),
               'detail', e -> 'detail', 'decided', e -> 'decided') ORDER BY n)
             FROM jsonb_array_elements(h.evidence) WITH ORDINALITY AS x(e, n)), '[]') AS evidence
      FROM bots b {JOINS}
     WHERE {IN_SCOPE} AND b.id = %(id)s
"""  # noqa: S608 - made of constants


_HEALTH_AND_LIMITS = f"""
    SELECT row_to_json(t)::text, b.stale_minutes, b.stopped_minutes, CASE WHEN c.is_enough THEN c.profile::text END,
           greatest(h.last_trade_at, h.confirmed_start_at),
           CASE WHEN NOT c.is_enough AND coalesce((SELECT s.learns_cadence FROM health_settings s), true) THEN c.note END
      FROM ({_HEALTH}) t JOIN bots b ON b.id = t.bot_id
      LEFT JOIN bot_health h ON h.bot_id = t.bot_id
      LEFT JOIN bot_cadences c ON c.bot_id = t.bot_id
"""  # noqa: S608 - made of constants


def learned_of_bot(
    profile: Mapping[str, Any] | None,
    *,
    silent_since: datetime | None,
    now: datetime,
    away: timedelta = timedelta(0),
) -> LearnedLimits | None:
    """The limits learned for a silence that began then, from its cadence's profile; None: nothing learned holds.

    ``away``: how much of the silence its exchange did not answer.
    """
    row = (HealthSettings.objects.first() or HealthSettings()) if profile else None
    if row is None or not profile or not row.learns_cadence:
        return None
    days = row.days_between_false_alarms
    return learned_limits(profile, last_trade_at=silent_since, now=now, days_between_false_alarms=days, away=away)


def bot_health(scope: Scope, bot_id: UUID, *, now: datetime) -> dict[str, Any]:
    """One bot's health as the API shows it, with the limits that hold for it now. Raises NotFound."""
    with scope.transaction():
        row = fetch_one(_HEALTH_AND_LIMITS, base_params(scope) | {"id": bot_id, "now": now})
        if row is None:
            raise NotFound("There is no such bot.")
        away = away_during(away_spells([bot_id], now=now).get(bot_id, ()), since=row[4], now=now)
        learned = learned_of_bot(json.loads(row[3]) if row[3] else None, silent_since=row[4], now=now, away=away)
        limits = limits_of_bot(thresholds(), stale_minutes=row[1], stopped_minutes=row[2], learned=learned)
    shown: dict[str, Any] = json.loads(row[0])
    return shown | {"thresholds": limits_row(noted(limits, row[5] or ""))}


_SUMMARY = f"""
    SELECT json_build_object(
        'total_bots', count(*),
        'healthy', count(*) FILTER (WHERE health_status = 'healthy'),
        'stale', count(*) FILTER (WHERE health_status = 'stale'),
        'stopped', count(*) FILTER (WHERE health_status = 'stopped'),
        'error', count(*) FILTER (WHERE health_status = 'error'),
        'unknown', count(*) FILTER (WHERE health_status = 'unknown'),
        'bots', coalesce(json_agg(row_to_json(t) ORDER BY t.created_at, t.id), '[]'))::text
      FROM (
        SELECT b.id, b.id AS bot_id, b.name, c.account_identifier AS account, b.connector_name AS connector, b.pair,
               b.strategy, b.runtime_kind, {STATUS} AS status, coalesce(h.status, 'unknown') AS health_status,
               coalesce(h.message, 'Not checked yet.') AS health_message,
               CASE WHEN h.status = 'unknown' AND h.last_known_status IS NOT NULL THEN json_build_object(
                   'health_status', h.last_known_status, 'at', bridge_iso(h.last_known_at)) END AS last_known,
               bridge_iso(h.last_trade_at) AS last_trade_time, bridge_iso(h.last_heartbeat_at) AS last_heartbeat,
               bridge_iso(h.status_updated_at) AS status_updated_at, bridge_iso(h.checked_at) AS checked_at,
               bridge_iso(b.created_at) AS created_at
          FROM bots b {JOINS}
         WHERE {IN_SCOPE} AND b.runtime_kind <> 'arena'
           AND (%(account)s = '' OR (c.account_identifier = %(account)s AND c.retired_at IS NULL))
      ) t
"""  # noqa: S608 - made of constants


def health_summary(scope: Scope, *, account: str = "") -> str:
    """``{total_bots, healthy, stale, stopped, error, unknown, bots}`` as JSON text; arena bots are not counted.

    One statement counts what it lists, so the figures always add up.
    """
    with scope.transaction():
        row = fetch_one(_SUMMARY, base_params(scope) | {"account": account})
    return str(row[0]) if row else "{}"


def health_history(scope: Scope, bot_id: UUID, page: Page) -> dict[str, Any]:
    """``{bot_id, history, next}``, newest first."""
    params: dict[str, Any] = {"id": bot_id, "limit": page.limit, "offset": page.offset or 0} | _before(page)
    after = "AND (l.checked_at, l.id) < (%(before_at)s, %(before_id)s)" if page.cursor else ""
    statement = f"""
        SELECT coalesce(json_agg(row_to_json(t) ORDER BY t.n), '[]')::text FROM (
            SELECT bridge_iso(l.checked_at) AS checked_at, l.previous_status, l.new_status,
                   l.new_status AS health_status, l.reason, l.actor, l.trade_count,
                   bridge_iso(l.last_trade_at) AS last_trade, l.evidence, l.id,
                   row_number() OVER () AS n
              FROM (SELECT * FROM bot_health_logs l WHERE l.bot_id = %(id)s {after}
                     ORDER BY l.checked_at DESC, l.id DESC LIMIT %(limit)s + 1 OFFSET %(offset)s) l
        ) t
    """  # noqa: S608 - made of constants
    with scope.transaction():
        row = fetch_one(statement, params)
    rows = json.loads(row[0]) if row else []
    shown = [{name: value for name, value in r.items() if name != "n"} for r in rows[: page.limit]]
    more = len(rows) > page.limit
    return {
        "bot_id": bot_id,
        "history": shown,
        "next": encode_cursor(shown[-1]["checked_at"], shown[-1]["id"]) if more else None,
    }


def _before(page: Page) -> dict[str, Any]:
    if page.cursor is None:
        return {}
    try:
        return {"before_at": page.instant(), "before_id": int(page.cursor[1])}
    except ValueError:
        raise InvalidInput(NOT_OURS, code="invalid_cursor") from None
