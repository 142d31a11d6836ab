"""Composite keys (a fact's client is its bot's client, its position and decision are its bot's), and who sees which row."""

from __future__ import annotations

from django.db import migrations

from ground.tenancy import audited, shared_table, tenant_table

TO_ITS_BOT = "FOREIGN KEY (client_id, bot_id) REFERENCES bots (client_id, id)"
# An account is of one currency; so is every amount of its bot.
TO_ITS_ACCOUNT = "FOREIGN KEY (client_id, bot_id, currency) REFERENCES bot_accounts (client_id, bot_id, currency)"
TO_ITS_CONNECTOR = "FOREIGN KEY (client_id, connector_id) REFERENCES connectors (client_id, id)"

KEYS = [
    f"ALTER TABLE bot_accounts ADD CONSTRAINT bot_accounts_of_same_client {TO_ITS_BOT}",
    *(
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_of_same_client {TO_ITS_BOT}"
        for table in ("bot_decisions", "bot_state_snapshots", "bot_trade_hours", "bot_fees", "bot_equity_buckets",
                      "leaderboard_entries", "kept_documents")
    ),
    *(f"ALTER TABLE {table} ADD CONSTRAINT {table}_of_same_account {TO_ITS_ACCOUNT}" for table in ("trades", "positions")),
    *(f"ALTER TABLE {table} ADD CONSTRAINT {table}_of_own_connector {TO_ITS_CONNECTOR}" for table in ("trades", "positions")),
    # Deferrable, because a late execution can have the positions of a book made anew.
    "ALTER TABLE trades ADD CONSTRAINT trades_position_of_same_bot FOREIGN KEY (bot_id, position_id) "
    "REFERENCES positions (bot_id, id) DEFERRABLE INITIALLY IMMEDIATE",
    "ALTER TABLE trades ADD CONSTRAINT trades_decision_of_same_bot FOREIGN KEY (bot_id, decision_id) "
    "REFERENCES bot_decisions (bot_id, id)",
]  # fmt: skip
READ = "SELECT"
NEVER_DELETED = "SELECT, INSERT, UPDATE"


class Migration(migrations.Migration):
    dependencies = [
        ("ledger", "0001_initial"),
        ("bots", "0003_all_time_figures"),
        ("clients", "0002_tenancy_and_audit"),
    ]

    operations = [
        migrations.RunSQL(KEYS, migrations.RunSQL.noop),
        tenant_table("trades", client=READ, operator=NEVER_DELETED),
        tenant_table("positions", client=READ),
        tenant_table("bot_decisions", client=READ, operator=NEVER_DELETED),
        tenant_table("bot_state_snapshots", client=READ),
        tenant_table("bot_accounts", client=NEVER_DELETED, operator=NEVER_DELETED),
        tenant_table("bot_trade_hours", client=READ),
        tenant_table("bot_fees", client=READ),
        tenant_table("bot_equity_buckets", client=READ),
        tenant_table("leaderboard_entries", client=READ),
        tenant_table("kept_documents", client=None),
        shared_table("arena_imports"),
        shared_table("ledger_settings", client=READ),
        shared_table("ledger_state", client=READ),
        migrations.RunSQL(
            [
                audited("bot_accounts", client_column="client_id",
                        quiet=["cash_flow", "balance", "complete_since", "updated_at"]),
                audited("ledger_settings", client_column=""),
            ],
            migrations.RunSQL.noop,
        ),
    ]  # fmt: skip
