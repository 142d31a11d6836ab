"""What runs of shadow need while they are played: when one goes on, which turn is being asked, both equities; and a prompt
that is the same client's, whatever the code above says."""

from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

import ground.fields
import ground.http
from ground.tenancy import only_sql

OF_SAME_CLIENT = (
    "ALTER TABLE arena_prompts ADD CONSTRAINT arena_prompts_client_id_key UNIQUE (client_id, id)",
    "ALTER TABLE arena_shadow_runs ADD CONSTRAINT arena_shadow_runs_prompt_of_same_client "
    "FOREIGN KEY (client_id, prompt_id) REFERENCES arena_prompts (client_id, id)",
)
MONEY = {"max_digits": 38, "decimal_places": 18, "null": True}


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("arena", "0005_lists")]

    operations = [
        migrations.AddField("shadowrun", "next_at", models.DateTimeField(
            help_text="Not before that: it waits for turns to come, or for a provider.", null=True)),
        migrations.AddField("shadowturn", "simulated_json", ground.fields.ExactJSONField(
            decoder=ground.http.ExactJSONDecoder, default=list, encoder=ground.http.ExactJSONEncoder,
            help_text="What would have come of it, since the turn before, in words.")),
        migrations.AlterField("shadowturn", "notes_json", ground.fields.ExactJSONField(
            decoder=ground.http.ExactJSONDecoder, default=list, encoder=ground.http.ExactJSONEncoder,
            help_text="How its answer was read.")),
        migrations.AddField("shadowturn", "real_equity", models.DecimalField(
            help_text="The bot's own, at the same prices.", **MONEY)),
        migrations.AddField("shadowturn", "finished_at", models.DateTimeField(
            help_text="Empty: it is being asked.", null=True)),
        AddIndexConcurrently("shadowrun", models.Index(
            condition=models.Q(("status__in", ["wanted", "running"])), fields=["created_at"],
            name="arena_shadow_runs_open")),
        only_sql(*OF_SAME_CLIENT),
    ]  # fmt: skip
