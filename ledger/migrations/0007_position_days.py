"""How live positions stood when days began: where a book is booked again from when an execution comes late."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

from ground.tenancy import tenant_table

KEYS = [
    "ALTER TABLE position_days ADD CONSTRAINT position_days_of_same_client FOREIGN KEY (client_id, bot_id) "
    "REFERENCES bots (client_id, id)",
    "ALTER TABLE position_days ADD CONSTRAINT position_days_of_same_bot FOREIGN KEY (bot_id, position_id) "
    "REFERENCES positions (bot_id, id) ON DELETE CASCADE",
]


def money(help_text: str) -> models.DecimalField:
    return models.DecimalField(max_digits=38, decimal_places=18, help_text=help_text)


def exact(help_text: str) -> models.DecimalField:
    return models.DecimalField(max_digits=76, decimal_places=36, help_text=help_text)


class Migration(migrations.Migration):
    dependencies = [("ledger", "0006_trade_spans")]

    operations = [
        migrations.AddField(
            "position",
            "traded_at",
            models.DateTimeField(null=True, help_text="Of its last execution; empty: imported."),
        ),
        migrations.CreateModel(
            name="PositionDay",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("client_id", models.UUIDField()),
                ("day_at", models.DateTimeField(help_text="When the day began.")),
                ("opened_quantity", money("Base currency, all that had been entered.")),
                ("closed_quantity", money("Base currency, all that had been closed.")),
                ("basis_quantity", money("Base currency held after the last entry.")),
                ("basis_cost", exact("What that cost, before fees.")),
                ("basis_entry_fees", exact("The fees of entering that.")),
                ("realized_exact", exact("Realised until then, before rounding.")),
                ("exit_notional", exact("Sum of exit price x quantity of what had been closed.")),
                ("peak_size", money("The most margin it had ever bound.")),
                (
                    "bot",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="bots.bot",
                    ),
                ),
                (
                    "position",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="days",
                        to="ledger.position",
                    ),
                ),
            ],
            options={
                "db_table": "position_days",
                "constraints": [models.UniqueConstraint(fields=("position", "day_at"), name="position_days_key")],
            },
        ),
        migrations.RunSQL(KEYS, migrations.RunSQL.noop),
        tenant_table("position_days", client="SELECT"),
    ]
