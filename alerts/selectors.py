"""Reads of incidents."""

from __future__ import annotations

from django.db.models import Case, IntegerField, QuerySet, Value, When

from alerts.models import Incident
from alerts.rules.words import Severity

_WORST_FIRST = Case(
    *(When(severity=word, then=Value(rank)) for rank, word in enumerate(reversed(Severity))),
    output_field=IntegerField(),
)


def open_incidents() -> QuerySet[Incident]:
    """Those not resolved yet, the worst and newest first. Run it inside a scope, or where an operator looks."""
    return (
        Incident.objects.filter(resolved_at=None)
        .select_related("client", "bot")
        .order_by(_WORST_FIRST, "-opened_at", "-id")
    )
