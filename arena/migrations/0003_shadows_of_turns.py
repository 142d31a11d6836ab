"""What was asked again of a turn: the foreign key of each turn that moves asks for it."""

from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("arena", "0002_tenancy_and_audit")]

    operations = [
        AddIndexConcurrently("shadowturn", models.Index(fields=["bot", "turn"], name="arena_shadow_turns_of_turn"))
    ]
