"""A verdict that no check wrote (a start, a stop, an error heartbeat) gets its line in the log as well."""

from __future__ import annotations

from django.db import migrations

# A check writes its own line, with its evidence, and moves checked_at; whoever else changes the verdict does not.
LOG = """
CREATE FUNCTION bridge_log_health() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    INSERT INTO bot_health_logs (bot_id, client_id, checked_at, previous_status, new_status, reason, actor,
                                 last_trade_at, evidence)
    VALUES (NEW.bot_id, NEW.client_id, now(), OLD.status, NEW.status, NEW.message,
            left(coalesce(nullif(current_setting('app.actor', true), ''), 'database:' || session_user), 200),
            NEW.last_trade_at, '[]');
    RETURN NULL;
END $$;
CREATE TRIGGER log_change AFTER UPDATE OF status, message ON bot_health FOR EACH ROW
    WHEN (OLD.checked_at IS NOT DISTINCT FROM NEW.checked_at
          AND (OLD.status <> NEW.status OR OLD.message <> NEW.message))
    EXECUTE FUNCTION bridge_log_health();
"""
HEARD = "CREATE INDEX bot_health_heard ON bot_health (last_heartbeat_at) WHERE last_heartbeat_at IS NOT NULL"
UNDO = "DROP TRIGGER log_change ON bot_health; DROP FUNCTION bridge_log_health();"


class Migration(migrations.Migration):
    dependencies = [("health", "0002_tenancy_and_audit")]

    operations = [migrations.RunSQL(LOG, UNDO), migrations.RunSQL(HEARD, "DROP INDEX bot_health_heard")]
