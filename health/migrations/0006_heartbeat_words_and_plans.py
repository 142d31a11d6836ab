"""A heartbeat's line says what it made of the bot; clients may plan their own bots' heartbeats."""

from __future__ import annotations

from django.db import migrations, models

from ground.tenancy import client_role, only_sql


class Migration(migrations.Migration):
    dependencies = [("health", "0005_transitions_and_tenancy"), ("bots", "0005_errors_and_heartbeat_expiry")]

    operations = [
        migrations.AddField(
            model_name="heartbeatlog",
            name="word",
            field=models.CharField(
                choices=[("running", "running"), ("stopped", "stopped"), ("error", "error")],
                help_text="What it said of the bot, if anything.",
                max_length=16,
                null=True,
            ),
        ),
        migrations.AddConstraint(
            model_name="heartbeatlog",
            constraint=models.CheckConstraint(
                condition=models.Q(("word__in", ["running", "stopped", "error"])), name="bot_heartbeats_word_known"
            ),
        ),
        only_sql(f"GRANT INSERT, UPDATE, DELETE ON bot_heartbeat_plans TO {client_role()}"),
    ]
