"""The ledger's row of settings, made when there is none."""

from __future__ import annotations

from ledger.models import LedgerSettings


def ledger_settings() -> LedgerSettings:
    """What the operator set, or the defaults. Call within a scope's transaction that may write."""
    found = LedgerSettings.objects.filter(id=1).first()
    return found or LedgerSettings.objects.get_or_create(id=1)[0]
