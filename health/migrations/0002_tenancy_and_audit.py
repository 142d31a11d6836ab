"""Composite keys (a bot's rows are its client's), and who may see which row of health's tables."""

from __future__ import annotations

from django.db import migrations

from ground.tenancy import audited, shared_table, tenant_table

OF_THE_SAME_CLIENT = [
    f"ALTER TABLE {table} ADD CONSTRAINT {table}_of_same_client "
    f"FOREIGN KEY (client_id, bot_id) REFERENCES bots (client_id, id) {on_delete}"
    for table, on_delete in (("bot_health_logs", ""), ("health_check_requests", "ON DELETE CASCADE"))
]


class Migration(migrations.Migration):
    dependencies = [("health", "0001_initial"), ("bots", "0002_tenancy_and_audit")]

    operations = [
        migrations.RunSQL(OF_THE_SAME_CLIENT, migrations.RunSQL.noop),
        tenant_table("bot_health_logs", client="SELECT, INSERT"),
        tenant_table("health_check_requests", client="SELECT, INSERT"),
        shared_table("health_settings", client="SELECT"),
        migrations.RunSQL([audited("health_settings", client_column="")], migrations.RunSQL.noop),
    ]
