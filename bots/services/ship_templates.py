"""Puts the templates that come with the product into their table."""

from __future__ import annotations

from dataclasses import asdict

from bots.models import BotTemplate
from bots.rules.catalogue import SHIPPED
from ground.scope import Scope


def ship_templates(*, scope: Scope) -> None:
    """Add what is missing and bring shipped ones up to date; a template that an operator made is never touched."""
    with scope.transaction(reason="templates shipped"):
        for template in SHIPPED.values():
            fields = asdict(template) | {"is_shipped": True}
            row, made = BotTemplate.objects.get_or_create(name=template.name, defaults=fields)
            changed = row.is_shipped and any(getattr(row, name) != value for name, value in fields.items())
            if not made and changed:
                BotTemplate.objects.filter(id=row.id).update(**fields)
