"""Encrypt every stored credential anew with the newest key of BRIDGE_ENCRYPTION_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from clients.models import Connector, Installation
from ground.encrypted import Sealed, fingerprints, rotate

COLUMNS = ("api_key", "api_secret", "passphrase")


class Command(BaseCommand):
    help = "Re-encrypts all credentials with the newest key; the older keys can then be taken out of the setting."

    def handle(self, *args: Any, **options: Any) -> None:
        done = 0
        with transaction.atomic():
            for connector in Connector.objects.select_for_update().filter(api_key__isnull=False).iterator(500):
                for column in COLUMNS:
                    sealed: Sealed | None = getattr(connector, column)
                    if sealed is not None:
                        setattr(connector, column, Sealed(rotate(sealed.token)))
                connector.save(update_fields=COLUMNS)
                done += 1
            Installation.objects.filter(id=1).update(encryption_fingerprint=fingerprints()[0])
        self.stdout.write(f"{done} connectors are encrypted with the newest key.")
