"""A bot's closed positions by when they closed: its timeline asks for them."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0008_late_snapshots")]

    operations = [
        migrations.AddIndex(
            "position",
            models.Index(
                fields=["bot", "-closed_at"], condition=models.Q(("status", "closed")), name="positions_closed"
            ),
        )
    ]
