"""Tables of drift: where Hummingbot holds something else than is wanted, and when each bot was last looked at for it."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from bots.rules.drift import Changed, DriftStatus, Resolution
from clients.models import Client, one_of


class BotDrift(models.Model):
    """One field of a bot that differs between the wish and Hummingbot, and what somebody chose to do about it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    bot = models.ForeignKey("bots.Bot", on_delete=models.CASCADE, related_name="drifts", db_index=False)
    field = models.CharField(max_length=200, help_text="status, or config. and a key of the controller's config.")
    ours = models.TextField(help_text="What is wanted, as JSON; empty: nothing.")
    theirs = models.TextField(help_text="What Hummingbot holds, as JSON; empty: nothing.")
    changed = models.CharField(
        max_length=16, choices=[(c, c) for c in Changed], help_text="Where it was changed since it was deployed."
    )
    status = models.CharField(max_length=16, choices=[(s, s) for s in DriftStatus], default=DriftStatus.OPEN)
    found_at = models.DateTimeField(help_text="Since when the two differ like this, as far as it was looked.")
    ignore_until = models.DateTimeField(null=True, help_text="Until then exactly this difference is accepted.")
    chosen_by = models.CharField(max_length=200, blank=True, default="")
    chosen_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=300, blank=True, default="", help_text="Why it was chosen.")
    message = models.CharField(max_length=500, blank=True, default="", help_text="Why the choice is not yet done.")
    resolution = models.CharField(max_length=16, choices=[(r, r) for r in Resolution], blank=True, default="")
    closed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "bot_drifts"
        ordering = ["-found_at", "id"]
        constraints = [
            one_of("status", DriftStatus, "bot_drifts_status_known"),
            one_of("changed", Changed, "bot_drifts_changed_known"),
            models.CheckConstraint(
                condition=Q(resolution="") | Q(resolution__in=[str(r) for r in Resolution]),
                name="bot_drifts_resolution_known",
            ),
            models.CheckConstraint(
                condition=Q(status="closed", closed_at__isnull=False) & ~Q(resolution="")
                | ~Q(status="closed") & Q(closed_at=None, resolution=""),
                name="bot_drifts_closed_says_how",
            ),
            models.CheckConstraint(
                condition=~Q(status="ignored") | Q(ignore_until__isnull=False), name="bot_drifts_ignored_until"
            ),
            models.UniqueConstraint(fields=["bot", "field"], condition=~Q(status="closed"), name="bot_drifts_one_open"),
        ]
        indexes = [models.Index(fields=["-found_at", "id"], name="bot_drifts_newest")]

    def __str__(self) -> str:
        return self.field


class BotDriftLook(models.Model):
    """When a running bot's config is next read from Hummingbot, and what came of the last time. Unaudited."""

    bot = models.OneToOneField("bots.Bot", on_delete=models.CASCADE, primary_key=True, related_name="drift_look")
    client_id = models.UUIDField()
    due_at = models.DateTimeField(db_default=Now(), help_text="Moved on by whoever looks: their claim to it.")
    looked_at = models.DateTimeField(null=True, help_text="When its config was last read.")
    error = models.CharField(max_length=500, blank=True, default="", help_text="Why it could not be.")

    class Meta:
        db_table = "bot_drift_looks"
        indexes = [models.Index(fields=["due_at"], name="bot_drift_looks_due")]

    def __str__(self) -> str:
        return f"look at {self.bot_id}"
