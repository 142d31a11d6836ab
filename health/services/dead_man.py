"""The dead man's switch: an address that hears of each full cycle, and raises the alarm elsewhere when it hears nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

import requests

from ground.scope import Scope, assert_no_transaction
from ground.sql import fetch_one, run

TIMEOUT_S = 5.0
TRY_AGAIN_AFTER = timedelta(seconds=30)

# Of many workers one tells of a cycle; one that failed, or died over it, is made up for half a minute later.
_CLAIM = """
    UPDATE health_state SET dead_man_tried_at = %(now)s
     WHERE id = 1 AND last_cycle_at > coalesce(dead_man_at, '-infinity')
       AND (dead_man_tried_at IS NULL OR dead_man_tried_at < last_cycle_at OR dead_man_tried_at < %(before)s)
    RETURNING 1
"""
_TOLD = "UPDATE health_state SET dead_man_at = %s, dead_man_error = '' WHERE id = 1"
_FAILED = "UPDATE health_state SET dead_man_error = %s WHERE id = 1"


def tell_dead_man(*, scope: Scope, url: str | None, now: datetime) -> bool:
    """Tell the switch of the last full cycle, unless it knows. Whether it was told now."""
    if not url:
        return False
    with scope.transaction(reason="dead man's switch"):
        if fetch_one(_CLAIM, {"now": now, "before": now - TRY_AGAIN_AFTER}) is None:
            return False
    error = _ping(url)
    with scope.transaction(reason="dead man's switch"):
        run(_FAILED, [error]) if error else run(_TOLD, [now])
    return not error


def _ping(url: str) -> str:
    """What went wrong, in a sentence; the address is a secret and no part of it."""
    assert_no_transaction()
    try:
        with requests.get(url, timeout=TIMEOUT_S, allow_redirects=False, stream=True) as answer:
            status = answer.status_code
    except requests.Timeout:
        return f"It did not answer within {TIMEOUT_S:g} s."
    except requests.RequestException as error:
        return f"It cannot be reached ({type(error).__name__})."
    if 300 <= status < 400:
        return f"It answered {status}: give the address that it leads to."
    return "" if status < 300 else f"It answered {status}."
