"""No migration locks a large table for long: the product goes on trading, recording and answering while it deploys."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from tests.project.locking import long_locks

# Those that grow with every trade, check, heartbeat, decision or change.
LARGE = frozenset(
    {
        "trades", "positions", "bot_decisions", "bot_state_snapshots", "bot_equity_buckets", "bot_trade_hours",
        "bot_health_logs", "bot_health_transitions", "bot_heartbeats", "audit_log", "alert_deliveries", "incidents",
    }
)  # fmt: skip
# The last migrations of the time in which the tables came to be: they made them, and no installation held much yet. Never
# to be moved on for convenience: build indexes with AddIndexConcurrently, and validate constraints in a migration of
# their own.
MADE_UNTIL = {"alerts": 7, "bots": 7, "clients": 2, "health": 8, "ledger": 11}


def test_no_migration_locks_a_large_table_for_long(database: None) -> None:
    loader = MigrationLoader(connection)
    ours = {config.label for config in apps.get_app_configs() if Path(config.path).parent == settings.BASE_DIR}
    refused: dict[tuple[str, str], list[str]] = {}
    for key in sorted(key for key in loader.disk_migrations if key[0] in ours):
        if int(key[1][:4]) <= MADE_UNTIL.get(key[0], 0):
            continue
        statements = loader.collect_sql([(loader.graph.nodes[key], False)])
        if found := list(long_locks(statements, large=LARGE)):
            refused[key] = found
    assert refused == {}


def test_large_tables_are_tables_of_ours() -> None:
    assert {model._meta.db_table for model in apps.get_models()} >= LARGE


@pytest.mark.parametrize(
    "statement",
    [
        'CREATE INDEX "a" ON "trades" ("bot_id")',
        "CREATE UNIQUE INDEX a ON trades (bot_id) WHERE pnl > 0",
        'ALTER TABLE "trades" ADD CONSTRAINT "a" CHECK (price > 0)',
        "ALTER TABLE trades ADD CONSTRAINT a FOREIGN KEY (bot_id) REFERENCES bots (id)",
        'ALTER TABLE "trades" ALTER COLUMN "note" TYPE text USING "note"::text',
        'ALTER TABLE "trades" ALTER COLUMN "note" SET NOT NULL',
        'ALTER TABLE "trades" ADD COLUMN "key" uuid DEFAULT gen_random_uuid() NOT NULL',
        "UPDATE trades SET note = ''",
        "DELETE FROM trades",
        "VACUUM FULL trades",
        "LOCK TABLE trades",
    ],
)
def test_a_statement_that_locks_for_long_is_refused(statement: str) -> None:
    assert list(long_locks([statement], large={"trades"}))
    assert not list(long_locks([statement], large={"bots"}))
    assert not list(long_locks(['CREATE TABLE "trades" ("id" uuid)', statement], large={"trades"}))


@pytest.mark.parametrize(
    "statement",
    [
        'CREATE INDEX CONCURRENTLY "a" ON "trades" ("bot_id")',
        'ALTER TABLE "trades" ADD CONSTRAINT "a" CHECK (price > 0) NOT VALID',
        'ALTER TABLE "trades" VALIDATE CONSTRAINT "a"',
        'ALTER TABLE "trades" ADD CONSTRAINT "a" UNIQUE USING INDEX "b"',
        'ALTER TABLE "trades" ADD COLUMN "note" varchar(300) DEFAULT \'\' NOT NULL',
        'ALTER TABLE "trades" ADD COLUMN "seen_at" timestamptz NULL',
        'ALTER TABLE "trades" DROP COLUMN "note"',
        "CREATE TRIGGER touch BEFORE UPDATE ON trades FOR EACH ROW EXECUTE FUNCTION bridge_touch()",
        'CREATE INDEX "a" ON "bots" ("id")',
    ],
)
def test_a_statement_that_is_quick_is_let_through(statement: str) -> None:
    assert list(long_locks([statement], large={"trades"})) == []
