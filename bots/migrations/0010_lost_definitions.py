"""Bots in Hummingbot that nobody defined, and looks at all that it knows. Operators' tables: no client sees them."""

from __future__ import annotations

import uuid

import django.db.models.functions.datetime
from django.db import migrations, models

import ground.fields
import ground.http
from ground.tenancy import shared_table


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0009_drift"),
    ]

    operations = [
        migrations.CreateModel(
            name="UnmanagedInstance",
            fields=[
                ("instance_name", models.CharField(max_length=200, primary_key=True, serialize=False)),
                (
                    "is_ours",
                    models.BooleanField(help_text="Its name says that this bridge, or one like it, deployed it."),
                ),
                ("has_container", models.BooleanField(help_text="Docker runs a container of this name.")),
                (
                    "status",
                    models.CharField(blank=True, default="", help_text="Hummingbot's own word for it.", max_length=32),
                ),
                ("image", models.CharField(blank=True, default="", max_length=200)),
                ("first_seen_at", models.DateTimeField()),
                ("last_seen_at", models.DateTimeField()),
            ],
            options={
                "db_table": "unmanaged_instances",
                "ordering": ["-first_seen_at", "instance_name"],
            },
        ),
        migrations.CreateModel(
            name="RecoverySurvey",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("requested_by", models.CharField(max_length=200)),
                ("requested_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("taken_at", models.DateTimeField(null=True)),
                (
                    "error",
                    models.CharField(blank=True, default="", help_text="Why it could not be taken.", max_length=500),
                ),
                (
                    "found",
                    ground.fields.ExactJSONField(
                        decoder=ground.http.ExactJSONDecoder,
                        default=dict,
                        encoder=ground.http.ExactJSONEncoder,
                        help_text="The instances of each bot, as Hummingbot showed them.",
                    ),
                ),
                (
                    "report",
                    ground.fields.ExactJSONField(
                        decoder=ground.http.ExactJSONDecoder,
                        default=list,
                        encoder=ground.http.ExactJSONEncoder,
                        help_text="What was done, by whom, when, and where each field came from.",
                    ),
                ),
            ],
            options={
                "db_table": "recovery_surveys",
                "ordering": ["-requested_at", "id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("error", ""), ("taken_at", None)),
                        fields=["requested_at"],
                        name="surveys_waiting",
                    )
                ],
            },
        ),
        shared_table("unmanaged_instances"),
        shared_table("recovery_surveys"),
    ]
