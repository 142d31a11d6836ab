"""What listeners of the stream are told, as rows written with what they tell of."""

from __future__ import annotations

from django.db import models

from arena.models.providers import words
from arena.rules.statuses import EventKind
from bots.models import Bot
from clients.models import one_of
from ground.fields import ExactJSONField


class TransactionNumber(models.Func):
    """The number of the transaction that writes the row."""

    template = "pg_current_xact_id()::text::bigint"
    output_field = models.BigIntegerField()
    arity = 0


class ArenaEvent(models.Model):
    """One thing that happened. A listener's cursor is (xid, id), read below the oldest transaction still open, so that one
    which commits late is not passed over."""

    id = models.BigAutoField(primary_key=True)
    xid = models.BigIntegerField(db_default=TransactionNumber(), editable=False)
    client_id = models.UUIDField()
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    kind = words(EventKind)
    payload = ExactJSONField(default=dict, help_text="Ids and what changed; small.")
    happened_at = models.DateTimeField()

    class Meta:
        db_table = "arena_events"
        ordering = ["xid", "id"]
        constraints = [one_of("kind", EventKind, "arena_events_kind_known")]
        indexes = [
            models.Index(fields=["xid", "id"], name="arena_events_in_order"),
            models.Index(fields=["client_id", "xid", "id"], name="arena_events_of_client"),
            models.Index(fields=["happened_at"], name="arena_events_old"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
