"""An old arena's state becomes rows, once, whatever is in it."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from bots.models import Bot
from clients.models import Client
from ledger.models import ArenaImport, BotAccount, BotDecision, KeptDocument, Position, Trade
from tests.ledger import arena_blobs

D = Decimal


def put(tmp_path: Path, state: Any, *options: str, name: str = "state.json") -> tuple[dict[str, Any], str]:
    """Import a state; its report, as a machine and as a person reads it."""
    path, report, said = tmp_path / name, tmp_path / "report.json", io.StringIO()
    path.write_bytes(state if isinstance(state, bytes) else json.dumps(state).encode())
    call_command("import_arena_state", str(path), "--report", str(report), *options, stdout=said)
    return json.loads(report.read_text()), said.getvalue()


def everything() -> dict[str, list[Any]]:
    """Every row that an import writes, but for when."""
    tables = {
        "trades": "recorded_at", "positions": "updated_at", "bot_decisions": "recorded_at", "bot_accounts": "updated_at",
        "bot_state_snapshots": "id", "kept_documents": "imported_at", "clients": "updated_at", "bots": "updated_at",
        "bot_stats": "updated_at", "bot_trade_hours": "id",
    }  # fmt: skip
    with connection.cursor() as cursor:
        found = {}
        for table, but in tables.items():
            cursor.execute(f"SELECT (to_jsonb(t) - '{but}')::text FROM {table} t ORDER BY 1")
            found[table] = [row[0] for row in cursor.fetchall()]
        return found


@pytest.mark.parametrize("form", arena_blobs.FORMS)
def test_a_state_becomes_rows_and_a_second_import_changes_nothing(database: None, tmp_path: Path, form: str) -> None:
    state = arena_blobs.state(orders=60, logs=12, form=form)
    report, said = put(tmp_path, state)
    assert report["refused"] == []
    first = everything()
    assert len(first["trades"]) == 120 and len(first["bot_decisions"]) == 24
    again, _ = put(tmp_path, state)
    assert everything() == first
    assert [bot["orders"]["new"] for bot in again["bots"]] == [0, 0]
