"""A client or bot that is deleted takes its channels along, with their rules, messages and maintenance."""

from __future__ import annotations

from django.db import migrations

# As the owner: a client may delete itself, and has no rights on channels. What a worker is sending just now it records
# nowhere any more.
FORGET = """
CREATE FUNCTION bridge_forget_channels() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public
AS $$
BEGIN
    IF TG_TABLE_NAME = 'clients' THEN
        DELETE FROM alert_deliveries d USING alert_channels c WHERE c.id = d.channel_id AND c.client_id = NEW.id;
        DELETE FROM alert_rules r USING alert_channels c WHERE c.id = r.channel_id AND c.client_id = NEW.id;
        DELETE FROM alert_channels WHERE client_id = NEW.id;
        DELETE FROM maintenance_windows WHERE client_id = NEW.id;
    ELSE
        DELETE FROM alert_deliveries d USING alert_channels c WHERE c.id = d.channel_id AND c.bot_id = NEW.id;
        DELETE FROM alert_rules r USING alert_channels c WHERE c.id = r.channel_id AND c.bot_id = NEW.id;
        DELETE FROM alert_channels WHERE bot_id = NEW.id;
        DELETE FROM maintenance_windows WHERE bot_id = NEW.id;
    END IF;
    RETURN NULL;
END $$
"""
ON_RETIRED = (
    "CREATE TRIGGER forget_channels AFTER UPDATE OF retired_at ON {} FOR EACH ROW "
    "WHEN (NEW.retired_at IS NOT NULL AND OLD.retired_at IS NULL) EXECUTE FUNCTION bridge_forget_channels()"
)
TABLES = ("clients", "bots")


class Migration(migrations.Migration):
    dependencies = [("alerts", "0006_say_what_may_be_double")]

    operations = [
        migrations.RunSQL(
            [FORGET, *(ON_RETIRED.format(table) for table in TABLES)],
            [
                *(f"DROP TRIGGER forget_channels ON {table}" for table in TABLES),
                "DROP FUNCTION bridge_forget_channels()",
            ],
        )
    ]
