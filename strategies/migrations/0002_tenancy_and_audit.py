"""A strategy's bot is its client's; clients read their own rows and, through the services, change them; all is audited."""

from __future__ import annotations

from django.db import migrations

from ground.tenancy import audited, tenant_table

KEYS = [
    f"ALTER TABLE {table} ADD CONSTRAINT {table}_of_same_client FOREIGN KEY (client_id, bot_id) REFERENCES bots (client_id, id)"
    for table in ("active_strategies", "strategy_history", "strategy_versions")
]


class Migration(migrations.Migration):
    dependencies = [("strategies", "0001_initial"), ("bots", "0002_tenancy_and_audit")]

    operations = [
        migrations.RunSQL(KEYS, migrations.RunSQL.noop),
        tenant_table("active_strategies"),
        tenant_table("strategy_history", client="SELECT, INSERT", operator="SELECT, INSERT, UPDATE"),
        tenant_table("strategy_versions", client="SELECT, INSERT", operator="SELECT, INSERT"),
        migrations.RunSQL(
            [
                audited("active_strategies", client_column="client_id", quiet=["last_active"]),
                audited("strategy_history", client_column="client_id", quiet=["settled_at"]),
                audited("strategy_versions", client_column="client_id"),
            ],
            migrations.RunSQL.noop,
        ),
    ]
