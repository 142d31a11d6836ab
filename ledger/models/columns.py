"""Columns that several tables of the ledger share."""

from __future__ import annotations

from typing import Any

from django.db import models


def money(help_text: str = "", **options: Any) -> models.DecimalField:
    """An amount, a price or a quantity: exact to 18 decimals."""
    return models.DecimalField(max_digits=38, decimal_places=18, help_text=help_text, **options)


def exact(help_text: str = "", **options: Any) -> models.DecimalField:
    """A sum of products of two such numbers, with all their digits."""
    return models.DecimalField(max_digits=76, decimal_places=36, help_text=help_text, **options)


def ratio(help_text: str = "", **options: Any) -> models.DecimalField:
    """A ratio (0.01 is one percent), or a statistic of ratios."""
    return models.DecimalField(max_digits=38, decimal_places=18, null=True, help_text=help_text, **options)


def words(kind: Any, **options: Any) -> models.CharField:
    """One of the words of a StrEnum; the table needs a CHECK beside it (``clients.models.one_of``)."""
    return models.CharField(max_length=16, choices=[(str(word), str(word)) for word in kind], **options)


def old_id() -> dict[str, models.CharField]:
    """``source`` and ``source_id``: where a row that an import brought came from."""
    return {
        "source": models.CharField(max_length=50, blank=True, default="", help_text="The old system of this row."),
        "source_id": models.CharField(max_length=200, blank=True, default="", help_text="Its id there."),
    }
