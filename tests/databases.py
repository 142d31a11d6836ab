"""Databases that tests make beside their own."""

from __future__ import annotations

import time
from typing import Any

from django.db.utils import ProgrammingError

PATIENCE_S = 30.0


def drop_database(cursor: Any, name: str) -> None:
    """Drop it with all who are connected. The server's own vacuum may be at work there, which only a superuser may end:
    it is waited for."""
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        except ProgrammingError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.2)
        else:
            return
