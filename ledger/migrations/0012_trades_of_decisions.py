"""The trades of a decision: its page asks for them, and so does the foreign key of each decision that moves."""

from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("ledger", "0011_equity_in_turn")]

    operations = [
        AddIndexConcurrently(
            "trade",
            models.Index(
                fields=["bot", "decision"],
                condition=models.Q(("decision__isnull", False)),
                name="trades_of_decision",
            ),
        )
    ]
