"""A snapshot that comes late has the board's lines made anew from all rows, which carry what lies before it."""

from __future__ import annotations

from django.db import migrations

LATE = """
CREATE FUNCTION ledger_late_snapshots() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    WITH late AS (
        SELECT e.id
          FROM leaderboard_entries e
          JOIN (SELECT bot_id, min(taken_at) AS at FROM new_rows GROUP BY bot_id) n
            ON n.bot_id = e.bot_id AND n.at < e.carried_to
         ORDER BY e.period, e.bot_id FOR UPDATE OF e
    )
    UPDATE leaderboard_entries e SET carried_to = NULL FROM late WHERE e.id = late.id;
    RETURN NULL;
END $$;
CREATE TRIGGER late_for_boards AFTER INSERT ON bot_state_snapshots REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_late_snapshots();
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0007_position_days")]

    operations = [migrations.RunSQL(LATE, migrations.RunSQL.noop)]
