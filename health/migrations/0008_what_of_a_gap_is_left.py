"""A gap remembers what of it was read, so that a long one is read a few pages at a time."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("health", "0007_what_the_watcher_knows_of_itself")]

    operations = [
        migrations.AddField(
            model_name="tradegap",
            name="rest_from_at",
            field=models.DateTimeField(help_text="What of it is left to read; empty: all.", null=True),
        ),
        migrations.AddField(model_name="tradegap", name="rest_to_at", field=models.DateTimeField(null=True)),
        migrations.AlterField(
            model_name="tradegap",
            name="attempts",
            field=models.PositiveIntegerField(default=0, help_text="In a row that read nothing."),
        ),
    ]
