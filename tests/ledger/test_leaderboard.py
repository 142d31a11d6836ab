"""Every figure on a board equals a naive computation over the raw rows, and nobody's moves with another's rows."""

from __future__ import annotations

import random
import statistics
import uuid
import zlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any

import pytest
from django.utils import timezone

from bots.models import Bot
from ground.scope import system_scope
from ledger.models import BotAccount, BotStateSnapshot, LeaderboardEntry, LedgerSettings, Trade
from ledger.rules.bootstrap import compounded_interval
from ledger.rules.words import Period
from ledger.services.refresh_boards import refresh_board, refresh_boards, refresh_due_boards
from ledger.services.refresh_intervals import refresh_intervals
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
    for row in rows[::40]:
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
    known = BotStateSnapshot.objects.filter(bot_id=bot_id, total_value__isnull=False).order_by("taken_at")
    every = list(known.values_list("taken_at", "total_value", "benchmark_price", named=True))
    if owner.allocated_capital is None:
        every = []
    before, inside = [s for s in every if s.taken_at <= since], [s for s in every if s.taken_at >= since]
    start = owner.allocated_capital if not back else (before or inside or [None])[-1 if before else 0]
    opening = [start] if not back else [start.total_value] if before else []
    values = [*opening, *(s.total_value for s in inside)] if inside else []
    line["return_pct"] = (values[-1] / values[0] - 1) * 100 if len(values) > 1 and values[0] > 0 else None
    line["equity"] = values[-1] if values else None
    line["max_drawdown"] = max(
        (1 - v / peak for v, peak in zip(values, accumulate(values, max), strict=True)), default=None
    )
    first = every[0] if not back and every else (before or inside or [None])[-1 if before else 0]
    line["baseline_return_pct"] = None
    if inside and first is not inside[-1] and first.benchmark_price and inside[-1].benchmark_price:
        line["baseline_return_pct"] = (inside[-1].benchmark_price / first.benchmark_price - 1) * 100
    width = HOUR if period in ("daily", "weekly") else DAY
    return line | naive_ratios(
        steps_of([(s.taken_at, s.total_value) for s in inside], width=width, now=now), width=width
    )


def naive_steps(bot_id: uuid.UUID, period: str) -> list[Decimal]:
    """The returns between whole, neighbouring hours or days."""
    since = (NOW - LOOKS_BACK[period]).replace(minute=0, second=0, microsecond=0)
    rows = BotStateSnapshot.objects.filter(bot_id=bot_id, taken_at__gte=since, total_value__isnull=False)
    values = list(rows.order_by("taken_at").values_list("taken_at", "total_value"))
    return steps_of(values, width=HOUR if period in ("daily", "weekly") else DAY, now=NOW)


def steps_of(values: list[tuple[datetime, Decimal]], *, width: timedelta, now: datetime) -> list[Decimal]:
    last: dict[datetime, Decimal] = {}
    for at, value in values:
        begin = at.replace(minute=0, second=0, microsecond=0)
        last[begin if width == HOUR else begin.replace(hour=0)] = value
    whole = {begin: value for begin, value in last.items() if begin + width <= now}
    return [whole[at] / whole[at - width] - 1 for at in whole if at - width in whole]


def naive_ratios(steps: list[Decimal], *, width: timedelta) -> dict[str, Any]:
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
    walk(made["old"], seed=1, days=45, step=timedelta(minutes=47))
    walk(made["live"], seed=2, days=20, step=timedelta(minutes=33))
    walk(made["young"], seed=3, days=0.4)
    walk(made["idle"], seed=4, days=9, step=timedelta(minutes=90), end=NOW - 12 * DAY)
    walk(made["poor"], seed=5, days=3)
    for back in LOOKS_BACK.values():  # a tick falls on a period's very begin
        at = (NOW - back).replace(minute=0)
        old = {"client_id": made["old"].client_id, "bot_id": made["old"].bot_id}
        BotStateSnapshot.objects.get_or_create(**old, taken_at=at, defaults={"total_value": 9000})
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
    assert done is not None and done.snapshots > 300
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


