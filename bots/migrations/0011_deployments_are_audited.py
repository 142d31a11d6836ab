"""Each step of a deployment stands in the audit: who took it, which it was, and what it came to."""

from __future__ import annotations

from django.db import migrations

from ground.tenancy import audited

# Who works on it and when somebody looks next are no steps.
_QUIET = ["lease_until", "lease_token", "due_at", "attempts"]


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0010_lost_definitions"),
    ]

    operations = [
        migrations.RunSQL(audited("bot_deployments", client_column="client_id", quiet=_QUIET), migrations.RunSQL.noop),
    ]
