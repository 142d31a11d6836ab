"""What operators are told of bots that look at figures before they decide; nothing of it is in the database."""

from __future__ import annotations

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("arena", "0007_whose_halts_and_peaks"),
    ]

    operations = [
        migrations.AlterField(
            model_name="arenasettings",
            name="most_steps",
            field=models.PositiveIntegerField(
                default=6,
                help_text="Questions to the model in one turn of an advanced bot.",
                validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(20)],
            ),
        ),
        migrations.AlterField(
            model_name="llmcall",
            name="step",
            field=models.PositiveIntegerField(
                default=1, help_text="Which question of its turn, from 1; a fallback's is the next too."
            ),
        ),
        migrations.AlterField(
            model_name="participant",
            name="is_advanced",
            field=models.BooleanField(
                default=False,
                help_text="Looks at figures with tools, in several steps, before it decides. Each costs a call.",
            ),
        ),
    ]
