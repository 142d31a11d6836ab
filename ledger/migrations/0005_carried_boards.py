"""What a line of a board carries from full hour to full hour, and when a bot's capital was last changed."""

from __future__ import annotations

from django.db import migrations, models

from ledger.models.columns import money, ratio

# A capital that is given or taken moves equity as no trade does, so it must leave its time, whoever writes it.
CAPITAL_CHANGED = """
CREATE FUNCTION ledger_capital_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    NEW.capital_changed_at := now();
    RETURN NEW;
END $$;
CREATE TRIGGER capital_changed BEFORE UPDATE ON bot_accounts FOR EACH ROW
    WHEN (OLD.allocated_capital IS DISTINCT FROM NEW.allocated_capital) EXECUTE FUNCTION ledger_capital_changed();
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0004_arena_staging")]

    operations = [
        migrations.AddField(
            "botaccount",
            "capital_changed_at",
            models.DateTimeField(
                null=True, editable=False, help_text="Kept by a trigger. Boards do not compare equity across it."
            ),
        ),
        migrations.AddField(
            "leaderboardentry",
            "start_value",
            money("With what equity it began there: over all time, with its capital.", null=True),
        ),
        migrations.AddField("leaderboardentry", "equity_at", models.DateTimeField(null=True)),
        migrations.AddField(
            "leaderboardentry",
            "carried_to",
            models.DateTimeField(null=True, help_text="The full hour before which nothing is looked at again."),
        ),
        migrations.AddField("leaderboardentry", "carried_peak", money("The highest equity until then.", null=True)),
        migrations.AddField("leaderboardentry", "carried_fall", ratio("The deepest fall until then.")),
        migrations.RunSQL(CAPITAL_CHANGED, migrations.RunSQL.noop),
    ]
