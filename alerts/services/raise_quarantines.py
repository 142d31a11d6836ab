"""Incidents for bots that their own recovery has left for a person: the bots app writes it down, a sweep tells of it."""

from __future__ import annotations

from datetime import datetime

from alerts.models import Incident
from alerts.rules.words import Severity
from alerts.services.incidents import raise_incidents, resolve_incidents
from alerts.types import Trouble
from bots.models import Bot
from bots.selectors_recovery import bots_quarantined
from ground.scope import Scope

BOT_QUARANTINED = "bot_quarantined"  # its key is the bot's id


def raise_quarantines(*, scope: Scope, now: datetime) -> int:
    """Raise what is new, end what a person has taken out of quarantine; returns how many are new. Safe to run twice."""
    with scope.transaction(reason="quarantines looked at"):
        found = {str(one.bot_id): one for one in bots_quarantined(scope)}
        known = set(Incident.objects.filter(kind=BOT_QUARANTINED, resolved_at=None).values_list("key", flat=True))
        new = [one for key, one in found.items() if key not in known]
        names = dict(Bot.objects.filter(id__in=[one.bot_id for one in new]).values_list("id", "name"))
        troubles = [
            Trouble(
                BOT_QUARANTINED,
                str(one.bot_id),
                f"{names[one.bot_id]} is not started again by itself: {one.reason}"[:300],
                Severity.CRITICAL,
                one.client_id,
                one.bot_id,
                {"failures": one.failures, "reason": one.reason, "quarantined_at": one.at.isoformat()},
            )
            for one in new
        ]
        raise_incidents(scope=scope, troubles=troubles, now=now)
        if known - found.keys():
            resolve_incidents(
                scope=scope, kind=BOT_QUARANTINED, now=now, still_broken=list(found),
                resolution="It is no longer left for a person.",
            )  # fmt: skip
    return len(troubles)
