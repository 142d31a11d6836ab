"""What most likely made a verdict so, with which key it was made, and what the account is out of: outages are told by them."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bots", "0005_errors_and_heartbeat_expiry")]

    operations = [
        migrations.AddField(
            model_name="bothealth",
            name="cause",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="What most likely made the verdict so: balance, key, exchange or runtime; empty: not known.",
                max_length=32,
            ),
        ),
        migrations.AddField(
            model_name="bothealth",
            name="key_fingerprint",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Of the key it was last checked with; gives nothing away.",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="bothealth",
            name="shortage",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The currencies its account was out of when it was last read; empty: none.",
                max_length=100,
            ),
        ),
    ]
