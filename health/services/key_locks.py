"""One worker at a time per key: an exchange sees the calls of a key one after the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from django.db import connections

from ground.scope import OPERATOR_ALIAS, assert_no_transaction
from health.services.gather_keys import Key


@contextmanager
def holding(keys: Collection[Key]) -> Iterator[set[Key]]:
    """Hold the advisory lock of each key, without a transaction; gives those that somebody else holds."""
    if not keys:
        yield set()
        return
    assert_no_transaction()
    locks = {key: int.from_bytes(bytes.fromhex(key.fingerprint), signed=True) for key in keys}
    with connections[OPERATOR_ALIAS].cursor() as cursor:
        wanted = [list(locks.values())]
        cursor.execute("SELECT lock, pg_try_advisory_lock(lock) FROM unnest(%s::bigint[]) AS lock", wanted)
        held = [lock for lock, is_ours in cursor.fetchall() if is_ours]
    try:
        yield {key for key, lock in locks.items() if lock not in held}
    finally:
        with connections[OPERATOR_ALIAS].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(lock) FROM unnest(%s::bigint[]) AS lock", [held])
