"""Each row is its client's, prompts and decisions are their bot's, and nobody asks with another client's key: all enforced
here. Clients read their own rows and, through the services, change some of them; what people decide is audited."""

from __future__ import annotations

from django.db import migrations

from ground.tenancy import audited, client_role, only_sql, shared_table, tenant_table

OF_BOTS = (
    "arena_prompts", "arena_participants", "arena_turns", "history_summaries", "arena_shadow_runs", "arena_shadow_turns",
    "arena_events", "llm_calls", "llm_spend", "arena_halts",
)  # fmt: skip
KEYS = [
    *(
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_of_same_client "
        f"FOREIGN KEY (client_id, bot_id) REFERENCES bots (client_id, id)"
        for table in OF_BOTS
    ),
    "ALTER TABLE arena_prompts ADD CONSTRAINT arena_prompts_bot_id_key UNIQUE (bot_id, id)",
    "ALTER TABLE arena_turns ADD CONSTRAINT arena_turns_bot_id_key UNIQUE (bot_id, id)",
    *(
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_prompt_of_same_bot "
        f"FOREIGN KEY (bot_id, prompt_id) REFERENCES arena_prompts (bot_id, id)"
        for table in ("arena_participants", "arena_turns")
    ),
    "ALTER TABLE arena_turns ADD CONSTRAINT arena_turns_decision_of_same_bot "
    "FOREIGN KEY (bot_id, decision_id) REFERENCES bot_decisions (bot_id, id)",
    "ALTER TABLE arena_shadow_turns ADD CONSTRAINT arena_shadow_turns_of_same_bot "
    "FOREIGN KEY (bot_id, turn_id) REFERENCES arena_turns (bot_id, id)",
]

# A key of another client is refused whatever the code above it does. A test of a provider names no client.
OWN_PROVIDERS = """
CREATE FUNCTION arena_own_providers() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $$
DECLARE
    wanted uuid[] := CASE TG_TABLE_NAME
        WHEN 'arena_participants' THEN ARRAY[(to_jsonb(NEW) ->> 'provider_id')::uuid, (to_jsonb(NEW) ->> 'fallback_id')::uuid]
        ELSE ARRAY[(to_jsonb(NEW) ->> 'provider_id')::uuid] END;
BEGIN
    IF NEW.client_id IS NOT NULL AND EXISTS (
        SELECT 1 FROM llm_providers p
         WHERE p.id = ANY(wanted) AND p.client_id IS DISTINCT FROM NEW.client_id AND NOT (p.client_id IS NULL AND p.is_shared)
    ) THEN
        RAISE EXCEPTION 'A provider belongs to another client, or is not shared.'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_TABLE_NAME || '_provider_is_own';
    END IF;
    RETURN NEW;
END $$
"""
TRIGGERS = [
    "CREATE TRIGGER own_providers BEFORE INSERT OR UPDATE OF provider_id, fallback_id, client_id ON arena_participants "
    "FOR EACH ROW EXECUTE FUNCTION arena_own_providers()",
    "CREATE TRIGGER own_providers BEFORE INSERT OR UPDATE OF provider_id, client_id ON llm_calls "
    "FOR EACH ROW EXECUTE FUNCTION arena_own_providers()",
    "CREATE TRIGGER own_providers BEFORE INSERT OR UPDATE OF provider_id, client_id ON arena_shadow_runs "
    "FOR EACH ROW EXECUTE FUNCTION arena_own_providers()",
]
SHOWN = "id, client_id, name, kind, model, is_shared, is_enabled, retired_at"
OWN = "nullif(current_setting('app.client', true), '')::uuid"


# Clients see the names of their own providers and of shared ones, never a key; and switches that hold for them.
SEE_SHARED = (
    f"GRANT SELECT ({SHOWN}) ON llm_providers TO {client_role()}",
    f"CREATE POLICY own_or_shared ON llm_providers FOR SELECT TO {client_role()} "
    f"USING (client_id = {OWN} OR (client_id IS NULL AND is_shared))",
    f"GRANT SELECT ON arena_halts TO {client_role()}",
    f"CREATE POLICY own_or_all ON arena_halts FOR SELECT TO {client_role()} USING (client_id = {OWN} OR client_id IS NULL)",
)


class Migration(migrations.Migration):
    dependencies = [
        ("arena", "0001_initial"),
        ("bots", "0002_tenancy_and_audit"),
        ("ledger", "0002_tenancy_and_audit"),
        ("clients", "0002_tenancy_and_audit"),
    ]

    operations = [
        migrations.RunSQL([*KEYS, OWN_PROVIDERS, *TRIGGERS], migrations.RunSQL.noop),
        tenant_table("llm_providers", client=None),
        tenant_table("arena_halts", client=None),
        only_sql(*SEE_SHARED),
        tenant_table("llm_budgets", client="SELECT"),
        tenant_table("llm_texts", client="SELECT"),
        tenant_table("llm_calls", client="SELECT"),
        tenant_table("llm_spend", client="SELECT"),
        tenant_table("arena_prompts", client="SELECT, INSERT", operator="SELECT, INSERT"),
        tenant_table("arena_participants", client="SELECT, INSERT, UPDATE"),
        tenant_table("arena_turns", client="SELECT"),
        tenant_table("history_summaries", client="SELECT, INSERT, UPDATE"),
        tenant_table("arena_shadow_runs", client="SELECT, INSERT, UPDATE"),
        tenant_table("arena_shadow_turns", client="SELECT"),
        tenant_table("arena_events", client="SELECT, INSERT"),
        shared_table("arena_markets", client="SELECT"),
        shared_table("arena_price_bars", client="SELECT"),
        shared_table("arena_settings", client="SELECT"),
        shared_table("arena_state", client="SELECT"),
        migrations.RunSQL(
            [
                "INSERT INTO arena_settings (id, exchange, symbols, most_symbols, refresh_s, stale_after_s, turn_interval_s,"
                " turn_timeout_s, most_steps, fee_rate, slippage_bps, maintenance_margin_ratio, funding_rate_8h,"
                " summary_tokens, summary_keep, summary_again_after, halt_after_unreadable, halt_after_refused, is_public,"
                " keep_events_hours, keep_bars_days) VALUES (1, 'binance', '[]', 20, 10, 60, 200, 300, 6, 0.0005, 2, 0.005,"
                " 0, 25000, 15, 10, 10, 20, false, 24, 30)",
                "INSERT INTO arena_state (id, prices_error) VALUES (1, '')",
                audited("llm_providers", client_column="client_id", secret_columns=["api_key"],
                        quiet=["tested_at", "test_message"]),
                audited("llm_budgets", client_column="client_id"),
                audited("arena_prompts", client_column="client_id"),
                audited("arena_participants", client_column="client_id",
                        quiet=["next_turn_at", "last_turn_at", "turns", "forced_at", "forced_by", "unreadable_in_row",
                               "refused_in_row", "peak_equity"]),
                audited("arena_settings", client_column=""),
                audited("arena_halts", client_column="client_id"),
                audited("arena_shadow_runs", client_column="client_id",
                        quiet=["lease_until", "message", "result", "status", "finished_at"]),
            ],
            migrations.RunSQL.noop,
        ),
    ]  # fmt: skip
