"""Runs that were over and configs that strategies had, lost together with their bots: as the audit last showed them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models

from bots.services.recover_definitions import SOURCE
from ground.http import ExactJSONDecoder, exact_json
from ground.scope import Scope
from ground.sql import fetch_all
from strategies.models import StrategyHistory, StrategyVersion

FROM_AUDIT = "audit"
"""The source of a run that came back: its figures are those that it had, and are not summed up again over a ledger that
may have lost its trades as well."""

_RECOVERED = """
    SELECT b.id::text, b.client_id FROM bots b
     WHERE b.source = %(source)s AND b.source_id <> '' AND b.created_at > %(now)s - interval '1 day'
"""
# A row that was deleted on purpose left a DELETE behind; one whose table was lost did not.
_ENTRIES = """
    SELECT a.row_id, a.action, a.after::text FROM audit_log a
     WHERE a.table_name = %(table)s
       AND a.row_id IN (SELECT i.row_id FROM audit_log i WHERE i.table_name = %(table)s AND i.action = 'INSERT'
                           AND i.after ->> 'bot_id' = ANY(%(bots)s))
     ORDER BY a.id
"""


def recover_history(*, scope: Scope, now: datetime) -> int:
    """Put back what the audit remembers of bots that were recovered within a day and is not there; how many rows.

    Nothing is made up: without the audit, nothing comes back. Safe twice and at once.
    """
    with scope.transaction(reason="came back with its bot"):
        owners = dict(fetch_all(_RECOVERED, {"source": SOURCE, "now": now}))
        if not owners:
            return 0
        return sum(_put_back(model, owners) for model in (StrategyVersion, StrategyHistory))


def _put_back(model: type[models.Model], owners: dict[str, UUID]) -> int:
    remembered = _remembered(model._meta.db_table, owners)
    there = set(model._default_manager.filter(pk__in=list(remembered)).values_list("pk", flat=True))
    rows = [_row(model, values) for key, values in remembered.items() if UUID(key) not in there]
    # Another worker may do the same just now; and a version's number may be taken by a new one.
    model._default_manager.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def _remembered(table: str, owners: dict[str, UUID]) -> dict[str, dict[str, Any]]:
    """Rows as they last were, by id, of bots that still belong to the same client."""
    merged: dict[str, dict[str, Any]] = {}
    for key, action, after in fetch_all(_ENTRIES, {"table": table, "bots": list(owners)}):
        if action == "DELETE":
            merged.pop(key, None)
        else:
            merged[key] = {**merged.get(key, {}), **json.loads(after or "{}", cls=ExactJSONDecoder)}
    return {key: row for key, row in merged.items() if str(owners.get(row.get("bot_id", ""))) == row.get("client_id")}


def _row(model: type[models.Model], values: dict[str, Any]) -> models.Model:
    if model is StrategyHistory and not values.get("source_id"):
        values = values | {"source": FROM_AUDIT, "source_id": values["id"]}
    return model(
        **{
            field.attname: _read(field, values[field.attname])
            for field in model._meta.concrete_fields
            if field.attname in values
        }
    )


def _read(field: models.Field[Any, Any], value: Any) -> Any:
    if type(field) is models.JSONField:  # one that cannot hold exact numbers
        return json.loads(exact_json(value))
    return field.to_python(value)