def test_a_board_kept_from_minute_to_minute_is_the_board_made_anew(world: dict[str, BotAccount]) -> None:
    """Between full hours a refresh looks at little; trades and snapshots may be late at any time."""
    owners = [world["old"], world["live"], world["young"]]
    dice = random.Random(7)
    now = NOW
    for minutes in (1, 9, 10, 17, 60, 5, 480, 30, 30):
        now += timedelta(minutes=minutes)
        for owner in owners:
            BotStateSnapshot.objects.create(
                client_id=owner.client_id, bot_id=owner.bot_id, taken_at=now, total_value=dice.randint(7000, 13000),
                benchmark_price=100 if owner.mode == "live" else None,
            )  # fmt: skip
        deal(dice.choice(owners), seed=minutes, count=6, days=9, end=now)
        if minutes in (10, 480):
            BotStateSnapshot.objects.create(
                client_id=owners[0].client_id, bot_id=owners[0].bot_id, taken_at=now - timedelta(days=8, minutes=minutes),
                total_value=15_000 + minutes,
            )  # fmt: skip
        if minutes == 17:
            walk(account(make_bot("client_acme", name="newcomer")), seed=8, days=0.3, end=now)
        for period in Period:
            refresh_board(scope=SCOPE, period=period, now=now, whole=False)
        for (bot_id, period), entry in lines().items():
            assert_line(entry, naive(bot_id, period, now))


def test_equity_is_not_compared_across_a_changed_capital(cast: Any) -> None:
    owner, other = account(cast.acme_bot), account(cast.globex_bot)
    walk(owner, seed=1, days=12)
    walk(other, seed=2, days=12)
    refresh_boards(scope=SCOPE, now=NOW)
    moved_at = NOW - timedelta(days=2, hours=4)
    BotAccount.objects.filter(bot_id=owner.bot_id).update(allocated_capital=20_000)
    assert BotAccount.objects.get(bot_id=owner.bot_id).capital_changed_at is not None
    BotAccount.objects.filter(bot_id=owner.bot_id).update(capital_changed_at=moved_at)
    since = (moved_at + HOUR).replace(minute=0, second=0, microsecond=0)
    for whole in (False, True):
        LeaderboardEntry.objects.filter(bot_id=owner.bot_id).update(carried_to=moved_at - HOUR)
        for period in Period:
            refresh_board(scope=SCOPE, period=period, now=NOW, whole=whole)
        kept = BotStateSnapshot.objects.filter(bot_id=owner.bot_id, total_value__isnull=False, taken_at__gte=moved_at)
        before = kept.filter(taken_at__lte=since).order_by("taken_at").last()
        values = list(kept.filter(taken_at__gt=since).order_by("taken_at").values_list("total_value", flat=True))
        for period, start in (
            ("weekly", before.total_value),
            ("monthly", before.total_value),
            ("all_time", Decimal(20_000)),
        ):
            line = lines()[owner.bot_id, period]
            points = [start, *values] if period != "all_time" else [start, before.total_value, *values]
            assert_line(line, {
                "return_pct": (values[-1] / start - 1) * 100, "start_value": start, "equity": values[-1],
                "max_drawdown": max(1 - v / max(points[: n + 1]) for n, v in enumerate(points)),
            })  # fmt: skip
    for period in Period:
        assert_line(lines()[other.bot_id, period], naive(other.bot_id, period))


def test_boards_are_refreshed_once_a_minute_and_retired_bots_leave(world: dict[str, BotAccount]) -> None:
    assert refresh_due_boards(scope=SCOPE, now=NOW) == len(world) * len(Period)
    assert refresh_due_boards(scope=SCOPE, now=NOW + timedelta(seconds=30)) is None
    Bot.objects.filter(id=world["old"].bot_id).update(retired_at=NOW)
    assert refresh_due_boards(scope=SCOPE, now=NOW + timedelta(seconds=60)) == 4
    assert not lines(bot_id=world["old"].bot_id)


def test_intervals_are_those_of_the_returns_and_stay_while_nothing_moves(world: dict[str, BotAccount]) -> None:
    refresh_boards(scope=SCOPE, now=NOW)
    lively = [key for key, entry in lines().items() if entry.return_pct is not None]
    assert refresh_intervals(scope=SCOPE, now=NOW, most=2) == 2
    assert refresh_intervals(scope=SCOPE, now=NOW) == len(lively) - 2
    assert refresh_intervals(scope=SCOPE, now=NOW) == 0
    found = lines()
    old = found[world["old"].bot_id, "weekly"]
    steps = naive_steps(world["old"].bot_id, "weekly")
    expected = compounded_interval(steps, seed=zlib.crc32(f"{old.bot_id} weekly".encode()))
    assert expected is not None
    assert_line(old, {"return_low_pct": expected.low * 100, "return_high_pct": expected.high * 100})
    assert old.is_distinguishable == (not expected.low <= 0 <= expected.high)
    young = found[world["young"].bot_id, "monthly"]
    assert (young.return_low_pct, young.is_distinguishable) == (None, None) and young.interval_at == NOW
    BotAccount.objects.filter(bot_id=old.bot_id).update(allocated_capital=None)
    refresh_boards(scope=SCOPE, now=NOW + timedelta(minutes=1))
    refresh_intervals(scope=SCOPE, now=NOW + timedelta(minutes=1))
    gone = lines()[old.bot_id, "weekly"]
    assert (gone.return_pct, gone.return_low_pct, gone.is_distinguishable, gone.interval_at) == (None,) * 4


