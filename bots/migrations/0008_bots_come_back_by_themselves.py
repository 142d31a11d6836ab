"""Bots that are wanted running and failed; since when one is nowhere; deployments whose config was refused."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

from ground.tenancy import audited, tenant_table


class Migration(migrations.Migration):
    dependencies = [("bots", "0007_what_would_change_a_verdict")]

    operations = [
        migrations.AddField(
            model_name="botdeployment",
            name="is_refused",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="It failed because its config was refused, by us or by Hummingbot.",
            ),
        ),
        migrations.AddField(
            model_name="botruntime",
            name="nowhere_since",
            field=models.DateTimeField(
                help_text="Since when it is in none of Hummingbot's lists, look after look; empty: it is in one.",
                null=True,
            ),
        ),
        migrations.CreateModel(
            name="BotRecovery",
            fields=[
                (
                    "bot",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="recovery",
                        serialize=False,
                        to="bots.bot",
                    ),
                ),
                ("client_id", models.UUIDField()),
                (
                    "failures",
                    models.PositiveIntegerField(
                        default=0, help_text="In a row, without a run of five minutes between."
                    ),
                ),
                (
                    "counted_sequence",
                    models.PositiveIntegerField(
                        help_text="The newest of its deployments whose failure was counted.", null=True
                    ),
                ),
                ("next_at", models.DateTimeField(help_text="It is not deployed again before that.", null=True)),
                (
                    "is_planned",
                    models.BooleanField(
                        default=False, help_text="The time was set by a restore run, which brings many back in turn."
                    ),
                ),
                (
                    "quarantined_at",
                    models.DateTimeField(help_text="It is not deployed again by itself since.", null=True),
                ),
                ("reason", models.CharField(blank=True, default="", max_length=500)),
                ("last_failure_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name_plural": "bot recovery",
                "db_table": "bot_recovery",
                "indexes": [
                    models.Index(
                        condition=models.Q(("quarantined_at__isnull", False)),
                        fields=["quarantined_at"],
                        name="bot_recovery_quarantined",
                    )
                ],
            },
        ),
        migrations.RunSQL(
            "ALTER TABLE bot_recovery ADD CONSTRAINT bot_recovery_of_same_client "
            "FOREIGN KEY (client_id, bot_id) REFERENCES bots (client_id, id) ON DELETE CASCADE",
            migrations.RunSQL.noop,
        ),
        tenant_table("bot_recovery"),
        migrations.RunSQL(audited("bot_recovery", client_column="client_id"), migrations.RunSQL.noop),
    ]
