"""Days and months of trades, kept by triggers on the hours: a long range of many bots is some thousand rows to read."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

from ground.tenancy import tenant_table

CHANGES = {
    "INSERT": "SELECT 1 AS sign, n.* FROM new_rows n",
    "DELETE": "SELECT -1 AS sign, o.* FROM old_rows o",
    "UPDATE": "SELECT 1 AS sign, n.* FROM new_rows n UNION ALL SELECT -1, o.* FROM old_rows o",
}
REFERENCING = {
    "INSERT": "NEW TABLE AS new_rows",
    "DELETE": "OLD TABLE AS old_rows",
    "UPDATE": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
}
SUMS = ("trades", "buys", "closed", "wins", "losses", "pnl", "gross_profit", "gross_loss", "fees", "volume")
# Months are of different lengths, and those of UTC whatever the session's zone.
BOTH_SPANS = """
    CROSS JOIN LATERAL (VALUES
        ('day', date_trunc('day', c.hour_at, 'UTC'), date_trunc('day', c.hour_at, 'UTC') + interval '24 hours'),
        ('month', date_trunc('month', c.hour_at, 'UTC'),
         (date_trunc('month', c.hour_at AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC')
    ) v (span, start_at, end_at)
"""
ADD_UP = f"""
    INSERT INTO bot_trade_spans AS s (bot_id, client_id, span, start_at, symbol, {", ".join(SUMS)}, best_pnl, worst_pnl)
    SELECT c.bot_id, c.client_id, v.span, v.start_at, c.symbol, {", ".join(f"sum(c.sign * c.{name})" for name in SUMS)},
           max(c.best_pnl) FILTER (WHERE c.sign > 0), min(c.worst_pnl) FILTER (WHERE c.sign > 0)
      FROM ({{changes}}) c {BOTH_SPANS}
     GROUP BY c.bot_id, c.client_id, v.span, v.start_at, c.symbol ORDER BY c.bot_id, v.span, v.start_at, c.symbol
    ON CONFLICT (bot_id, span, start_at, symbol) DO UPDATE SET
        {", ".join(f"{name} = s.{name} + excluded.{name}" for name in SUMS)},
        best_pnl = greatest(s.best_pnl, excluded.best_pnl), worst_pnl = least(s.worst_pnl, excluded.worst_pnl);
"""  # noqa: S608 - made of constants
# A best or a worst that left is looked up again among the hours.
LOOK_UP = f"""
    UPDATE bot_trade_spans s SET best_pnl = g.best, worst_pnl = g.worst
      FROM (SELECT DISTINCT c.bot_id, c.symbol, v.span, v.start_at, v.end_at FROM ({{gone}}) c {BOTH_SPANS}) k,
           LATERAL (SELECT max(h.best_pnl) AS best, min(h.worst_pnl) AS worst FROM bot_trade_hours h
                     WHERE h.bot_id = k.bot_id AND h.symbol = k.symbol AND h.hour_at >= k.start_at
                       AND h.hour_at < k.end_at) g
     WHERE s.bot_id = k.bot_id AND s.span = k.span AND s.start_at = k.start_at AND s.symbol = k.symbol;
    DELETE FROM bot_trade_spans s
     USING (SELECT DISTINCT c.bot_id, c.symbol, v.span, v.start_at FROM ({{gone}}) c {BOTH_SPANS}) k
     WHERE s.bot_id = k.bot_id AND s.span = k.span AND s.start_at = k.start_at AND s.symbol = k.symbol AND s.trades = 0;
"""  # noqa: S608 - made of constants
GONE = {
    "DELETE": "SELECT o.* FROM old_rows o WHERE o.best_pnl IS NOT NULL OR o.trades = 0",
    "UPDATE": """
        SELECT o.* FROM old_rows o JOIN new_rows n ON n.id = o.id
         WHERE n.trades = 0 OR (n.bot_id, n.symbol, n.hour_at) <> (o.bot_id, o.symbol, o.hour_at)
            OR (o.best_pnl IS NOT NULL
                AND (n.best_pnl < o.best_pnl OR n.worst_pnl > o.worst_pnl OR n.best_pnl IS NULL OR n.worst_pnl IS NULL))
    """,
}


def kept_up_to_date() -> list[str]:
    """SQL of a trigger for each operation; an upsert fires two of them, mostly without a row."""
    made = []
    for operation, changes in CHANGES.items():
        rows = "old_rows" if operation == "DELETE" else "new_rows"
        body = f"IF NOT EXISTS (SELECT FROM {rows}) THEN RETURN NULL; END IF; {ADD_UP.format(changes=changes)}"
        if operation in GONE:
            gone = GONE[operation]
            # Counted, since a plan that hopes for an early row tries every old one with every new one.
            body += f"IF (SELECT count(*) FROM ({gone}) g) > 0 THEN {LOOK_UP.format(gone=gone)} END IF;"  # noqa: S608 - made of constants
        name = f"ledger_bot_trade_hours_{operation.lower()}"
        made.append(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$")
        made.append(
            f"CREATE TRIGGER spans_{operation.lower()} AFTER {operation} ON bot_trade_hours "
            f"REFERENCING {REFERENCING[operation]} FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )
    return made


def amount(**options: object) -> models.DecimalField:
    return models.DecimalField(max_digits=38, decimal_places=18, **options)


class Migration(migrations.Migration):
    dependencies = [("ledger", "0005_carried_boards"), ("bots", "0003_all_time_figures")]

    operations = [
        migrations.CreateModel(
            "BotTradeSpan",
            [
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("client_id", models.UUIDField()),
                ("span", models.CharField(choices=[("day", "day"), ("month", "month")], max_length=16)),
                ("start_at", models.DateTimeField(help_text="When the day or month begins.")),
                ("symbol", models.CharField(max_length=41)),
                ("trades", models.BigIntegerField(default=0)),
                ("buys", models.BigIntegerField(default=0)),
                ("closed", models.BigIntegerField(default=0, help_text="Exits whose result is known.")),
                ("wins", models.BigIntegerField(default=0)),
                ("losses", models.BigIntegerField(default=0)),
                ("pnl", amount(default=0, help_text="Realised.")),
                ("gross_profit", amount(default=0, help_text="Sum of the winners.")),
                ("gross_loss", amount(default=0, help_text="Sum of the losers, a positive number.")),
                ("fees", amount(default=0, help_text="As far as their worth is known.")),
                (
                    "volume",
                    models.DecimalField(
                        max_digits=76, decimal_places=36, default=0, help_text="Sum of price x quantity."
                    ),
                ),
                ("best_pnl", amount(null=True, help_text="Of one trade.")),
                ("worst_pnl", amount(null=True, help_text="Of one trade.")),
                (
                    "bot",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="bots.bot",
                    ),
                ),
            ],
            options={
                "db_table": "bot_trade_spans",
                "indexes": [models.Index(fields=["span", "start_at"], name="bot_trade_spans_recent")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("span__in", ["day", "month"])), name="bot_trade_spans_span_known"
                    ),
                    models.UniqueConstraint(fields=("bot", "span", "start_at", "symbol"), name="bot_trade_spans_key"),
                ],
            },
        ),
        migrations.RunSQL(
            "ALTER TABLE bot_trade_spans ADD CONSTRAINT bot_trade_spans_of_same_client FOREIGN KEY (client_id, bot_id) "
            "REFERENCES bots (client_id, id)",
            migrations.RunSQL.noop,
        ),
        tenant_table("bot_trade_spans", client="SELECT"),
        migrations.RunSQL(
            [
                *kept_up_to_date(),
                ADD_UP.format(changes="SELECT 1 AS sign, h.* FROM bot_trade_hours h"),
            ],
            migrations.RunSQL.noop,
        ),
    ]