def shown(caller: Any, path: str) -> dict[str, Any]:
    answer = caller.get(f"/api/leaderboard/{path}")
    assert answer.status == 200, answer
    return answer.body


def test_a_board_ranks_what_the_caller_sees_and_says_why_not(cast: Any, world: dict[str, BotAccount]) -> None:
    LedgerSettings.objects.update_or_create(id=1, defaults={"minimum_closed_trades": 1})
    refresh_boards(scope=SCOPE, now=NOW)
    refresh_intervals(scope=SCOPE, now=NOW)
    twin = account(make_bot("client_globex", name="twin"))
    LeaderboardEntry.objects.create(
        bot_id=twin.bot_id, client_id=twin.client_id, period="weekly", mode="paper", currency="USDT", is_ranked=True,
        return_pct=lines()[world["old"].bot_id, "weekly"].return_pct, updated_at=NOW,
    )  # fmt: skip
    body = shown(cast.operator, "weekly?mode=paper")
    assert (body["period"], body["mode"], body["count"]) == ("weekly", "paper", 5)
    ranked = [line for line in body["leaderboard"] if line["rank"] is not None]
    assert {line["bot_name"]: line["rank"] for line in ranked} in (
        {"acme maker": 1, "twin": 1, "young": 3}, {"young": 1, "acme maker": 2, "twin": 2},
    )  # fmt: skip
    last = body["leaderboard"][-1]
    assert last["rank"] is None and last["unranked_reason"].endswith(".") and last["return_pct"] is None
    old = next(line for line in ranked if line["bot_name"] == "acme maker")
    stored = lines()[world["old"].bot_id, "weekly"]
    for name in (
        "total_pnl",
        "win_rate",
        "sharpe_ratio",
        "max_drawdown",
        "return_pct",
        "fees",
        "volume",
        "return_low_pct",
    ):
        assert old[name] == pytest.approx(float(getattr(stored, name)), rel=1e-12)
    assert old["total_trades"] == stored.total_trades and old["updated_at"].endswith("Z")
    assert old["certainty"].startswith("Not distinguishable" if not stored.is_distinguishable else "Distinguishable")

    mine = shown(cast.acme_reads, "weekly?mode=paper")
    assert {line["bot_name"] for line in mine["leaderboard"]} == {"acme maker", "young", "idle"}
    assert sorted(line["rank"] for line in mine["leaderboard"] if line["rank"]) == [1, 2]
    assert shown(cast.operator, "daily?limit=1&mode=paper")["count"] == 1
    assert shown(cast.operator, "daily")["mode"] == "live"
    assert shown(cast.acme_reads, "daily")["mode"] == "live"  # "poor" is live, though it has no rank
    assert {line["bot_name"] for line in shown(cast.operator, "daily")["leaderboard"]} == {"globex maker", "poor"}


def test_a_malformed_question_is_refused_with_a_sentence(cast: Any) -> None:
    for path, status in (
        ("yearly", 404), ("daily?mode=demo", 400), ("daily?limit=0", 400), ("daily?limit=x", 400), ("stats?mode=x", 400),
        (f"bot/{cast.acme_bot}/history?days=0", 400), (f"bot/{cast.acme_bot}/history?days=99999", 400),
        (f"bot/{cast.globex_bot}/history", 404), (f"bot/{uuid.uuid4()}/history", 404),
    ):  # fmt: skip
        answer = cast.acme_reads.get(f"/api/leaderboard/{path}")
        assert answer.status == status and answer.body["detail"].endswith("."), (path, answer)
    for path in ("daily", "stats", f"bot/{cast.acme_bot}/history"):
        assert cast.nobody.get(f"/api/leaderboard/{path}").status == 401
        assert cast.acme_bot_pings.get(f"/api/leaderboard/{path}").status == 403
    assert shown(cast.acme_reads, "all_time") | {"refreshed_at": None} == {
        "period": "all_time", "mode": "paper", "count": 0, "total": 0, "refreshed_at": None, "minimum_closed_trades": 5,
        "leaderboard": [],
    }  # fmt: skip


