"""Composite keys (a bot's rows are its client's), and who may see which row of the bots' tables."""

from __future__ import annotations

from django.db import migrations

from ground.tenancy import audited, shared_table, tenant_table

OF_THE_SAME_CLIENT = [
    "ALTER TABLE bots ADD CONSTRAINT bots_connector_of_same_client "
    "FOREIGN KEY (client_id, connector_id) REFERENCES connectors (client_id, id)",
    *(
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_of_same_client "
        "FOREIGN KEY (client_id, bot_id) REFERENCES bots (client_id, id) ON DELETE CASCADE"
        for table in ("bot_runtime", "bot_health", "bot_stats", "bot_deployments")
    ),
    "ALTER TABLE hummingbot_credentials ADD CONSTRAINT hummingbot_credentials_of_same_client "
    "FOREIGN KEY (client_id, connector_id) REFERENCES connectors (client_id, id) ON DELETE CASCADE",
]


class Migration(migrations.Migration):
    dependencies = [("bots", "0001_initial"), ("clients", "0002_tenancy_and_audit")]

    operations = [
        migrations.RunSQL(OF_THE_SAME_CLIENT, migrations.RunSQL.noop),
        tenant_table("bots"),
        tenant_table("bot_runtime"),
        tenant_table("bot_health"),
        tenant_table("bot_stats"),
        tenant_table("bot_deployments"),
        tenant_table("hummingbot_credentials", client="SELECT"),
        shared_table("bot_templates", client="SELECT"),
        shared_table("hummingbot_state", client="SELECT"),
        shared_table("bots_settings", client="SELECT"),
        migrations.RunSQL(
            [
                "CREATE TRIGGER touch BEFORE UPDATE ON bots FOR EACH ROW EXECUTE FUNCTION bridge_touch()",
                "CREATE TRIGGER touch BEFORE UPDATE ON bot_templates FOR EACH ROW EXECUTE FUNCTION bridge_touch()",
                audited("bots", client_column="client_id", quiet=["updated_at"]),
                audited("bot_templates", client_column="", quiet=["updated_at"]),
                audited("bots_settings", client_column=""),
            ],
            migrations.RunSQL.noop,
        ),
    ]
