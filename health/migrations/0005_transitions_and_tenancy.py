"""Each change of a verdict is a row of its own, whoever makes it; who may see which row of health's tables."""

from __future__ import annotations

from django.db import migrations

from ground.tenancy import audited, shared_table, tenant_table

# A check writes its evidence along with the verdict and moves checked_at; who else changes the verdict has none.
TRANSITIONS = """
CREATE FUNCTION bridge_note_verdict() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    INSERT INTO bot_health_transitions (bot_id, client_id, at, from_status, to_status, is_planned, reason, evidence, actor)
    SELECT NEW.bot_id, NEW.client_id, NEW.status_updated_at, CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status,
           b.desired_status <> 'running' AND NEW.status IN ('stopped', 'unknown'), NEW.message,
           CASE WHEN TG_OP = 'UPDATE' AND OLD.checked_at IS DISTINCT FROM NEW.checked_at THEN NEW.evidence ELSE '[]' END,
           left(coalesce(nullif(current_setting('app.actor', true), ''), 'database:' || session_user), 200)
      FROM bots b WHERE b.id = NEW.bot_id;
    RETURN NULL;
END $$;
CREATE TRIGGER note_verdict AFTER UPDATE OF status ON bot_health FOR EACH ROW
    WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION bridge_note_verdict();
CREATE TRIGGER note_first_verdict AFTER INSERT ON bot_health FOR EACH ROW EXECUTE FUNCTION bridge_note_verdict();
INSERT INTO bot_health_transitions (bot_id, client_id, at, from_status, to_status, is_planned, reason, evidence, actor)
SELECT h.bot_id, h.client_id, h.status_updated_at, NULL, h.status,
       b.desired_status <> 'running' AND h.status IN ('stopped', 'unknown'), h.message, h.evidence, 'migration'
  FROM bot_health h JOIN bots b ON b.id = h.bot_id;
"""
UNDO = """
DROP TRIGGER note_verdict ON bot_health; DROP TRIGGER note_first_verdict ON bot_health;
DROP FUNCTION bridge_note_verdict();
"""
OF_THE_SAME_CLIENT = [
    f"ALTER TABLE {table} ADD CONSTRAINT {table}_of_same_client "
    f"FOREIGN KEY (client_id, bot_id) REFERENCES bots (client_id, id) {on_delete}"
    for table, on_delete in (
        ("bot_health_transitions", ""),
        ("bot_uptime_days", ""),
        ("bot_cadences", "ON DELETE CASCADE"),
        ("bot_heartbeat_plans", "ON DELETE CASCADE"),
        ("bot_heartbeats", "ON DELETE CASCADE"),
        ("trade_gaps", "ON DELETE CASCADE"),
    )
]


class Migration(migrations.Migration):
    dependencies = [("health", "0004_evidence_circuits_heartbeats")]

    operations = [
        migrations.RunSQL(OF_THE_SAME_CLIENT, migrations.RunSQL.noop),
        tenant_table("bot_health_transitions", client="SELECT, INSERT"),
        tenant_table("bot_uptime_days", client="SELECT"),
        tenant_table("bot_cadences", client="SELECT"),
        tenant_table("bot_heartbeat_plans", client="SELECT"),
        tenant_table("bot_heartbeats", client="SELECT, INSERT"),
        tenant_table("trade_gaps", client=None),
        shared_table("exchange_circuits"),
        shared_table("health_rounds"),
        shared_table("health_state"),
        migrations.RunSQL(TRANSITIONS, UNDO),
        migrations.RunSQL([audited("bot_heartbeat_plans", client_column="client_id")], migrations.RunSQL.noop),
    ]
