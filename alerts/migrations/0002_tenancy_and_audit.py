"""A bot's incidents are its client's; clients read their own; what people do to an incident is audited."""

from __future__ import annotations

from django.db import migrations

from ground.tenancy import audited, tenant_table


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_initial"), ("bots", "0002_tenancy_and_audit")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE incidents ADD CONSTRAINT incidents_of_same_client "
            "FOREIGN KEY (client_id, bot_id) REFERENCES bots (client_id, id)",
            migrations.RunSQL.noop,
        ),
        tenant_table("incidents", client="SELECT"),
        # A rule that sees the same again all night leaves no entry.
        migrations.RunSQL(
            audited(
                "incidents",
                client_column="client_id",
                quiet=["last_seen_at", "times_seen", "title", "severity", "details"],
            ),
            migrations.RunSQL.noop,
        ),
    ]
