"""Only what the column's text says: fees of which a part is not known are empty."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("strategies", "0003_restores")]

    operations = [
        migrations.AlterField(
            model_name="strategyhistory",
            name="fees",
            field=models.DecimalField(
                decimal_places=18,
                help_text="Of its trades; empty: not known, or the worth of one of them in the quote is not.",
                max_digits=38,
                null=True,
            ),
        ),
    ]
