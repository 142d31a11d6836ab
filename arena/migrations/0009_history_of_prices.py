"""When the bars from before the arena was there were asked for."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("arena", "0008_several_steps")]

    operations = [
        migrations.AddField("arenamarket", "history_at", models.DateTimeField(
            help_text="When bars from before were asked for; empty: not yet.", null=True)),
        migrations.AlterField("pricebar", "prices", models.PositiveIntegerField(
            help_text="How many were seen; 0: the exchange's own bar.")),
    ]  # fmt: skip
