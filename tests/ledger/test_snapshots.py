"""Snapshots are taken once a tick for every active bot, and thinned without losing what must stay."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bots.models import Bot, BotStats
from bridge_project.celery import app
from ground.scope import system_scope
from ledger.models import BotAccount, BotStateSnapshot, EquityBucket, LedgerSettings, LedgerState, Position
from ledger.services.take_snapshots import take_snapshots
from ledger.services.thin_snapshots import thin_snapshots
from tests.fixtures import make_bot
from tests.ledger.test_figures import trade

pytestmark = pytest.mark.usefixtures("database")
SCOPE = system_scope("tests")
TICK = datetime(2026, 3, 1, 12, 20, tzinfo=UTC)
SOON = TICK + timedelta(seconds=4)


def account(bot_id: uuid.UUID, **values: Any) -> BotAccount:
    bot = Bot.objects.get(id=bot_id)
    given = {"mode": "paper", "currency": "USDT", "allocated_capital": Decimal(10000)} | values
    return BotAccount.objects.create(bot=bot, client_id=bot.client_id, **given)


def position(owner: BotAccount, **values: Any) -> Position:
    given = {
        "client_id": owner.client_id, "bot_id": owner.bot_id, "mode": owner.mode, "market_type": "swap",
        "symbol": "BTC/USDT", "currency": "USDT", "position_type": "LONG", "entry_price": 100, "size": 200,
        "opened_quantity": 2, "quantity": 2, "basis_quantity": 2, "basis_cost": 200, "unrealized_pnl": 7,
        "opened_at": TICK,
    } | values  # fmt: skip
    return Position.objects.create(**given)


def wanted(*bots: uuid.UUID) -> None:
    Bot.objects.filter(id__in=bots).update(desired_status="running")


def test_a_snapshot_follows_the_money_equation(cast: Any) -> None:
    owner = account(cast.acme_bot, realized_pnl_adjustment=3, balance_adjustment=1, mode="live")
    position(owner)
    position(owner, symbol="ETH/USDT", size=50, unrealized_pnl=-2, basis_fees=1)
    trade(owner, pnl="5", mode="live").save()
    trade(owner, pnl="-1", mode="live").save()
    trade(owner, pnl=None, mode="live").save()
    BotStats.objects.filter(bot_id=owner.bot_id).update(last_price=Decimal("101.5"))
    BotAccount.objects.filter(bot_id=owner.bot_id).update(cash_flow=1 + 3 + 4 - 251)
    wanted(cast.acme_bot)

    assert take_snapshots(scope=SCOPE, now=SOON) == 1
    taken = BotStateSnapshot.objects.get()
    assert (taken.bot_id, taken.client_id, taken.taken_at) == (cast.acme_bot, cast.acme, TICK)
    assert (taken.balance, taken.realized_pnl, taken.unrealized_pnl, taken.total_value) == (9757, 7, 5, 10012)
    assert (taken.trade_count, taken.closed_trade_count, taken.win_rate) == (3, 2, Decimal("0.5"))
    assert (taken.fees, taken.open_positions, taken.benchmark_price) == (Decimal("0.3"), 2, Decimal("101.5"))


def test_equity_is_empty_where_a_mark_or_the_capital_is_missing(cast: Any) -> None:
    marked, unmarked = account(cast.acme_bot, allocated_capital=None), account(cast.globex_bot)
    position(marked)
    position(unmarked)
    position(unmarked, symbol="ETH/USDT", unrealized_pnl=None)
    assert take_snapshots(scope=SCOPE, now=SOON) == 2  # neither is wanted running, but both hold something
    first = BotStateSnapshot.objects.get(bot_id=cast.acme_bot)
    assert (first.balance, first.unrealized_pnl, first.total_value, first.win_rate) == (None, 7, None, None)
    second = BotStateSnapshot.objects.get(bot_id=cast.globex_bot)
    assert (second.balance, second.unrealized_pnl, second.total_value) == (10000, None, None)
    assert not EquityBucket.objects.exists()


def test_active_bots_get_an_account_and_others_nothing(cast: Any) -> None:
    arena = make_bot("client_acme", name="arena", pair="SOL/USDC")
    Bot.objects.filter(id=arena).update(runtime_kind="arena")
    retired = make_bot("client_acme", name="old")
    wanted(cast.acme_bot, arena, retired)
    Bot.objects.filter(id=retired).update(retired_at=TICK)
    assert take_snapshots(scope=SCOPE, now=SOON) == 2
    accounts = {a.bot_id: (a.mode, a.currency, a.allocated_capital) for a in BotAccount.objects.all()}
    assert accounts == {cast.acme_bot: ("live", "USDT", None), arena: ("paper", "USDC", None)}
    assert {s.bot_id for s in BotStateSnapshot.objects.all()} == set(accounts)


def test_a_tick_is_recorded_once_and_a_missed_one_is_not_invented(cast: Any) -> None:
    account(cast.acme_bot)
    wanted(cast.acme_bot)
    assert take_snapshots(scope=SCOPE, now=TICK + timedelta(minutes=5)) is None  # too late for the tick
    assert take_snapshots(scope=SCOPE, now=TICK + timedelta(minutes=10)) == 1
    assert take_snapshots(scope=SCOPE, now=TICK + timedelta(minutes=11)) is None
    assert take_snapshots(scope=SCOPE, now=TICK) is None  # a clock that goes back
    assert take_snapshots(scope=SCOPE, now=TICK + timedelta(minutes=41)) == 1
    taken = BotStateSnapshot.objects.order_by("taken_at").values_list("taken_at", flat=True)
    assert list(taken) == [TICK + timedelta(minutes=10), TICK + timedelta(minutes=40)]
    LedgerSettings.objects.update(snapshot_minutes=1)
    assert take_snapshots(scope=SCOPE, now=TICK + timedelta(minutes=42, seconds=29)) == 1


def test_many_workers_at_once_record_a_tick_once(cast: Any) -> None:
    bots = [make_bot("client_acme", name=f"b{n}") for n in range(5)]
    wanted(*bots)
    results: list[int | None] = []
    start = threading.Barrier(4)

    def work() -> None:
        try:
            start.wait()
            results.append(take_snapshots(scope=SCOPE, now=SOON))
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(results, key=str) == [5, None, None, None]
    assert BotStateSnapshot.objects.count() == 5
    assert LedgerState.objects.get().snapshot_at == TICK


def test_every_task_that_beat_starts_exists_and_is_safe_twice(cast: Any) -> None:
    wanted(cast.acme_bot)
    app.autodiscover_tasks(force=True)
    names = {entry["task"] for entry in django_settings.CELERY_BEAT_SCHEDULE.values()}
    kept = {"ledger.take_snapshots", "ledger.refresh_boards", "ledger.refresh_intervals", "ledger.thin_snapshots"}
    assert kept <= names <= set(app.tasks)
    for name in sorted(kept) * 2:
        app.tasks[name]()
    assert LedgerState.objects.get().boards_at is not None


NOW = datetime(2026, 6, 30, 15, 37, tzinfo=UTC)


def kept_naively(moments: list[datetime], *, full_days: int, hourly_days: int) -> list[datetime]:
    """The very first, all of the newest days, then the last of each hour, then the last of each day."""
    full_from = (NOW - timedelta(days=full_days)).replace(minute=0, second=0, microsecond=0)
    hourly_from = (NOW - timedelta(days=hourly_days)).replace(hour=0, minute=0, second=0, microsecond=0)
    kept = set(moments[:1])
    for moment in moments:
        if moment >= full_from:
            kept.add(moment)
            continue
        width = timedelta(hours=1) if moment >= hourly_from else timedelta(days=1)
        begin = moment.replace(minute=0, second=0, microsecond=0)
        begin = begin if width < timedelta(days=1) else begin.replace(hour=0)
        kept.add(max(m for m in moments if begin <= m < begin + width))
    return sorted(kept)


def stored(bot_id: uuid.UUID) -> list[datetime]:
    return list(BotStateSnapshot.objects.filter(bot_id=bot_id).order_by("taken_at").values_list("taken_at", flat=True))


def fill(owner: BotAccount, moments: list[datetime], **values: Any) -> None:
    BotStateSnapshot.objects.bulk_create(
        BotStateSnapshot(client_id=owner.client_id, bot_id=owner.bot_id, taken_at=at, **values) for at in moments
    )


AGES = st.lists(
    st.integers(min_value=0, max_value=12 * 24 * 6).map(lambda n: NOW - timedelta(minutes=10 * n)),
    unique=True, min_size=1, max_size=80,
)  # fmt: skip


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mine=AGES, theirs=AGES, late=AGES)
def test_thinning_keeps_what_it_must_whatever_came_when(
    cast: Any, mine: list[datetime], theirs: list[datetime], late: list[datetime]
) -> None:
    BotStateSnapshot.objects.all().delete()
    BotAccount.objects.all().delete()
    LedgerSettings.objects.update_or_create(id=1, defaults={"keep_full_days": 2, "keep_hourly_days": 5})
    one, two = account(cast.acme_bot), account(cast.globex_bot)
    fill(one, sorted(mine), source="old arena")
    fill(two, sorted(theirs))
    thin_snapshots(scope=SCOPE, now=NOW, force=True)
    assert stored(one.bot_id) == kept_naively(sorted(mine), full_days=2, hourly_days=5)
    fill(one, sorted(set(late) - set(stored(one.bot_id))))
    expected = kept_naively(stored(one.bot_id), full_days=2, hourly_days=5)
    for _ in range(2):
        thin_snapshots(scope=SCOPE, now=NOW, force=True)
        assert stored(one.bot_id) == expected
    assert stored(two.bot_id) == kept_naively(sorted(theirs), full_days=2, hourly_days=5)


def test_thinning_by_several_at_once_in_small_batches_is_thinning_once(
    cast: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.services.thin_snapshots.ROWS_AT_ONCE", 40)
    monkeypatch.setattr("ledger.services.thin_snapshots.BOTS_AT_ONCE", 1)
    owners = [account(cast.acme_bot), account(cast.globex_bot)]
    moments = [NOW - timedelta(minutes=50 * n) for n in range(1400)][::-1]
    for owner in owners:
        fill(owner, moments)

    def work() -> None:
        try:
            thin_snapshots(scope=SCOPE, now=NOW, force=True)
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    thin_snapshots(scope=SCOPE, now=NOW, force=True)
    for owner in owners:
        assert stored(owner.bot_id) == kept_naively(moments, full_days=7, hourly_days=30)
    assert thin_snapshots(scope=SCOPE, now=NOW + timedelta(hours=5)) is None  # once a day is enough


def test_a_pass_out_of_time_leaves_no_mark_and_the_next_goes_on(cast: Any) -> None:
    owner = account(cast.acme_bot)
    fill(owner, [NOW - timedelta(days=60, minutes=n) for n in range(50)][::-1])
    ticks = iter([0.0, 100.0, 100.0, 100.0])
    done = thin_snapshots(scope=SCOPE, now=NOW, clock=lambda: next(ticks))
    assert done is not None and not done.is_whole and not LedgerState.objects.filter(thinned_at__isnull=False).exists()
    done = thin_snapshots(scope=SCOPE, now=NOW)
    assert done is not None and done.is_whole and done.snapshots == 48


def test_old_hours_of_equity_go_and_days_stay(cast: Any) -> None:
    owner = account(cast.acme_bot)
    fill(owner, [NOW - timedelta(days=61), NOW - timedelta(days=59)], total_value=5)
    assert EquityBucket.objects.count() == 4
    done = thin_snapshots(scope=SCOPE, now=NOW)
    assert done is not None and done.hours == 1
    assert [(b.span, b.start_at.date().day) for b in EquityBucket.objects.order_by("start_at", "span")] == [
        ("day", 30), ("day", 2), ("hour", 2),
    ]  # fmt: skip
