"""Equity of all bots in one interval after another, from the index alone: sums over a thousand bots ask for it."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0004_trades_stand_in_the_ledger"),
        ("ledger", "0010_trades_short"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="equitybucket",
            name="bot_equity_buckets_recent",
        ),
        migrations.AddIndex(
            model_name="equitybucket",
            index=models.Index(
                fields=["span", "start_at"], include=("bot", "last_value", "last_at"), name="bot_equity_buckets_in_turn"
            ),
        ),
    ]
