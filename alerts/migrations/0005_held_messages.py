"""A message knows since when it is held; whoever changes what keeps messages back has those that wait looked at again."""

from __future__ import annotations

from django.db import migrations, models

TABLES = ("alert_rules", "maintenance_windows", "incident_snoozes", "alerts_settings", "alerts_state")
# Due since it was made: the next look decides by what holds then. In one order, as two changes may come at once.
LOOK_AGAIN = """
CREATE FUNCTION bridge_look_again() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    UPDATE alert_deliveries d SET due_at = d.created_at
      FROM (SELECT id FROM alert_deliveries WHERE status = 'waiting' AND held_at IS NOT NULL ORDER BY id FOR UPDATE) held
     WHERE d.id = held.id;
    RETURN NULL;
END $$
"""
ON_CHANGE = (
    "CREATE TRIGGER look_again AFTER INSERT OR UPDATE OR DELETE ON {} "
    "FOR EACH STATEMENT EXECUTE FUNCTION bridge_look_again()"
)


class Migration(migrations.Migration):
    dependencies = [("alerts", "0004_history_and_tenancy")]

    operations = [
        migrations.AddField(
            "alertdelivery",
            "held_at",
            models.DateTimeField(help_text="Since when a silence keeps it back; empty: none does.", null=True),
        ),
        migrations.RunSQL(
            [LOOK_AGAIN, *(ON_CHANGE.format(table) for table in TABLES)],
            [*(f"DROP TRIGGER look_again ON {table}" for table in TABLES), "DROP FUNCTION bridge_look_again()"],
        ),
    ]
