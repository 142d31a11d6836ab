"""What a bot's older decisions come to, in its own model's words, with what backs each claim."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from arena.models.providers import LlmCall, words
from arena.rules.statuses import SummaryStatus
from bots.models import Bot
from ground.fields import ExactJSONField


class HistorySummary(models.Model):
    """One version. The newest that is done and not cleared is what the bot is shown; older ones stay as rows."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="summaries", db_index=False)
    client_id = models.UUIDField()
    number = models.PositiveIntegerField()
    status = words(SummaryStatus, default=SummaryStatus.WANTED)
    is_forced = models.BooleanField(
        default=False, help_text="A person asked for it; the automatic one goes on as before."
    )
    requested_by = models.CharField(max_length=200)
    summary = models.TextField(blank=True, default="")
    summarized_count = models.PositiveIntegerField(default=0, help_text="Decisions that it stands for.")
    summarized_from = models.DateTimeField(null=True, help_text="Of the first of them.")
    summarized_to = models.DateTimeField(null=True, help_text="Of the last of them.")
    token_count = models.PositiveIntegerField(default=0)
    claims = ExactJSONField(default=list, help_text='[{"text": ..., "decisions": [id, ...], "figures": ...}, ...]')
    refused_claims = ExactJSONField(
        default=list, help_text="What the ledger did not bear out, with why; not shown to the bot."
    )
    call = models.ForeignKey(LlmCall, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    message = models.CharField(max_length=500, blank=True, default="")
    created_at = models.DateTimeField()
    generated_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    cleared_at = models.DateTimeField(null=True, help_text="A person cleared what the bot had learned.")
    lease_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "history_summaries"
        ordering = ["-created_at", "-id"]
        verbose_name_plural = "history summaries"
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=[str(s) for s in SummaryStatus]), name="history_summaries_status_known"
            ),
            models.UniqueConstraint(fields=["bot", "number"], name="history_summaries_number_key"),
            models.UniqueConstraint(
                fields=["bot"], condition=Q(status__in=["wanted", "running"]), name="history_summaries_one_open"
            ),
            models.CheckConstraint(
                condition=~Q(status="done") | Q(generated_at__isnull=False, summarized_count__gt=0),
                name="history_summaries_done_stands_for_some",
            ),
        ]
        indexes = [
            models.Index(fields=["bot", "-number"], condition=Q(status="done"), name="history_summaries_of_bot"),
            models.Index(
                fields=["created_at"], condition=Q(status__in=["wanted", "running"]), name="history_summaries_due"
            ),
        ]

    def __str__(self) -> str:
        return f"summary {self.number}"
