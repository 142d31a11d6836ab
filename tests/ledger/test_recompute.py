"""Statistics compared with their rows: differences are named by row and column, and made right while others write."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from bots.models import BotStats
from ground.errors import NotFound
from ground.scope import system_scope
from ledger.models import (
    BotAccount,
    BotDecision,
    BotFee,
    BotStateSnapshot,
    BotTradeHour,
    BotTradeSpan,
    EquityBucket,
    Trade,
)
from ledger.services.recompute_statistics import recompute_statistics
from ledger.services.thin_snapshots import thin_snapshots
from ledger.services.verify_ledger import verify_ledger
from tests.fixtures import Cast
from tests.ledger.planted import HOUR, NOW, healthy, plant, snapshots

SCOPE = system_scope("statistics")
FIGURES = (BotStats, BotTradeHour, BotTradeSpan, BotFee, EquityBucket)
UNCOMPARED = ("id", "updated_at")


@pytest.fixture
def rows(cast: Cast) -> dict[str, Any]:
    """A healthy ledger; the rows of acme by name."""
    return healthy(cast)


def compare(**options: Any) -> list[str]:
    return [str(line) for found in recompute_statistics(scope=SCOPE, now=NOW, **options) for line in found.differences]


def figures() -> list[str]:
    return sorted(
        f"{model.__name__} {sorted((k, v) for k, v in row.items() if k not in UNCOMPARED)}"
        for model in FIGURES
        for row in model.objects.values()
    )


SPOILED = [
    "UPDATE bot_stats SET pnl = 1, trades = 77, first_trade_at = NULL WHERE bot_id = '{acme}'",
    "DELETE FROM bot_stats WHERE bot_id = '{acme}'",
    "UPDATE bot_trade_hours SET volume = 0, worst_pnl = -3 WHERE id = {sold}",
    "UPDATE bot_trade_hours SET symbol = 'DOGE/USDT' WHERE id = {sold}",
    "DELETE FROM bot_trade_hours WHERE id = {bought}",
    "UPDATE bot_trade_spans SET trades = 3, best_pnl = NULL WHERE id = {traded_day}",
    "DELETE FROM bot_trade_spans WHERE id = {traded_month}",
    "UPDATE bot_trade_spans SET span = 'month', start_at = start_at - interval '50 days' WHERE id = {traded_day}",
    "UPDATE bot_fees SET currency = 'EUR' WHERE id = {bnb}",
    "UPDATE bot_equity_buckets SET high = 1, first_at = last_at, snapshots = 1 WHERE id = {morning}",
    "DELETE FROM bot_equity_buckets WHERE id = {morning}",
    "UPDATE bot_equity_buckets SET max_drawdown = 1 WHERE id = {day}",
    "UPDATE bot_equity_buckets SET start_at = start_at - interval '1 day' WHERE id = {day}",
]


@pytest.mark.parametrize("statement", SPOILED)
def test_a_spoiled_figure_is_named_and_made_right(rows: dict[str, Any], cast: Cast, statement: str) -> None:
    before = figures()
    plant(statement.format(**rows))
    named = compare()
    assert named and all("the rows give" in line for line in named) and figures() != before
    assert compare(bot_id=cast.globex_bot) == []
    assert compare(bot_id=cast.acme_bot) == named
    assert compare(fix=True) == named
    assert figures() == before and compare() == []


def test_a_bucket_knows_more_than_thinning_left(rows: dict[str, Any], cast: Cast) -> None:
    week = 24 * 7 * HOUR
    snapshots(cast.acme_bot, [100, 300, 50, 200, 120, 110], start=NOW - 8 * 24 * HOUR)
    snapshots(cast.acme_bot, [100, 300, 50, 200, 120, 110], start=NOW - 70 * 24 * HOUR)
    before = figures()
    thin_snapshots(scope=SCOPE, now=NOW, force=True)
    assert BotStateSnapshot.objects.filter(bot_id=cast.acme_bot, taken_at__lt=NOW - week).count() < 12
    assert compare() == [] and compare(fix=True) == []
    assert len(figures()) == len(before) - 1  # the hour of 70 days ago is forgotten, its day is not
    bucket = EquityBucket.objects.get(bot_id=cast.acme_bot, span="hour", high=300)
    plant(f"UPDATE bot_equity_buckets SET high = 90, last_at = first_at WHERE id = {bucket.id}")
    assert {line.partition(":")[0] for line in compare(fix=True)} >= {f"bot_equity_buckets {bucket.id}"}
    assert compare() == []


def test_repair_counts_what_others_write_meanwhile(rows: dict[str, Any], cast: Cast) -> None:
    done = threading.Event()

    def write() -> None:
        with contextlib.closing(connection):
            number = 0
            while not done.is_set():
                number += 1
                BotDecision.objects.create(
                    client_id=cast.acme, bot_id=cast.acme_bot, decided_at=NOW, prompt_sent="?", execution_success=False
                )
                snapshots(cast.acme_bot, [number], start=NOW + number * HOUR / 100)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(5):
            plant(f"UPDATE bot_stats SET trades = 0, decisions = 0 WHERE bot_id = '{cast.acme_bot}'")
            compare(fix=True)
    finally:
        done.set()
        writer.join()
    assert compare() == []
    assert (
        BotStats.objects.get(bot_id=cast.acme_bot).decisions == BotDecision.objects.filter(bot_id=cast.acme_bot).count()
    )


def test_command_prints_row_and_column_and_repairs_when_told(
    rows: dict[str, Any], cast: Cast, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("recompute_statistics")
    assert "Every statistic is what its rows give." in capsys.readouterr().out
    plant(f"UPDATE bot_stats SET trades = 4 WHERE bot_id = '{cast.acme_bot}'")
    with pytest.raises(CommandError, match="1 figures of 1 bots differ"):
        call_command("recompute_statistics")
    assert f"bot_stats {cast.acme_bot}: trades is 4, the rows give 3" in capsys.readouterr().out
    call_command("recompute_statistics", "--fix", f"--bot={cast.acme_bot}")
    assert "are repaired" in capsys.readouterr().out
    call_command("recompute_statistics")
    with pytest.raises(CommandError, match="no such bot"):
        call_command("recompute_statistics", f"--bot={cast.acme}")


def test_a_bot_that_does_not_exist_is_an_error(cast: Cast) -> None:
    with pytest.raises(NotFound):
        compare(bot_id=cast.acme)
    assert verify_ledger(scope=SCOPE, now=NOW) and not Trade.objects.exists() and not BotAccount.objects.exists()