def test_sums_of_several_currencies_and_modes_are_never_added_up(cast: Any) -> None:
    for name, pair, mode, pnl in (
        ("a", "BTC/USDT", "paper", "5"), ("b", "BTC/USDT", "paper", "-2"), ("c", "BTC/EUR", "paper", "100"),
        ("d", "BTC/USDT", "live", "1000"),
    ):  # fmt: skip
        owner = account(make_bot("client_acme", name=name, pair=pair), mode=mode, currency=pair[4:])
        trade(owner, mode=mode, symbol=pair, currency=owner.currency, pnl=pnl).save()
    refresh_boards(scope=SCOPE, now=NOW)
    body = shown(cast.acme_reads, "stats?mode=paper")
    assert {k: body[k] for k in ("currency", "total_bots", "total_users", "total_trades", "total_pnl", "avg_win_rate")} == {
        "currency": "USDT", "total_bots": 2, "total_users": 1, "total_trades": 2, "total_pnl": 3, "avg_win_rate": 0.5,
    }  # fmt: skip
    assert [(o["mode"], o["currency"], o["total_pnl"]) for o in body["others"]] == [
        ("live", "USDT", 1000), ("paper", "EUR", 100),
    ]  # fmt: skip
    assert shown(cast.acme_reads, "stats")["mode"] == "live"
    none = shown(cast.globex_manages, "stats")
    assert (none["total_bots"], none["total_pnl"], none["avg_win_rate"], none["others"]) == (0, None, None, [])


def test_history_is_a_curve_of_at_most_a_thousand_points(cast: Any) -> None:
    owner = account(cast.acme_bot)
    now = timezone.now()
    BotStateSnapshot.objects.bulk_create(
        BotStateSnapshot(
            client_id=owner.client_id, bot_id=owner.bot_id, taken_at=now - timedelta(minutes=10 * n), total_value=n + 1,
            balance=n, realized_pnl=Decimal("1.5"), win_rate=Decimal("0.25"), trade_count=n,
        )
        for n in range(2000)
    )  # fmt: skip
    body = shown(cast.acme_reads, f"bot/{cast.acme_bot}/history?days=1")
    assert (body["botId"], body["days"], body["count"]) == (str(cast.acme_bot), 1, 144)
    newest = body["history"][-1]
    assert (newest["total_value"], newest["balance"], newest["realized_pnl"], newest["win_rate"]) == (1, 0, 1.5, 0.25)
    assert newest["timestamp"].endswith("Z") and newest["timestamp"] > body["history"][0]["timestamp"]
    long = shown(cast.acme_reads, f"bot/{cast.acme_bot}/history?days=14")
    assert 900 < long["count"] <= 1001 and long["history"][-1]["total_value"] == 1


def test_no_figure_and_no_rank_of_a_tenant_moves_with_anothers_rows(cast: Any) -> None:
    """Two bots with the same name and pair, one each; then one of them lives on."""
    mine = account(make_bot("client_acme", name="same"))
    theirs = account(make_bot("client_globex", name="same"))
    for owner in (mine, theirs):
        walk(owner, seed=4, days=9)
        deal(owner, seed=4, count=60, days=9)
    refresh_boards(scope=SCOPE, now=NOW)
    refresh_intervals(scope=SCOPE, now=NOW)
    paths = [f"{period}?mode=paper" for period in Period] + ["stats", f"bot/{mine.bot_id}/history?days=3650"]
    before = [shown(cast.acme_reads, path) for path in paths]
    same = {**vars(lines()[mine.bot_id, "weekly"]), "id": 0, "_state": 0, "bot_id": 0, "client_id": 0}
    other = {**vars(lines()[theirs.bot_id, "weekly"]), "id": 0, "_state": 0, "bot_id": 0, "client_id": 0}
    apart = {"return_low_pct": 0, "return_high_pct": 0, "is_distinguishable": 0}  # each draws its own lots
    assert same | apart == other | apart

    walk(theirs, seed=9, days=8.95, end=NOW - timedelta(minutes=7))
    deal(theirs, seed=10, count=200, days=9)
    walk(account(make_bot("client_globex", name="best")), seed=3, days=5)
    refresh_boards(scope=SCOPE, now=NOW)
    refresh_intervals(scope=SCOPE, now=NOW)
    after = [shown(cast.acme_reads, path) for path in paths]
    for board in before + after:
        board.pop("refreshed_at", None)
    assert after == before
    assert [line["rank"] for line in after[1]["leaderboard"]] == [1]
