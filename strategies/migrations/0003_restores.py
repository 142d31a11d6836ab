"""Restore runs and their steps: one open run at a time, a step's bot is its client's, clients read their own steps."""

from __future__ import annotations

import uuid

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

from ground.tenancy import audited, shared_table, tenant_table


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0007_what_would_change_a_verdict"),
        ("strategies", "0002_tenancy_and_audit"),
    ]

    operations = [
        migrations.CreateModel(
            name="RestoreRun",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            (
                                "boot",
                                "boot",
                            ),
                            (
                                "hummingbot_returned",
                                "hummingbot_returned",
                            ),
                            ("several_down", "several_down"),
                            (
                                "operator",
                                "operator",
                            ),
                        ],
                        max_length=32,
                    ),
                ),
                ("requested_by", models.CharField(max_length=200)),
                ("is_dry_run", models.BooleanField(default=False, help_text="Only shows what it would do.")),
                (
                    "spacing_s",
                    models.DecimalField(
                        decimal_places=3, help_text="Least seconds between two new deployments.", max_digits=8
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            (
                                "planned",
                                "planned",
                            ),
                            (
                                "running",
                                "running",
                            ),
                            ("done", "done"),
                            (
                                "stopped",
                                "stopped",
                            ),
                        ],
                        default="planned",
                        max_length=16,
                    ),
                ),
                ("message", models.CharField(blank=True, default="", max_length=500)),
                ("created_at", models.DateTimeField()),
                ("started_at", models.DateTimeField(help_text="When its plan was made.", null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("lease_until", models.DateTimeField(help_text="Somebody works on it until then.", null=True)),
            ],
            options={
                "verbose_name": "restore",
                "db_table": "strategy_restores",
                "ordering": ["-created_at", "-id"],
                "indexes": [models.Index(fields=["-created_at", "-id"], name="strategy_restores_page")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("reason__in", ["boot", "hummingbot_returned", "several_down", "operator"])),
                        name="strategy_restores_reason_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["planned", "running", "done", "stopped"])),
                        name="strategy_restores_status_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("spacing_s__gte", 0)), name="strategy_restores_spacing_not_negative"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("finished_at", None), ("status__in", ["planned", "running"])),
                            models.Q(
                                ("finished_at__isnull", False),
                                models.Q(("status__in", ["planned", "running"]), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="strategy_restores_finished_when_over",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("is_dry_run", False), ("status__in", ["planned", "running"])),
                        fields=("is_dry_run",),
                        name="strategy_restores_one_open",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RestoreWatch",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                (
                    "away_since",
                    models.DateTimeField(help_text="Since when Hummingbot gives no readable answer.", null=True),
                ),
                ("looked_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name_plural": "restore watch",
                "db_table": "strategy_restore_watch",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="strategy_restore_watch_one_row")
                ],
            },
        ),
        migrations.CreateModel(
            name="RestoreStep",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("client_id", models.UUIDField()),
                ("position", models.PositiveIntegerField(help_text="Its place in the plan, from 1.")),
                ("exchange", models.CharField(max_length=64)),
                ("symbol", models.CharField(help_text="BASE/QUOTE", max_length=40)),
                ("symbol_shown", models.CharField(max_length=40)),
                ("strategy_type", models.CharField(max_length=64)),
                (
                    "action",
                    models.CharField(
                        choices=[
                            (
                                "deploy",
                                "deploy",
                            ),
                            (
                                "watch",
                                "watch",
                            ),
                            (
                                "adopt",
                                "adopt",
                            ),
                            (
                                "skip",
                                "skip",
                            ),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            (
                                "pending",
                                "pending",
                            ),
                            (
                                "released",
                                "released",
                            ),
                            (
                                "restored",
                                "restored",
                            ),
                            (
                                "quarantined",
                                "quarantined",
                            ),
                            (
                                "stopped",
                                "stopped",
                            ),
                            (
                                "unfinished",
                                "unfinished",
                            ),
                        ],
                        default="pending",
                        max_length=16,
                    ),
                ),
                (
                    "attempts",
                    models.PositiveIntegerField(
                        default=0, help_text="Deployments that were opened for it in this run."
                    ),
                ),
                ("due_at", models.DateTimeField(help_text="Its turn.")),
                (
                    "carried",
                    models.JSONField(help_text="Positions and orders that were open when its turn came.", null=True),
                ),
                ("carried_at", models.DateTimeField(null=True)),
                ("settled_at", models.DateTimeField(null=True)),
                ("message", models.CharField(blank=True, default="", max_length=500)),
                (
                    "bot",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="bots.bot"
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="steps",
                        to="strategies.restorerun",
                    ),
                ),
            ],
            options={
                "verbose_name": "restore step",
                "db_table": "strategy_restore_steps",
                "ordering": ["run", "position"],
                "indexes": [
                    models.Index(fields=["client_id", "run"], name="strategy_restore_steps_of"),
                    models.Index(fields=["bot"], name="strategy_restore_steps_bot"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("action__in", ["deploy", "watch", "adopt", "skip"])),
                        name="strategy_restore_steps_action_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("outcome__in", ["pending", "released", "restored", "quarantined", "stopped", "unfinished"])
                        ),
                        name="strategy_restore_steps_outcome_known",
                    ),
                    models.UniqueConstraint(fields=("run", "bot"), name="strategy_restore_steps_one_each"),
                    models.UniqueConstraint(fields=("run", "position"), name="strategy_restore_steps_position_key"),
                ],
            },
        ),
        migrations.RunSQL(
            "ALTER TABLE strategy_restore_steps ADD CONSTRAINT strategy_restore_steps_of_same_client "
            "FOREIGN KEY (client_id, bot_id) REFERENCES bots (client_id, id)",
            migrations.RunSQL.noop,
        ),
        shared_table("strategy_restores", client="SELECT"),
        shared_table("strategy_restore_watch"),
        tenant_table("strategy_restore_steps", client="SELECT"),
        migrations.RunSQL(
            audited("strategy_restores", client_column="", quiet=["lease_until", "message"]),
            migrations.RunSQL.noop,
        ),
    ]
