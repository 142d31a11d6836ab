"""The newest turns and model calls of all bots, which the admin's lists begin with."""

from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("arena", "0004_keys_of_retired_clients")]

    operations = [
        AddIndexConcurrently("llmcall", models.Index(fields=["-asked_at", "-id"], name="llm_calls_newest")),
        AddIndexConcurrently("arenaturn", models.Index(fields=["-created_at", "-id"], name="arena_turns_newest")),
    ]
