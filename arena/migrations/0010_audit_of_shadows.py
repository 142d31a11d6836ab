"""What people do with replays is audited, stopping one and letting it go on too; when its next slice comes is not."""

from __future__ import annotations

from django.db import migrations

from ground.tenancy import audited, only_sql

QUIET = ("lease_until", "next_at", "message", "result", "finished_at")


class Migration(migrations.Migration):
    dependencies = [("arena", "0009_history_of_prices")]

    operations = [
        only_sql(
            "DROP TRIGGER audit ON arena_shadow_runs",
            audited("arena_shadow_runs", client_column="client_id", quiet=QUIET),
        )
    ]
