"""How often each bot trades, as it was learned from its own trades."""

from __future__ import annotations

from django.db import models

from bots.models import Bot


class BotCadence(models.Model):
    """What was learned of the gaps between a bot's trades; ``health/rules/cadence.py`` says how. Made anew, unaudited."""

    bot = models.OneToOneField(Bot, on_delete=models.CASCADE, primary_key=True, related_name="cadence")
    client_id = models.UUIDField()
    learned_at = models.DateTimeField()
    since_at = models.DateTimeField(null=True, help_text="The first trade that was looked at.")
    trades = models.PositiveIntegerField(default=0)
    is_enough = models.BooleanField(default=False, help_text="Else the fixed limits hold.")
    note = models.CharField(max_length=300, help_text="One sentence: what was learned, or what is missing.")
    longest_gap_s = models.PositiveIntegerField(null=True, help_text="Of the last seven days.")
    profile = models.JSONField(default=dict, help_text="The learned numbers, as cadence.py reads them.")

    class Meta:
        db_table = "bot_cadences"

    def __str__(self) -> str:
        return self.note
