from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("alerts", "0005_held_messages")]

    operations = [
        migrations.AlterField(
            model_name="alertdelivery",
            name="may_be_double",
            field=models.BooleanField(
                default=False,
                help_text="A worker died, or an answer was lost, while it was sent: it may have arrived twice.",
            ),
        )
    ]
