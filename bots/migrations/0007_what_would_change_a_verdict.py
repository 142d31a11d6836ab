"""What would change a verdict stands beside it."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bots", "0006_why_a_verdict_is_so")]

    operations = [
        migrations.AddField(
            model_name="bothealth",
            name="changes_when",
            field=models.CharField(
                blank=True, db_default="", default="", help_text="What would change the verdict.", max_length=500
            ),
        ),
        migrations.AlterField(
            model_name="bothealth",
            name="cause",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="What most likely made the verdict so: balance, key, exchange, runtime or bridge; empty: not known.",
                max_length=32,
            ),
        ),
    ]
