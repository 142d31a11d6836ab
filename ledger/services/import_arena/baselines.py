"""The ledger's own figures as they were when an import ended: an export tells by them what has moved since."""

from __future__ import annotations

from ground.sql import run
from ledger.selectors.arena_figures import BASELINE, FIGURES

_KEEP = f"""
    INSERT INTO kept_documents (id, client_id, bot_id, source, kind, key, body, rank)
    SELECT gen_random_uuid(), f.client_id, f.id, %(source)s, %(kind)s, '', f.figures, 0
      FROM ({FIGURES} WHERE b.id IN (SELECT a.bot_id FROM arena_bots a WHERE NOT a.is_left_alone)) f
    ON CONFLICT (source, kind, key, client_id, bot_id) DO UPDATE SET body = excluded.body
     WHERE kept_documents.body <> excluded.body
"""  # noqa: S608 - made of constants


def keep_baselines(*, source: str) -> int:
    """Keep the figures of every bot that has documents of that source; how many changed. Within the import's transaction."""
    return run(_KEEP, {"source": source, "kind": BASELINE})
