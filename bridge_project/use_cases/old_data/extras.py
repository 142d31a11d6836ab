"""Old signals, trades and metrics of strategies: no table here takes their columns, so they are kept word for word."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from bridge_project.use_cases.old_data.report import KNOWN, MADE, Report
from clients.models import Client
from ground.sql import run
from ledger.rules.arena_shape import written
from ledger.services.import_arena.old_secrets import without_secrets

_BATCH = 1000
_INSERT = """
    INSERT INTO kept_documents (id, client_id, source, kind, key, body, rank)
    SELECT gen_random_uuid(), %(client)s, %(source)s, %(kind)s, key, body, rank
      FROM unnest(%(keys)s::text[], %(bodies)s::text[], %(ranks)s::bigint[]) AS r (key, body, rank)
    ON CONFLICT DO NOTHING
"""


def keep_extras(table: str, rows: Iterable[dict[str, Any]], client: Client, report: Report) -> None:
    """Every row as a kept document of the client, once; shown in the admin under the table's name."""
    numbered = iter(enumerate(rows))
    while batch := list(islice(numbered, _BATCH)):
        keys, bodies, ranks = zip(*_documents(batch), strict=True)
        made = run(
            _INSERT,
            {"client": client.id, "source": report.source, "kind": table, "keys": list(keys), "bodies": list(bodies),
             "ranks": list(ranks)},
        )  # fmt: skip
        report.count(table, MADE, made)
        report.count(table, KNOWN, len(batch) - made)


def _documents(batch: list[tuple[int, dict[str, Any]]]) -> Iterator[tuple[str, str, int]]:
    for number, row in batch:
        body = written(without_secrets(row))
        # The id alone could come again, for another row, where the old file was lost and made anew.
        key = f"{str(row.get('id') or '')[:100]} {hashlib.sha256(body.encode()).hexdigest()[:24]}".strip()
        yield key, body, number
