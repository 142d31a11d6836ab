"""Whether a switch is an operator's, and with how much capital a peak was reached."""

from __future__ import annotations

from django.db import migrations, models

from ground.tenancy import audited, only_sql

QUIET = ("next_turn_at", "last_turn_at", "turns", "forced_at", "forced_by", "unreadable_in_row", "refused_in_row",
         "peak_equity", "peak_capital")  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [("arena", "0006_shadows_play")]

    operations = [
        migrations.AddField("halt", "is_operators", models.BooleanField(
            default=False, help_text="An operator pulled it, and only an operator lifts it.")),
        migrations.AddField("participant", "peak_capital", models.DecimalField(
            decimal_places=18, editable=False, help_text="What it had been given at that peak.", max_digits=38, null=True)),
        only_sql(
            "UPDATE arena_halts SET is_operators = true "
            "WHERE kind = 'switch' AND (halted_by LIKE 'operator:%' OR halted_by LIKE 'key:tbo%')",
            "DROP TRIGGER audit ON arena_participants",
            audited("arena_participants", client_column="client_id", quiet=QUIET),
        ),
    ]  # fmt: skip
