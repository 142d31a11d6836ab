"""Old databases as sources: what they give, what they never give, and what they say when they cannot be read."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from bots.models import Bot
from ground.encrypted import decrypt
from ledger.models import ArenaImport, BotAccount, KeptDocument
from ledger.services.import_arena.read_state import FileSource
from ledger.services.import_arena.seam import Item, Section, Source, Unreadable, path_of
from ledger.services.import_arena.sources import source_of
from tests.ledger.old_databases import FACTS, ROWS, STATE, WHEN, make_sqlite, postgres
from tests.ledger.test_import import everything

SECRETS = ("hashedhashed", "hidden", "AIza-in-the-address", "sk-of-the-provider", "sk-in-json", "very-secret")


@pytest.fixture(params=["sqlite", "postgresql", "postgresql jsonb"])
def old(request: pytest.FixtureRequest, tmp_path: Path, database: None) -> Any:
    """Makes an old database and gives what the command is told to read it."""

    @contextmanager
    def made(rows: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
        if request.param == "sqlite":
            yield f"sqlite:///{make_sqlite(tmp_path / 'arena.db', rows)}"
        else:
            with postgres(rows, state_type="jsonb" if "jsonb" in request.param else "text") as url:
                yield url

    return made


def run_import(*words: str) -> str:
    """What the command says."""
    said = io.StringIO()
    call_command("import_arena_state", *words, stdout=said)
    return said.getvalue()


def taken(source: Source) -> list[Item]:
    return list(source.items(lambda done: None))


def of(items: list[Item], section: Section) -> list[Item]:
    return [item for item in items if item.section == section]


def test_gives_the_state_as_a_file_gives_it_and_the_tables_beside_it(old: Any, tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text(json.dumps(STATE, ensure_ascii=False))
    expected = taken(FileSource(file))
    with old(ROWS) as address:
        source = source_of(address)
        items = taken(source)
    beside = {Section.USER, Section.PROVIDER, Section.SETTING, Section.BOT_ROW, Section.SNAPSHOT}
    state = [item for item in items if item.section not in beside]
    first = [item for item in state if (item.bot or 0) == 0]
    assert sorted(map(_meant, first)) == sorted(map(_meant, expected))
    assert [(i.value["id"], i.value["username"]) for i in of(items, Section.USER)] == [("u1", "ann")]
    snapshots = of(items, Section.SNAPSHOT)
    assert [(s.index, s.value["total_value"], s.value["trade_count"]) for s in snapshots] == [
        (0, "10000.1", "0"), (1, "10005.23", "2")
    ]  # fmt: skip
    assert [item.value["id"] for item in of(items, Section.BOT_ROW)] == ["bot_astrologer", "bot_table"]
    assert [path_of(item) for item in of(items, Section.PROVIDER)] == ["tables.llm_providers[0]"]


def test_never_gives_a_secret(old: Any) -> None:
    with old(ROWS) as address:
        source = source_of(address)
        told = repr(taken(source)) + repr(source.notes) + source.label
    assert not [secret for secret in (*SECRETS, "s3cret") if secret in told]
    assert "sk-of" not in told
    assert any("password_hash, pwd2" in note for note in source.notes)
    assert any("jwt_secret" in note for note in source.notes)
    assert any("--with-provider-keys" in note for note in source.notes)


def test_gives_keys_of_providers_encrypted_where_they_are_asked_for(old: Any) -> None:
    with old(ROWS) as address:
        source = source_of(address, with_provider_keys=True)
        items = taken(source)
    (provider,) = of(items, Section.PROVIDER)
    assert decrypt(provider.secret) == "sk-of-the-provider"
    assert "sk-" not in repr(items)


def test_adds_what_stands_in_relational_tables_alone(old: Any) -> None:
    with old(ROWS | FACTS) as address:
        source = source_of(address)
        items = taken(source)
    orders = [(item.bot, item.index, item.value["id"]) for item in of(items, Section.ORDER)]
    assert orders == [(0, 0, "order_2"), (0, 1, "order_1"), (1, 0, "trade_9")]
    logs = [(item.bot, item.value["prompt"], item.value["decisions"]) for item in of(items, Section.LOG)]
    assert logs == [(0, "full prompt", []), (1, "another prompt", [{"action": "SHORT", "size": "90.0"}])]
    (position,) = of(items, Section.POSITION)
    assert (position.bot, position.value["id"], position.value["position_type"]) == (1, "pos_9", "SHORT")
    assert path_of(position) == "tables.positions[bot_id=bot_table][0]"
    fields = {item.key: item.value for item in of(items, Section.BOT_FIELD) if item.bot == 1}
    assert (fields["id"], fields["userId"], fields["initialBalance"]) == ("bot_table", "u1", "500.5")


def test_tables_that_are_missing_are_sentences(tmp_path: Path) -> None:
    path = make_sqlite(tmp_path / "old.sqlite", ROWS, without=("llm_providers", "users", "trades"))
    source = source_of(str(path))
    assert of(taken(source), Section.ORDER)
    assert "The old database has no table llm_providers." in source.notes
    assert "The old database has no table users." in source.notes


def test_bots_without_a_state_come_from_their_tables(old: Any) -> None:
    with old({**ROWS, **FACTS, "arena_state": []}) as address:
        items = taken(source_of(address))
    names = [item.value for item in of(items, Section.BOT_FIELD) if item.key == "id"]
    assert names == ["bot_astrologer", "bot_table"]
    assert [item.value["id"] for item in of(items, Section.ORDER)] == ["order_1", "trade_9"]


def test_only_the_newest_of_several_states_is_read(old: Any) -> None:
    newer = {"id": 2, "state": json.dumps({"bots": []}), "updated_at": "2025-12-01 00:00:00"}
    with old({**ROWS, "arena_state": [newer, *ROWS["arena_state"]], "bots": []}) as address:
        source = source_of(address)
        assert not of(taken(source), Section.ORDER)
    assert any("2 rows" in note for note in source.notes)


def test_a_large_state_comes_in_pieces_and_a_large_row_is_refused(old: Any) -> None:
    filler = "é" * 3_000_000
    state = json.dumps({**STATE, "one": filler, "two": filler}, ensure_ascii=False)
    rows = {**ROWS, "arena_state": [{"id": 1, "state": state, "updated_at": "2025-11-06"}]}
    rows["system_settings"] = [{"key": "a", "value": "x" * 9_000_000}, {"key": "b", "value": "1"}]
    with old(rows) as address:
        source = source_of(address)
        seen: list[int] = []
        items = list(source.items(seen.append))
    assert source.size
    assert len(seen) > 10
    assert seen[-1] == source.size
    assert {item.key: len(item.value or "") for item in of(items, Section.STATE_FIELD)}["two"] == 3_000_000
    large, small = of(items, Section.SETTING)
    assert "at most 8,388,608" in large.problem
    assert small.value == {"key": "b", "value": "1"}


def test_the_fingerprint_tells_content_that_changed(old: Any) -> None:
    with old(ROWS) as address:
        first = source_of(address).fingerprint()
        assert source_of(address).fingerprint() == first
        assert source_of(address, with_provider_keys=True).fingerprint() != first
        changing = source_of(address)
        changing.fingerprint()
        if address.startswith("sqlite"):
            with sqlite3.connect(address.removeprefix("sqlite:///")) as writer:
                writer.execute("UPDATE system_settings SET value = '201'")
            writer.close()
        else:
            import psycopg

            with psycopg.connect(address) as writer:
                writer.execute("UPDATE system_settings SET value = '201' WHERE key = 'turnInterval'")
        assert source_of(address).fingerprint() != first
        with pytest.raises(Unreadable, match="was changed while it was read"):
            taken(changing)


def test_reads_what_an_open_database_wrote_ahead(tmp_path: Path) -> None:
    path = make_sqlite(tmp_path / "wal.db", ROWS)
    with sqlite3.connect(path) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("INSERT INTO users (id, username) VALUES ('u2', 'bob')")
        writer.commit()
        source = source_of(str(path))
        source.fingerprint()
        assert [item.value["id"] for item in of(taken(source), Section.USER)] == ["u1", "u2"]
    writer.close()


def test_reads_text_that_sqlite_keeps_in_two_bytes_a_character(tmp_path: Path) -> None:
    path = tmp_path / "wide.db"
    with sqlite3.connect(path) as made:
        made.execute("PRAGMA encoding = 'UTF-16le'")
    made.close()
    make_sqlite(path, ROWS)
    fields = [item.value for item in of(taken(source_of(str(path))), Section.BOT_FIELD) if item.key == "name"]
    assert fields[0] == "Astrologer ✨"


def test_the_command_brings_a_database_into_the_ledger_once(old: Any) -> None:
    with old(ROWS | FACTS) as address:
        said = run_import(address, "--with-provider-keys")
        first = everything()
        run_import(address, "--with-provider-keys")
        assert everything() == first
    assert "s3cret" not in said
    bot = Bot.objects.get(source_id="bot_astrologer")
    assert list(bot.snapshots.order_by("taken_at").values_list("total_value", "trade_count")) == [
        (Decimal("10000.1"), 0), (Decimal("10005.23"), 2)
    ]  # fmt: skip
    assert BotAccount.objects.get(bot=bot).balance == Decimal("10005.23")
    table = Bot.objects.get(source_id="bot_table")
    assert (table.name, table.client.name) == ("Tabular", "ann")
    assert [(p.status, p.position_type, p.trades.count()) for p in table.positions.all()] == [("open", "SHORT", 1)]
    provider = KeptDocument.objects.get(kind="provider")
    assert provider.secret.open() == "sk-of-the-provider"
    kept = "".join(KeptDocument.objects.values_list("body", flat=True)) + str(ArenaImport.objects.values())
    assert not [secret for secret in (*SECRETS, "s3cret") if secret in kept]


def test_without_being_asked_no_key_of_a_provider_is_kept(old: Any) -> None:
    with old(ROWS) as address:
        said = run_import(address)
    assert KeptDocument.objects.get(kind="provider").secret is None
    assert "--with-provider-keys takes them" in said
    assert "password_hash" in said


def test_a_database_that_cannot_be_read_leaves_nothing_behind(tmp_path: Path, database: None) -> None:
    cut = [{"id": 1, "state": '{"bots": [{"id": "b1"', "updated_at": WHEN}]
    with pytest.raises(CommandError, match="ends in the middle"):
        run_import(str(make_sqlite(tmp_path / "cut.db", {**ROWS, "arena_state": cut})))
    with pytest.raises(CommandError, match="Nothing was written") as caught:
        run_import("postgresql://ann:s3cret@127.0.0.1:1/arena")
    assert "s3cret" not in str(caught.value)
    assert not Bot.objects.exists()
    assert not ArenaImport.objects.exists()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("postgresql://ann:s3cret@127.0.0.1:1/arena", "127.0.0.1:1/arena cannot be read"),
        ("postgres://ann:s3cret@[::1", "address of a PostgreSQL|cannot be read"),
        ("postgresql://ann:s3cret@h/x?nonsense=1", "no address of a PostgreSQL"),
        ("mysql://ann:s3cret@h/x", "mysql:// is no database"),
        ("sqlite:///nowhere/arena.db", "no such file"),
        ("nowhere.json", "nowhere.json cannot be read"),
    ],
)
def test_says_why_a_source_cannot_be_read_without_its_password(address: str, says: str) -> None:
    with pytest.raises(Unreadable, match=says) as caught:
        taken(source_of(address))
    assert "s3cret" not in str(caught.value)


def test_says_why_an_sqlite_file_cannot_be_read(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"SQLite format 3\x00" + b"\x01" * 5000)
    with pytest.raises(Unreadable, match="damaged.db cannot be read"):
        taken(source_of(str(damaged)))
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as made:
        made.execute("CREATE TABLE cats (name TEXT)")
    made.close()
    with pytest.raises(Unreadable, match="neither a table arena_state nor a table bots"):
        taken(source_of(str(other)))


def _meant(item: Item) -> str:
    """An item without how it was spelled: a jsonb column orders keys anew and drops spaces."""
    return json.dumps([item.section, item.bot, item.index, item.key, _sorted(item.value), item.problem])


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(part) for part in value] if isinstance(value, list) else value
