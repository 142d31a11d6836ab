"""Every figure on a board equals a naive computation over the raw rows, and nobody's moves with another's rows."""

from __future__ import annotations

import random
import statistics
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ground.scope import system_scope
from ledger.models import BotAccount, BotStateSnapshot, LeaderboardEntry, LedgerSettings, Trade
from ledger.rules.words import Period
from ledger.services.refresh_boards import refresh_boards
from ledger.services.thin_snapshots import thin_snapshots
from tests.fixtures import make_bot
from tests.ledger.test_figures import trade
from tests.ledger.test_snapshots import account

pytestmark = pytest.mark.usefixtures("database")
SCOPE = system_scope("tests")
NOW = datetime(2026, 3, 20, 15, 37, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LOOKS_BACK = {"daily": DAY, "weekly": 7 * DAY, "monthly": 30 * DAY}
CLOSE = Decimal("1e-12")


def walk(
    owner: BotAccount, *, seed: int, days: float, step: timedelta = timedelta(minutes=20), end: datetime = NOW
) -> None:
    """Equity that wanders, with gaps, written out of order and in several statements."""
    dice, value, price = random.Random(seed), Decimal(10_000), Decimal(100)
    rows, at = [], end - timedelta(days=days)
    while at <= end:
        value += Decimal(dice.randint(-9000, 9100)) / 100
        price += Decimal(dice.randint(-100, 100)) / 1000
        if dice.random() > 0.1 and at.hour != 3:
            known = dice.random() > 0.05
            rows.append(BotStateSnapshot(
                client_id=owner.client_id, bot_id=owner.bot_id, taken_at=at.replace(second=0, microsecond=0),
                total_value=value if known else None, benchmark_price=price if owner.mode == "live" else None,
            ))  # fmt: skip
        at += step
    dice.shuffle(rows)
    for start in range(0, len(rows), 400):
        BotStateSnapshot.objects.bulk_create(rows[start : start + 400])


def deal(owner: BotAccount, *, seed: int, count: int, days: float, end: datetime = NOW) -> None:
    """Trades of every kind; some arrive late, some are corrected, some turn out not to have been."""
    dice = random.Random(seed)
    rows = []
    for _ in range(count):
        at = end - timedelta(days=days) * dice.random()
        pnl = dice.choice([None, Decimal(0), Decimal(dice.randint(-900, 1000)) / 7])
        rows.append(trade(
            owner, mode=owner.mode, executed_at=at, pnl=pnl and round(pnl, 18), price=Decimal(dice.randint(100, 999)) / 10,
            symbol=dice.choice(["BTC/USDT", "ETH/USDT"]), fee_quote=dice.choice([None, Decimal("0.37")]),
        ))  # fmt: skip
    Trade.objects.bulk_create(rows)
    for row in rows[::9]:
        Trade.objects.filter(id=row.id).update(pnl=Decimal("-3.5"), executed_at=row.executed_at - HOUR)
    Trade.objects.filter(id__in=[row.id for row in rows[4::11]]).delete()


def naive(bot_id: uuid.UUID, period: str, now: datetime = NOW) -> dict[str, Any]:
    """One line of a board, by lists and loops over the raw rows."""
    owner = BotAccount.objects.get(bot_id=bot_id)
    back = LOOKS_BACK.get(period)
    since = (now - back).replace(minute=0, second=0, microsecond=0) if back else datetime(1970, 1, 1, tzinfo=UTC)
    trades = list(Trade.objects.filter(bot_id=bot_id, executed_at__gte=since))
    pnls = [t.pnl for t in trades if t.pnl is not None]
    wins, losses = sum(p for p in pnls if p > 0), -sum(p for p in pnls if p < 0)
    line: dict[str, Any] = {
        "total_trades": len(trades), "closed_trades": len(pnls), "total_pnl": Decimal(sum(pnls)),
        "win_rate": Decimal(len([p for p in pnls if p > 0])) / len(pnls) if pnls else None,
        "profit_factor": wins / losses if losses else None,
        "fees": sum((t.fee_quote for t in trades if t.fee_quote is not None), Decimal(0)),
        "volume": sum((t.price * t.quantity for t in trades), Decimal(0)),
    }  # fmt: skip
    if period == "all_time":
        line["total_pnl"] += owner.realized_pnl_adjustment
    every = [
        s for s in BotStateSnapshot.objects.filter(bot_id=bot_id).order_by("taken_at") if s.total_value is not None
    ]
    if owner.allocated_capital is None:
        every = []
    before, inside = [s for s in every if s.taken_at <= since], [s for s in every if s.taken_at >= since]
    start = owner.allocated_capital if not back else (before or inside or [None])[-1 if before else 0]
    opening = [start] if not back else [start.total_value] if before else []
    values = [*opening, *(s.total_value for s in inside)] if inside else []
    line["return_pct"] = (values[-1] / values[0] - 1) * 100 if len(values) > 1 and values[0] > 0 else None
    line["equity"] = values[-1] if values else None
    line["max_drawdown"] = max((1 - v / max(values[: n + 1]) for n, v in enumerate(values)), default=None)
    first = every[0] if not back and every else (before or inside or [None])[-1 if before else 0]
    line["baseline_return_pct"] = None
    if inside and first is not inside[-1] and first.benchmark_price and inside[-1].benchmark_price:
        line["baseline_return_pct"] = (inside[-1].benchmark_price / first.benchmark_price - 1) * 100
    width = HOUR if period in ("daily", "weekly") else DAY
    line |= naive_ratios([(s.taken_at, s.total_value) for s in inside], width=width, now=now)
    return line


def naive_ratios(values: list[tuple[datetime, Decimal]], *, width: timedelta, now: datetime) -> dict[str, Any]:
    last: dict[datetime, Decimal] = {}
    for at, value in values:
        begin = at.replace(minute=0, second=0, microsecond=0)
        last[begin if width == HOUR else begin.replace(hour=0)] = value
    whole = {begin: value for begin, value in last.items() if begin + width <= now}
    steps = [whole[at] / whole[at - width] - 1 for at in whole if at - width in whole]
    if len(steps) < 10:
        return dict.fromkeys(("sharpe_ratio", "sortino_ratio", "volatility"))
    yearly = Decimal(365 * 24 if width == HOUR else 365).sqrt()
    downside = (sum(min(s, Decimal(0)) ** 2 for s in steps) / len(steps)).sqrt()
    return {
        "sharpe_ratio": statistics.mean(steps) / statistics.stdev(steps) * yearly,
        "sortino_ratio": statistics.mean(steps) / downside * yearly if downside else None,
        "volatility": statistics.stdev(steps) * yearly,
    }


def assert_line(entry: LeaderboardEntry, expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        found = getattr(entry, name)
        if value is None or found is None:
            assert found is value, (entry.period, name, found, value)
        else:
            assert abs(found - value) <= CLOSE * max(1, abs(value)), (entry.period, name, found, value)


def lines(**chosen: Any) -> dict[tuple[uuid.UUID, str], LeaderboardEntry]:
    return {(e.bot_id, e.period): e for e in LeaderboardEntry.objects.filter(**chosen)}


@pytest.fixture
def world(cast: Any) -> dict[str, BotAccount]:
    """Bots old and young, live and on paper, with and without a capital."""
    made = {
        "old": account(cast.acme_bot, realized_pnl_adjustment=Decimal("12.5")),
        "live": account(cast.globex_bot, mode="live"),
        "young": account(make_bot("client_acme", name="young")),
        "idle": account(make_bot("client_acme", name="idle")),
        "poor": account(make_bot("client_acme", name="poor"), mode="live", allocated_capital=None),
        "empty": account(make_bot("client_globex", name="empty"), allocated_capital=0),
    }
    walk(made["old"], seed=1, days=45)
    walk(made["live"], seed=2, days=20)
    walk(made["young"], seed=3, days=0.4)
    walk(made["idle"], seed=4, days=9, end=NOW - 12 * DAY)
    walk(made["poor"], seed=5, days=3)
    for seed, name in enumerate(made):
        deal(made[name], seed=seed, count=150, days=44)
    return made


def test_every_figure_equals_the_naive_computation(world: dict[str, BotAccount]) -> None:
    refresh_boards(scope=SCOPE, now=NOW)
    found = lines()
    assert len(found) == len(world) * len(Period)
    for (bot_id, period), entry in found.items():
        assert_line(entry, naive(bot_id, period))
    old = found[world["old"].bot_id, "monthly"]
    assert None not in (old.return_pct, old.sharpe_ratio, old.sortino_ratio, old.max_drawdown, old.profit_factor)
    live = found[world["live"].bot_id, "weekly"]
    assert live.baseline_return_pct is not None and live.since_at is not None
    assert refresh_boards(scope=SCOPE, now=NOW + timedelta(seconds=9)) == 0  # nothing changed, nothing is written

    # Late rows move the figures as if they had come in time.
    deal(world["old"], seed=77, count=40, days=30)
    late = [
        NOW - DAY + timedelta(minutes=41),
        NOW - 29 * DAY + timedelta(minutes=43),
        NOW - 44 * DAY + timedelta(minutes=3),
    ]
    BotStateSnapshot.objects.bulk_create(
        BotStateSnapshot(client_id=world["old"].client_id, bot_id=world["old"].bot_id, taken_at=at, total_value=value)
        for at, value in zip(late, (20_000, 19_000, 30), strict=True)
    )
    before = found
    refresh_boards(scope=SCOPE, now=NOW)
    found = lines()
    for period in Period:
        entry = found[world["old"].bot_id, period]
        assert entry.max_drawdown != before[world["old"].bot_id, period].max_drawdown
        assert_line(entry, naive(world["old"].bot_id, period))


def test_thinned_snapshots_leave_every_board_as_it_was(world: dict[str, BotAccount]) -> None:
    refresh_boards(scope=SCOPE, now=NOW)
    before = {key: vars(entry) for key, entry in lines().items()}
    done = thin_snapshots(scope=SCOPE, now=NOW)
    assert done is not None and done.snapshots > 1000
    refresh_boards(scope=SCOPE, now=NOW)
    for key, entry in lines().items():
        for name in ("return_pct", "equity", "max_drawdown", "sharpe_ratio", "sortino_ratio", "volatility", "since_at"):
            assert getattr(entry, name) == before[key][name], (key, name)


def test_a_line_without_a_rank_says_why(world: dict[str, BotAccount]) -> None:
    Trade.objects.filter(bot_id=world["young"].bot_id).delete()
    refresh_boards(scope=SCOPE, now=NOW)
    reasons = {name: lines(period="daily")[owner.bot_id, "daily"].unranked_reason for name, owner in world.items()}
    assert reasons["poor"] == "No capital is allocated to it, so its return cannot be told."
    assert reasons["idle"] == reasons["empty"] == "Too little of its equity is known in this period."
    assert reasons["young"] == "Fewer than 5 closed trades in this period."
    LedgerSettings.objects.update(minimum_closed_trades=0)
    refresh_boards(scope=SCOPE, now=NOW)
    entry = lines(period="daily")[world["young"].bot_id, "daily"]
    assert entry.is_ranked and entry.unranked_reason == "" and entry.sharpe_ratio is None and entry.win_rate is None
    young = lines(period="weekly")[world["young"].bot_id, "weekly"]
    assert young.return_pct is not None and young.since_at > NOW - DAY  # it began within the period


def test_figures_that_nothing_could_hold_are_empty_and_hurt_nobody(cast: Any) -> None:
    absurd, other = account(cast.acme_bot, allocated_capital=Decimal("1e-18")), account(cast.globex_bot)
    for minutes, value in ((70, Decimal("1e-18")), (10, Decimal("9e19"))):
        BotStateSnapshot.objects.create(
            client_id=absurd.client_id,
            bot_id=absurd.bot_id,
            taken_at=NOW - timedelta(minutes=minutes),
            total_value=value,
        )
    walk(other, seed=1, days=2)
    refresh_boards(scope=SCOPE, now=NOW)
    entry = lines()[absurd.bot_id, "all_time"]
    assert (entry.return_pct, entry.is_ranked, entry.unranked_reason) == (
        None,
        False,
        "Its return is out of all bounds.",
    )
    assert_line(lines()[other.bot_id, "all_time"], naive(other.bot_id, "all_time"))


def test_negative_equity_is_a_fall_of_everything_and_nothing_more(cast: Any) -> None:
    owner = account(cast.acme_bot)
    for minutes, value in ((200, 100), (130, 10), (70, -5), (10, 1)):
        BotStateSnapshot.objects.create(
            client_id=owner.client_id, bot_id=owner.bot_id, taken_at=NOW - timedelta(minutes=minutes), total_value=value
        )
    refresh_boards(scope=SCOPE, now=NOW)
    assert lines()[owner.bot_id, "daily"].max_drawdown == 1
