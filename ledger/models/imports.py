"""What was imported from old arenas, and what of it has no table yet."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models.functions import Now

from bots.models import Bot
from clients.models import Client, one_of
from ground.encrypted import EncryptedTextField
from ground.fields import ExactJSONField
from ledger.models.columns import words
from ledger.rules.words import ImportStatus


class ArenaImport(models.Model):
    """One run of an import, with its report."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.CharField(max_length=50)
    origin = models.CharField(max_length=500, help_text="The file's name, or the database's address without secrets.")
    digest = models.CharField(max_length=64, blank=True, default="", help_text="What tells the same content again.")
    status = words(ImportStatus, default=ImportStatus.STAGING)
    progress = ExactJSONField(default=dict, help_text="How far it was staged; a second run goes on from there.")
    report = ExactJSONField(default=dict)
    error = models.CharField(max_length=500, blank=True, default="")
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "arena_imports"
        ordering = ["-started_at"]
        constraints = [one_of("status", ImportStatus, "arena_imports_status_known")]

    def __str__(self) -> str:
        return f"{self.origin} ({self.status})"


class KeptDocument(models.Model):
    """A part of an old arena that no table holds yet, word for word: for the arena to come, and for the export."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    bot = models.ForeignKey(
        Bot, on_delete=models.PROTECT, null=True, related_name="+", db_index=False, db_constraint=False
    )
    source = models.CharField(max_length=50)
    kind = models.CharField(max_length=50, help_text="bot, user, provider, settings, market_data, ...")
    key = models.CharField(max_length=200, blank=True, default="", help_text="Whose it is there, or its key.")
    body = models.TextField(help_text="JSON as it was written, without secrets.")
    secret = EncryptedTextField(null=True, blank=True, editable=False)
    rank = models.BigIntegerField(default=0, help_text="Its place in the old system's list.")
    imported_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "kept_documents"
        constraints = [
            models.UniqueConstraint(
                fields=["source", "kind", "key", "client", "bot"], nulls_distinct=False, name="kept_documents_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}".strip()
