"""Of each instance that nobody defined: what to do about it."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0011_deployments_are_audited"),
    ]

    operations = [
        migrations.AddField(
            model_name="unmanagedinstance",
            name="advice",
            field=models.CharField(blank=True, default="", help_text="What to do about it.", max_length=500),
        ),
    ]
