"""Encrypt everything that is stored encrypted anew, with the newest key of BRIDGE_ENCRYPTION_KEYS."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import models, transaction
from django.db.models import Q

from clients.models import Installation
from ground.encrypted import EncryptedTextField, Sealed, fingerprints, rotate


class Command(BaseCommand):
    help = (
        "Re-encrypts credentials and channels with the newest key; the older keys can then be taken out of the setting."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            done = {str(model._meta.verbose_name_plural): _rotate(model) for model in apps.get_models()}
            Installation.objects.filter(id=1).update(encryption_fingerprint=fingerprints()[0])
        counted = ", ".join(f"{count} {name}" for name, count in done.items() if count) or "nothing was stored"
        self.stdout.write(f"Encrypted with the newest key: {counted}.")


def _rotate(model: type[models.Model]) -> int:
    """How many rows of a table were encrypted anew."""
    columns = [field.name for field in model._meta.concrete_fields if isinstance(field, EncryptedTextField)]
    if not columns:
        return 0
    holds_something = Q(*((f"{column}__isnull", False) for column in columns), _connector=Q.OR)
    done = 0
    for row in model._default_manager.select_for_update().filter(holds_something).iterator(500):
        for column in columns:
            sealed: Sealed | None = getattr(row, column)
            if sealed is not None:
                setattr(row, column, Sealed(rotate(sealed.token)))
        row.save(update_fields=columns)
        done += 1
    return done
