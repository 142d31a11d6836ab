"""Each change of an incident is a row of its history, whoever makes it; who may see and change what of alerts."""

from __future__ import annotations

from django.db import migrations

from ground.tenancy import audited, shared_table, tenant_table

HISTORY = """
CREATE FUNCTION bridge_note_incident() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
    by_whom text := left(coalesce(nullif(current_setting('app.actor', true), ''), 'database:' || session_user), 200);
    levels text[] := ARRAY['info', 'warning', 'critical'];
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO incident_events (incident_id, client_id, kind, severity, title, actor, at)
        VALUES (NEW.id, NEW.client_id, 'opened', NEW.severity, NEW.title, by_whom, NEW.opened_at);
        RETURN NULL;
    END IF;
    IF NEW.severity <> OLD.severity THEN
        INSERT INTO incident_events (incident_id, client_id, kind, severity, title, actor, at)
        VALUES (NEW.id, NEW.client_id,
                CASE WHEN array_position(levels, NEW.severity::text) > array_position(levels, OLD.severity::text)
                     THEN 'worsened' ELSE 'eased' END,
                NEW.severity, NEW.title, by_whom, greatest(NEW.last_seen_at, OLD.last_seen_at));
    END IF;
    IF NEW.acknowledged_at IS NOT NULL AND OLD.acknowledged_at IS NULL THEN
        INSERT INTO incident_events (incident_id, client_id, kind, severity, title, actor, at)
        VALUES (NEW.id, NEW.client_id, 'acknowledged', NEW.severity, NEW.title, by_whom, NEW.acknowledged_at);
    END IF;
    IF NEW.resolved_at IS NOT NULL AND OLD.resolved_at IS NULL THEN
        INSERT INTO incident_events (incident_id, client_id, kind, severity, title, actor, at)
        VALUES (NEW.id, NEW.client_id, 'resolved', NEW.severity, NEW.title, by_whom, NEW.resolved_at);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note_opened AFTER INSERT ON incidents FOR EACH ROW EXECUTE FUNCTION bridge_note_incident();
CREATE TRIGGER note_change AFTER UPDATE OF severity, acknowledged_at, resolved_at ON incidents FOR EACH ROW
    WHEN (OLD.severity <> NEW.severity OR OLD.acknowledged_at IS DISTINCT FROM NEW.acknowledged_at
          OR OLD.resolved_at IS DISTINCT FROM NEW.resolved_at)
    EXECUTE FUNCTION bridge_note_incident();
-- What was open before there was a history has no messages.
INSERT INTO incident_events (incident_id, client_id, kind, severity, title, actor, at, planned_at)
SELECT id, client_id, 'opened', severity, title, raised_by, opened_at, now() FROM incidents;
INSERT INTO incident_events (incident_id, client_id, kind, severity, title, actor, at, planned_at)
SELECT id, client_id, 'resolved', severity, title, resolved_by, resolved_at, now() FROM incidents
 WHERE resolved_at IS NOT NULL;
"""
UNDO = "DROP TRIGGER note_opened ON incidents; DROP TRIGGER note_change ON incidents; DROP FUNCTION bridge_note_incident();"

KEYS = [
    "ALTER TABLE alert_channels ADD CONSTRAINT alert_channels_of_same_client "
    "FOREIGN KEY (client_id, bot_id) REFERENCES bots (client_id, id)",
    "ALTER TABLE maintenance_windows ADD CONSTRAINT maintenance_windows_of_same_client "
    "FOREIGN KEY (client_id, bot_id) REFERENCES bots (client_id, id)",
    "ALTER TABLE incident_bots ADD CONSTRAINT incident_bots_of_same_client "
    "FOREIGN KEY (client_id, bot_id) REFERENCES bots (client_id, id)",
]


class Migration(migrations.Migration):
    dependencies = [("alerts", "0003_messages")]

    operations = [
        migrations.RunSQL(HISTORY, UNDO),
        migrations.RunSQL(KEYS, migrations.RunSQL.noop),
        tenant_table("incident_events", client="SELECT"),
        tenant_table("incident_bots", client="SELECT"),
        tenant_table("incident_snoozes", client=None),
        tenant_table("alert_channels", client=None),
        tenant_table("alert_rules", client=None),
        tenant_table("maintenance_windows", client=None),
        tenant_table("alert_deliveries", client=None),
        shared_table("alerts_settings"),
        shared_table("alerts_state"),
        migrations.RunSQL(
            [
                audited(
                    "alert_channels",
                    client_column="client_id",
                    secret_columns=["address", "signing_key"],
                    quiet=["last_sent_at", "last_error", "last_error_at"],
                ),
                audited("alert_rules", client_column="client_id"),
                audited("maintenance_windows", client_column="client_id"),
                audited("incident_snoozes", client_column="client_id"),
                audited("alerts_settings", client_column=""),
            ],
            migrations.RunSQL.noop,
        ),
    ]
