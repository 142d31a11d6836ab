"""When uptime was counted and the dead man's switch was tried; and a wish that changes no verdict is noted all the same."""

from __future__ import annotations

from django.db import migrations, models

# A bot that had fallen and is then stopped on purpose stays "stopped", and one that was never started stays "unknown"
# when it is started. From then on its time is planned, or no longer planned, which no change of the verdict would tell.
PLANS = """
CREATE FUNCTION bridge_note_plan() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
    before record;
BEGIN
    SELECT t.is_planned, t.at INTO before FROM bot_health_transitions t WHERE t.bot_id = NEW.bot_id
     ORDER BY t.at DESC, t.id DESC LIMIT 1;
    INSERT INTO bot_health_transitions (bot_id, client_id, at, from_status, to_status, is_planned, reason, evidence, actor)
    SELECT NEW.bot_id, NEW.client_id, greatest(before.at, coalesce(b.desired_at, now())), NEW.status, NEW.status,
           b.desired_status <> 'running', NEW.message, '[]',
           left(coalesce(nullif(current_setting('app.actor', true), ''), 'database:' || session_user), 200)
      FROM bots b WHERE b.id = NEW.bot_id AND before.is_planned <> (b.desired_status <> 'running');
    RETURN NULL;
END $$;
CREATE TRIGGER note_plan AFTER UPDATE OF message ON bot_health FOR EACH ROW
    WHEN (OLD.status = NEW.status AND NEW.status IN ('stopped', 'unknown') AND OLD.message <> NEW.message)
    EXECUTE FUNCTION bridge_note_plan();
"""
UNDO = "DROP TRIGGER note_plan ON bot_health; DROP FUNCTION bridge_note_plan();"


class Migration(migrations.Migration):
    dependencies = [("health", "0006_heartbeat_words_and_plans")]

    operations = [
        migrations.AddField("healthstate", "dead_man_tried_at", models.DateTimeField(null=True)),
        migrations.AddField(
            "healthstate",
            "uptime_counted_at",
            models.DateTimeField(null=True, help_text="Up to when every bot's uptime was counted."),
        ),
        migrations.AlterField(
            "healthstate",
            "dead_man_error",
            models.CharField(max_length=200, blank=True, default="", db_default=""),
        ),
        migrations.RemoveIndex("bothealthlog", "bot_health_logs_age"),
        migrations.AddIndex(
            "bothealthlog",
            models.Index(
                fields=["checked_at"],
                condition=models.Q(previous_status=models.F("new_status")),
                name="bot_health_logs_age",
            ),
        ),
        migrations.RunSQL(PLANS, UNDO),
    ]
