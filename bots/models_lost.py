"""Tables of bots that nobody defined: what runs in Hummingbot unmanaged, and looks at all that it knows."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ground.fields import ExactJSONField


class UnmanagedInstance(models.Model):
    """A bot that is up in Hummingbot and is no deployment of any definition. Gone from here once it is gone there."""

    instance_name = models.CharField(primary_key=True, max_length=200)
    is_ours = models.BooleanField(help_text="Its name says that this bridge, or one like it, deployed it.")
    has_container = models.BooleanField(help_text="Docker runs a container of this name.")
    status = models.CharField(max_length=32, blank=True, default="", help_text="Hummingbot's own word for it.")
    image = models.CharField(max_length=200, blank=True, default="")
    advice = models.CharField(max_length=500, blank=True, default="", help_text="What to do about it.")
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    class Meta:
        db_table = "unmanaged_instances"
        ordering = ["-first_seen_at", "instance_name"]

    def __str__(self) -> str:
        return self.instance_name


class RecoverySurvey(models.Model):
    """One look at everything Hummingbot knows, asked for by an operator and taken by a worker, and what was done with it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    requested_by = models.CharField(max_length=200)
    requested_at = models.DateTimeField(db_default=Now())
    taken_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True, default="", help_text="Why it could not be taken.")
    found = ExactJSONField(default=dict, help_text="The instances of each bot, as Hummingbot showed them.")
    report = ExactJSONField(default=list, help_text="What was done, by whom, when, and where each field came from.")

    class Meta:
        db_table = "recovery_surveys"
        ordering = ["-requested_at", "id"]
        indexes = [models.Index(fields=["requested_at"], condition=Q(taken_at=None, error=""), name="surveys_waiting")]

    def __str__(self) -> str:
        return f"look by {self.requested_by}"
