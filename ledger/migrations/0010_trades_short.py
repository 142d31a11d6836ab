"""A bot's trades that went SHORT, which are few or none: those of spot are all LONG."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0009_positions_closed")]

    operations = [
        migrations.AddIndex(
            "trade",
            models.Index(
                fields=["bot", "-executed_at", "-id"], condition=models.Q(("action", "SHORT")), name="trades_short"
            ),
        )
    ]
