"""Whatever stands in an old state: what can be taken is taken, what cannot is named, and nothing is half-written."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from ledger.models import ArenaImport, BotDecision, Position, Trade
from tests.ledger import arena_blobs
from tests.ledger.test_import import ASTROLOGER, MS, everything, one, put, verify

ORDER = ASTROLOGER["orders"][2]
EXIT = ASTROLOGER["orders"][1]


def staged() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM arena_staging_orders) + (SELECT count(*) FROM arena_staging_fields)"
        )
        return int(cursor.fetchone()[0])


REFUSED = {
    "a word for a number": (ORDER | {"price": "abc"}, "price is not a number that can be stored: 'abc'."),
    "a boolean for a number": (ORDER | {"size": True}, "size is not a number that can be stored: true."),
    "NaN": (ORDER | {"price": float("nan")}, "price is NaN, which is no number."),
    "Infinity in a field nobody knows": (ORDER | {"whim": [float("inf")]}, "whim is Infinity, which is no number."),
    "a negative size": (ORDER | {"size": -5}, "size must be above 0 and is -5."),
    "no price": (EXIT | {"price": None}, "It has no price."),
    "a price of nothing": (ORDER | {"price": 0}, "price must be above 0 and is 0."),
    "a huge exponent": (ORDER | {"size": "1e400"}, "size is too large: '1e400'."),
    "a quadrillion": (EXIT | {"pnl": -1e15}, "pnl is too large: -1000000000000000.0."),
    "a price too small to be held": (ORDER | {"price": "1e-30"}, "price must be above 0 and is '1e-30'."),
    "no such symbol": (ORDER | {"symbol": "¿?"}, "The symbol '¿?' cannot be read."),
    "a list for a symbol": (ORDER | {"symbol": ["BTCUSDT"]}, "Its symbol is no text."),
    "no id": ({k: v for k, v in ORDER.items() if k != "id"}, "It has no id."),
    "an endless id": (ORDER | {"id": "x" * 191}, "Its id is longer than 190 characters."),
    "no direction": (ORDER | {"action": "UP"}, "It does not say LONG or SHORT"),
    "no time": (ORDER | {"timestamp": None}, "It has no timestamp."),
    "a time before there were bots": (ORDER | {"timestamp": 12}, "timestamp is no instant after 1973: 12."),
    "no leverage to speak of": (ORDER | {"leverage": 0}, "leverage is not between 0.0001 and 999999: 0."),
    "NUL": (ORDER | {"note": "a\0b"}, "note holds a NUL character."),
    "half a surrogate pair": (ORDER | {"note": "\ud800"}, "note holds half of a surrogate pair."),
    "a string": ("LONG", "An order must be an object."),
    "a well": (json.loads("[" * 70 + "]" * 70), "It is nested deeper than 64 levels."),
}


def test_every_broken_order_is_named_with_its_place_and_its_reason(database: None, tmp_path: Path) -> None:
    orders = [broken for broken, _ in REFUSED.values()]
    report = put(tmp_path, one(orders=[*orders, EXIT, ORDER]))
    found = {item["path"]: item["reason"] for item in report["refused"]}
    for index, (name, (_, reason)) in enumerate(REFUSED.items()):
        assert found.pop(f"bots[0].orders[{index}]").startswith(reason), name
    assert not found
    assert set(Trade.objects.values_list("source_id", flat=True)) == {"order_1", "order_2"}
    assert report["bots"][0]["orders"] | {"changed": 0} == {
        "read": len(orders) + 2, "new": 2, "known": 0, "changed": 0, "refused": len(orders),
        "entries_without_partner": 0, "exits_without_partner": 0,
    }  # fmt: skip
    verify()


def test_numbers_and_times_in_other_clothes_are_taken(database: None, tmp_path: Path) -> None:
    clothes: list[dict[str, Any]] = [
        {"timestamp": MS // 1000}, {"timestamp": "2024-11-06T16:55:07Z"}, {"timestamp": "2024-11-06 16:55:07"},
        {"timestamp": str(MS)}, {"timestamp": MS / 1000}, {"price": "2.40", "size": "100"}, {"price": 24e-1},
        {"symbol": "xrp/usdt"}, {"action": "long", "side": "ENTRY"}, {"id": 17},
    ]  # fmt: skip
    orders = [ORDER | {"id": f"o{n}"} | worn for n, worn in enumerate(clothes)]
    report = put(tmp_path, one(orders=orders, portfolio={"positions": []}))
    assert report["refused"] == []
    rows = set(Trade.objects.values_list("executed_at", "price", "quantity", "symbol", "action"))
    assert len(rows) == 1 and Trade.objects.count() == len(clothes)
    assert Trade.objects.get(source_id="17").extra["with"] == {"id": 17}
    first = everything()
    put(tmp_path, one(orders=orders, portfolio={"positions": []}))
    assert everything() == first


def test_duplicates_are_taken_once(database: None, tmp_path: Path) -> None:
    other = ORDER | {"size": 7}
    both = EXIT | {"id": ORDER["id"]}  # some wrote an exit under its entry's id
    state = one(orders=[ORDER, ORDER, other, both], botLogs=[ASTROLOGER["botLogs"][0]] * 2)
    state["bots"].append(ASTROLOGER | {"name": "again"})
    state["bots"][0]["portfolio"] = {"positions": ASTROLOGER["portfolio"]["positions"] * 2}
    report = put(tmp_path, state)
    assert [(item["path"], item["reason"][:43]) for item in report["refused"]] == [
        ("bots[1]", "A bot before it has the same id; that one w"),
        ("bots[0].orders[1]", "It is the same as orders[0]."),
        ("bots[0].orders[2]", "Its id is that of orders[0], which says som"),
        ("bots[0].portfolio.positions[1]", "A position before it has the same id; that "),
        ("bots[0].botLogs[1]", "It is the same as botLogs[0], or has its id"),
    ]
    assert sorted(Trade.objects.values_list("source_id", "trade_type", "size")) == [
        ("order_1", "entry", 100), ("order_1#exit", "exit", 100),
    ]  # fmt: skip
    assert Position.objects.get(status="closed").realized_pnl == Decimal("5.23")
    first = everything()
    put(tmp_path, state)
    assert everything() == first
    verify()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "ends in the middle"),
        (b"[1, 2]", "not a JSON object"),
        (b'"just words"', "not a JSON object"),
        (b'{"bots": {}}', "its bots are not a list"),
        (b'{"marketData": []}', "it has no list of bots"),
        (b'{"bots": [{"id": "a", "orders": [{"id" 1}]}]}', "not JSON"),
        (b'{"bots": []} {"bots": []}', "nothing more was expected"),
        (b'{"bots": [}', "not JSON"),
        (b"\x00\x01\x02", "not a JSON object"),
    ],
)
def test_what_is_no_state_is_not_imported(database: None, tmp_path: Path, text: bytes, reason: str) -> None:
    before = everything()
    with pytest.raises(CommandError, match=f"{reason}.*Nothing was written"):
        put(tmp_path, text)
    assert everything() == before and staged() == 0 and not ArenaImport.objects.exists()


def test_a_state_cut_off_anywhere_leaves_nothing(database: None, tmp_path: Path) -> None:
    before, whole = everything(), json.dumps(arena_blobs.state(orders=6, logs=2)).encode()
    for cut in range(1, len(whole), len(whole) // 23):
        with pytest.raises(CommandError, match="Nothing was written"):
            put(tmp_path, whole[:cut], "--commit-every", "3")
        assert everything() == before and staged() == 0, cut
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_arena_state", str(tmp_path / "absent.json"))


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_strings_of_64_megabytes_are_passed_over_in_little_memory(database: None, tmp_path: Path) -> None:
    path, report = tmp_path / "big.json", tmp_path / "report.json"
    with path.open("w") as file:
        head = json.dumps({k: v for k, v in ASTROLOGER.items() if k not in ("orders", "botLogs")})
        file.write('{"bots": [' + head[:-1] + ', "botLogs": [{"timestamp": 1, "prompt": "')
        _fill(file, 64)
        file.write('"}, ' + json.dumps(ASTROLOGER["botLogs"][0]) + '], "orders": [')
        file.write(json.dumps(ORDER) + ', {"id": "')
        _fill(file, 64)
        file.write('"}, ' + json.dumps(EXIT) + '], "valueHistory": "')
        _fill(file, 64)
        file.write('"}]}')
    code = (
        "import sys, django; django.setup()\n"
        "from pathlib import Path\n"
        "from django.core.management import call_command\n"
        "def most(): return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) // 1024\n"
        "before = most()\n"
        "call_command('import_arena_state', sys.argv[1], report=Path(sys.argv[2]))\n"
        "print(most() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(report)], env=_environment(), cwd=settings.BASE_DIR, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    refused = json.loads(report.read_text())["refused"]
    assert [item["path"] for item in refused] == ["bots[0].botLogs[0]", "bots[0].orders[1]", "bots[0].valueHistory"]
    assert all("at most 8,388,608 are taken" in item["reason"] for item in refused)
    assert Trade.objects.count() == 2 and BotDecision.objects.count() == 1
    assert int(done.stdout.splitlines()[-1]) < 64


def test_an_import_killed_in_the_middle_is_taken_up_again(database: None, tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    counts = arena_blobs.write_blob(path, bytes_wanted=3_000_000)
    process = subprocess.Popen(
        [sys.executable, "manage.py", "import_arena_state", str(path), "--commit-every", "500"], env=_environment(),
        cwd=settings.BASE_DIR, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not (done := _items()) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL and not Trade.objects.exists()
    done = _items()
    assert 0 < done < sum(counts.values())
    interrupted = ArenaImport.objects.get(status="staging")
    _mark_what_is_staged()
    said = io.StringIO()
    call_command("import_arena_state", str(path), stdout=said)
    assert Trade.objects.count() == counts["orders"] and BotDecision.objects.count() == counts["logs"]
    assert Trade.objects.filter(fee=77).count() > 0, "what was staged before was used, not read again"
    assert ArenaImport.objects.get().id == interrupted.id and staged() == 0
    verify()


def test_an_interrupted_import_of_another_state_is_forgotten(database: None, tmp_path: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO arena_staging_state VALUES ('another', 'arena', 5)")
        cursor.execute("INSERT INTO arena_staging_fields VALUES (1, 'state_field', NULL, NULL, 'left', '1', '')")
    ArenaImport.objects.create(source="arena", origin="x", digest="another")
    put(tmp_path, one())
    assert ArenaImport.objects.get().status == "done" and Trade.objects.count() == 3
    assert not [row for row in everything()["kept_documents"] if '"left"' in row]


def _items() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(items), 0) FROM arena_staging_state")
        return int(cursor.fetchone()[0])


def _mark_what_is_staged() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE arena_staging_orders SET fee = 77")


def _fill(file: io.TextIOBase, megabytes: int) -> None:
    for _ in range(megabytes):
        file.write("x\\n" * 349_525)


def _environment() -> dict[str, str]:
    """For a process that works on this test's database."""
    url, _, options = os.environ["DATABASE_URL"].partition("?")
    own = f"{url.rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    return {**os.environ, "DATABASE_URL": f"{own}?{options}" if options else own,
            "DJANGO_SETTINGS_MODULE": "bridge_project.settings"}  # fmt: skip
