"""Where an import of an old arena is put while it is read: tables that no figure is made from, one import at a time.

They are unlogged: a crash of the database empties them all together, and the import begins anew.
"""

from __future__ import annotations

from django.db import migrations

MONEY = "numeric(38,18)"
STAGING = [
    "CREATE UNLOGGED TABLE arena_staging_state (digest text NOT NULL, source text NOT NULL, items bigint NOT NULL)",
    "CREATE UNLOGGED TABLE arena_staging_fields (seq bigint NOT NULL, section text NOT NULL, bot integer, index integer, "
    "key text NOT NULL, raw text NOT NULL, secret text NOT NULL)",
    "CREATE UNLOGGED TABLE arena_staging_orders (bot integer NOT NULL, index integer NOT NULL, path text, "
    "source_id text NOT NULL, symbol text NOT NULL, trade_type text NOT NULL, action text NOT NULL, "
    f"price {MONEY} NOT NULL, entry_price {MONEY}, size {MONEY} NOT NULL, leverage numeric(10,4) NOT NULL, "
    f"quantity {MONEY}, pnl {MONEY}, fee {MONEY}, at_us bigint NOT NULL, position_ref text, extra jsonb)",
    "CREATE UNLOGGED TABLE arena_staging_positions (bot integer NOT NULL, index integer NOT NULL, path text, "
    f"source_id text NOT NULL, symbol text NOT NULL, action text NOT NULL, entry_price {MONEY} NOT NULL, "
    f"size {MONEY} NOT NULL, leverage numeric(10,4) NOT NULL, quantity {MONEY} NOT NULL, unrealized_pnl {MONEY}, "
    f"stop_loss {MONEY}, take_profit {MONEY}, liquidation_price {MONEY}, opened_us bigint, extra jsonb)",
    "CREATE UNLOGGED TABLE arena_staging_logs (bot integer NOT NULL, index integer NOT NULL, path text, "
    "source_id text NOT NULL, at_us bigint NOT NULL, prompt text NOT NULL, decisions jsonb NOT NULL, notes jsonb NOT NULL, "
    "execution_success boolean NOT NULL, extra jsonb)",
    "CREATE UNLOGGED TABLE arena_staging_snapshots (index integer NOT NULL, bot_id text NOT NULL, at_us bigint NOT NULL, "
    f"balance {MONEY}, realized_pnl {MONEY}, total_value {MONEY}, trade_count bigint, win_rate {MONEY}, extra jsonb)",
    "CREATE UNLOGGED TABLE arena_staging_refusals (seq bigint GENERATED ALWAYS AS IDENTITY, bot integer, section text NOT "
    "NULL, path text NOT NULL, reason text NOT NULL)",
]
# ledger.rules.ids.fact_id for the database: ``said`` are the parts, joined by the unit separator. One expression, so that
# the planner can put it in place; the bits set are those of version 8 and of the variant.
FACT_ID = """
CREATE FUNCTION bridge_fact_id(at_us bigint, said text) RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT encode(substring(int8send(greatest(at_us / 1000, 0)) FROM 3) || set_bit(set_bit(set_bit(set_bit(set_bit(set_bit(
           substring(sha256(convert_to(said, 'UTF8')) FOR 10), 7, 1), 6, 0), 5, 0), 4, 0), 23, 1), 22, 0), 'hex')::uuid
$$
"""
TABLES = ("state", "fields", "orders", "positions", "logs", "snapshots", "refusals")


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_figures_by_trigger")]

    operations = [
        migrations.RunSQL(STAGING, [f"DROP TABLE arena_staging_{table}" for table in TABLES]),
        migrations.RunSQL([FACT_ID], ["DROP FUNCTION bridge_fact_id(bigint, text)"]),
    ]
