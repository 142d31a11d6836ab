"""Puts the templates that come with the product into their table."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from bots.models import BotTemplate
from bots.rules.catalogue import SHIPPED
from ground.http import ExactJSONDecoder, exact_json
from ground.scope import Scope


def ship_templates(*, scope: Scope) -> None:
    """Add what is missing and bring shipped ones up to date; a template that an operator made is never touched."""
    with scope.transaction(reason="templates shipped"):
        for template in SHIPPED.values():
            fields = asdict(template) | {"is_shipped": True}
            row, made = BotTemplate.objects.get_or_create(name=template.name, defaults=fields)
            is_old = any(getattr(row, name) != _as_stored(value) for name, value in fields.items())
            if not made and row.is_shipped and is_old:
                BotTemplate.objects.filter(id=row.id).update(**fields)


def _as_stored(value: Any) -> Any:
    """0.3 comes back from the database as an exact decimal, which no float equals."""
    return json.loads(exact_json(value), cls=ExactJSONDecoder)
