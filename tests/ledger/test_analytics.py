"""Analytics against an independent computation from the raw rows, written the plain way."""

from __future__ import annotations

import math
import random
import statistics
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from bots.models import Bot
from ledger.models import BotAccount, BotStateSnapshot, Position, Trade
from tests.fixtures import Cast, make_bot
from tests.ledger.rows import a_trade, put_account, put_position, put_snapshot, put_trades

NOW = datetime(2026, 3, 31, 12, 34, 56, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RANGES = {"24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "all": None}
ALL = "/api/analytics/"


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@dataclass
class World:
    cast: Cast
    one: BotAccount  # acme's, live, USDT
    two: BotAccount  # acme's second
    foreign: BotAccount  # globex', with the name and the symbols of the first


def fill(owner: BotAccount, chance: random.Random, *, days: int) -> None:
    """Trades and snapshots of one bot: every half hour for nine days, every three hours before that, with gaps."""
    put_trades(*(a_random_trade(owner, chance, days) for _ in range(120)))
    value = Decimal(10_000)
    made = []
    at = NOW.replace(minute=0, second=0) - timedelta(days=days)
    while at <= NOW:
        value = max(Decimal(100), value + Decimal(chance.randint(-90, 95)))
        if chance.random() > 0.03:
            made.append(
                BotStateSnapshot(client_id=owner.client_id, bot_id=owner.bot_id, taken_at=at, total_value=value)
            )
        at += timedelta(minutes=30) if NOW - at < 9 * DAY else 3 * HOUR
    BotStateSnapshot.objects.bulk_create(made)


def a_random_trade(owner: BotAccount, chance: random.Random, days: int) -> Trade:
    kind = chance.choice(["buy", "sell", "short", "cover"])
    values: dict[str, Any] = {"symbol": chance.choice(["BTC/USDT", "ETH/USDT"]), "market_type": "swap"}
    values |= {"price": chance.randint(1, 500), "fee_quote": chance.choice([None, "0.25"])}
    if kind in ("sell", "cover"):
        values["pnl"] = chance.choice([None, *(Decimal(chance.randint(-5000, 5500)) / 100 for _ in range(6))])
    return a_trade(owner, kind, NOW - timedelta(seconds=chance.randrange(1, days * 86400)), **values)


@pytest.fixture
def world(cast: Cast) -> World:
    chance = random.Random(11)
    Bot.objects.filter(id=cast.acme_bot).update(name="twin", desired_status="running")
    Bot.objects.filter(id=cast.globex_bot).update(name="twin", desired_status="running")
    second = make_bot("client_acme", name="second")
    Bot.objects.filter(id=second).update(desired_status="running")
    one, two, foreign = (put_account(bot) for bot in (cast.acme_bot, second, cast.globex_bot))
    fill(one, chance, days=45)
    fill(two, chance, days=40)
    fill(foreign, chance, days=45)
    return World(cast, one, two, foreign)


# ---- the plain way ----


def since_of(name: str) -> datetime:
    span = RANGES[name]
    return (NOW - span).replace(minute=0, second=0) if span else datetime(1970, 1, 1, tzinfo=UTC)


def trades_of(bots: list[uuid.UUID], name: str) -> list[Trade]:
    return [t for t in Trade.objects.filter(bot_id__in=bots) if t.executed_at >= since_of(name)]


def plainly_traded(trades: list[Trade]) -> dict[str, Any]:
    pnls = [float(t.pnl) for t in trades if t.pnl is not None]
    wins, losses = [p for p in pnls if p > 0], [p for p in pnls if p < 0]
    return {
        "total_pnl": sum(pnls),
        "total_trades": len(trades),
        "closed_trades": len(pnls),
        "winning_trades": len(wins),
        "losing_trades": len(losses),
        "win_rate": 100 * len(wins) / len(pnls) if pnls else None,
        "avg_win": sum(wins) / len(wins) if wins else None,
        "avg_loss": sum(losses) / len(losses) if losses else None,
        "gross_profit": sum(wins),
        "gross_loss": -sum(losses),
        "profit_factor": sum(wins) / -sum(losses) if losses else None,
        "expectancy": sum(pnls) / len(pnls) if pnls else None,
        "fees": sum(float(t.fee_quote or 0) for t in trades),
        "volume": sum(float(t.price * t.quantity) for t in trades),
    }


def plain_equity(bots: list[uuid.UUID], name: str) -> dict[str, Any]:
    """Return, drawdown and interval returns from every snapshot, by dictionaries and loops."""
    since, step = since_of(name), HOUR if name in ("24h", "7d") else DAY
    seen = {
        bot: [
            (s.taken_at, float(s.total_value)) for s in BotStateSnapshot.objects.filter(bot_id=bot).order_by("taken_at")
        ]
        for bot in bots
    }

    def begin(at: datetime) -> datetime:
        return at.replace(minute=0, second=0) if step == HOUR else at.replace(hour=0, minute=0, second=0)

    if name == "all":
        openings = [float(BotAccount.objects.get(bot_id=bot).allocated_capital) for bot in bots]
    else:
        openings = [[v for at, v in seen[bot] if at <= since][-1] for bot in bots]
    closes: dict[datetime, dict[uuid.UUID, float]] = {}
    for bot in bots:
        for at, value in seen[bot]:
            if begin(at) >= begin(since):
                closes.setdefault(begin(at), {})[bot] = value
    joint = {at: sum(values.values()) for at, values in sorted(closes.items()) if len(values) == len(bots)}
    whole = [at for at in joint if at + step <= NOW]
    returns = [joint[b] / joint[a] - 1 for a, b in zip(whole, whole[1:], strict=False) if b - a == step]
    every = [v for at, v in seen[bots[0]] if at >= since]
    line = openings + every if len(bots) == 1 else [sum(openings), *joint.values()]
    fall, peak = 0.0, 0.0
    for value in line:
        peak = max(peak, value)
        fall = max(fall, 1 - value / peak)
    return {
        "total_return": list(joint.values())[-1] / sum(openings) - 1, "max_drawdown": fall, "steps": returns, "line": line,
        "a_year": 8760 if step == HOUR else 365,
    }  # fmt: skip


def plain_risk(found: dict[str, Any]) -> dict[str, Any]:
    steps, a_year = found["steps"], found["a_year"]
    middle = statistics.fmean(steps)
    downside = math.sqrt(statistics.fmean(min(0.0, s) ** 2 for s in steps))
    return {
        "sharpe_ratio": middle / statistics.stdev(steps) * math.sqrt(a_year),
        "sortino_ratio": middle / downside * math.sqrt(a_year),
        "volatility": statistics.stdev(steps) * math.sqrt(a_year),
        "average_return": middle,
        "max_drawdown": found["max_drawdown"],
        "total_return": found["total_return"],
        "returns": len(steps),
    }


def close_to(expected: Any) -> Any:
    """Equal but for what floats lose; None is only None."""
    if isinstance(expected, dict):
        return {name: close_to(value) for name, value in expected.items()}
    if isinstance(expected, tuple):
        return tuple(close_to(value) for value in expected)
    return None if expected is None else pytest.approx(expected, rel=1e-9, abs=1e-12)


# ---- figures ----


def test_every_figure_is_what_the_raw_rows_say(world: World) -> None:
    bots = [world.one.bot_id, world.two.bot_id]
    for name in RANGES:
        expected = plainly_traded(trades_of(bots, name))
        risk = plain_risk(plain_equity(bots, name))
        get = world.cast.acme_reads.get
        head = {"timeRange": name, "mode": "live", "currency": "USDT", "currencies": ["USDT"], "bots": 2,
                "since": None if name == "all" else since_of(name).isoformat().replace("+00:00", "Z")}  # fmt: skip
        summary = get(f"{ALL}aggregate/summary?timeRange={name}").body
        assert {key: summary[key] for key in head} == head
        assert {key: summary["summary"][key] for key in expected} == close_to(expected)
        assert summary["summary"]["return_percent"] == close_to(100 * risk["total_return"])
        metrics = get(f"{ALL}risk-metrics?timeRange={name}").body
        assert metrics["metrics"] == close_to(risk)
        assert metrics["intervals_per_year"] == (8760 if name in ("24h", "7d") else 365)
        body = get(f"{ALL}performance?timeRange={name}").body
        assert {key: body[key] for key in ("totalPnL", "totalPnLPercent", "totalTrades", "winRate", "avgWin", "avgLoss",
                                           "sharpeRatio", "maxDrawdown", "returnPercent", "equityBots")} == close_to({
            "totalPnL": expected["total_pnl"], "totalPnLPercent": expected["total_pnl"] / 20_000 * 100,
            "totalTrades": expected["total_trades"], "winRate": expected["win_rate"], "avgWin": expected["avg_win"],
            "avgLoss": expected["avg_loss"], "sharpeRatio": risk["sharpe_ratio"], "maxDrawdown": risk["max_drawdown"],
            "returnPercent": 100 * risk["total_return"], "equityBots": 2,
        })  # fmt: skip


def test_profit_of_all_time_holds_what_an_import_found_booked_in_no_trade(world: World) -> None:
    get = world.cast.acme_reads.get
    before = {name: get(f"{ALL}performance?timeRange={name}").body["totalPnL"] for name in ("all", "7d")}
    BotAccount.objects.filter(bot_id=world.one.bot_id).update(realized_pnl_adjustment=Decimal("12.5"))
    ever, week = (get(f"{ALL}performance?timeRange={name}").body for name in ("all", "7d"))
    assert (ever["totalPnL"], ever["pnlAdjustment"]) == (close_to(before["all"] + 12.5), 12.5)
    assert (week["totalPnL"], week["pnlAdjustment"]) == (before["7d"], 0)
    summary = get(f"{ALL}aggregate/summary?timeRange=all").body["summary"]
    assert (summary["total_pnl"], summary["pnl_adjustment"]) == (ever["totalPnL"], 12.5)


def test_one_bot_and_bots_side_by_side_agree_with_the_raw_rows(world: World) -> None:
    get = world.cast.acme_reads.get
    ids = [world.two.bot_id, world.one.bot_id]
    for name in RANGES:
        named = ",".join(map(str, [*ids, world.foreign.bot_id, "nobody", ids[0]]))
        both = get(f"{ALL}comparison?bot_ids={named}&timeRange={name}").body["bots"]
        assert [bot["botId"] for bot in both] == [str(one) for one in ids]
        for bot_id, shown in zip(ids, both, strict=True):
            assert get(f"{ALL}performance/{bot_id}?timeRange={name}").body == shown
            expected = plainly_traded(trades_of([bot_id], name))
            risk = plain_risk(plain_equity([bot_id], name))
            assert (shown["totalPnL"], shown["totalTrades"]) == close_to(
                (expected["total_pnl"], expected["total_trades"])
            )
            assert (shown["sharpeRatio"], shown["maxDrawdown"], shown["returnPercent"]) == close_to(
                (risk["sharpe_ratio"], risk["max_drawdown"], 100 * risk["total_return"])
            )


def test_ratios_are_those_of_a_well_kept_library(world: World) -> None:
    empyrical = pytest.importorskip("empyrical", reason="empyrical-reloaded is not installed")
    numpy = pytest.importorskip("numpy")
    for name in RANGES:
        found = plain_equity([world.one.bot_id], name)
        steps, line = numpy.array(found["steps"]), numpy.array(found["line"])
        metrics = world.cast.acme_reads.get(
            f"{ALL}comparison?bot_ids={world.one.bot_id}&timeRange={name}"
        ).body["bots"][0]  # fmt: skip
        assert metrics["sharpeRatio"] == close_to(empyrical.sharpe_ratio(steps, annualization=found["a_year"]))
        assert metrics["maxDrawdown"] == close_to(-empyrical.max_drawdown(line[1:] / line[:-1] - 1))


def test_symbols_add_up_and_the_best_and_worst_trades_are_found(world: World) -> None:
    bots = [world.one.bot_id, world.two.bot_id]
    for name in RANGES:
        trades = trades_of(bots, name)
        get = world.cast.acme_reads.get
        body = get(f"{ALL}aggregate/by-symbol?timeRange={name}").body
        expected = {s: plainly_traded([t for t in trades if t.symbol == s]) for s in ("BTC/USDT", "ETH/USDT")}
        assert body["total_symbols"] == 2
        assert [row["symbol"] for row in body["symbols"]] == sorted(expected, key=lambda s: -expected[s]["total_pnl"])
        for row in body["symbols"]:
            assert {key: row[key] for key in expected[row["symbol"]]} == close_to(expected[row["symbol"]])
        closed = [t for t in trades if t.pnl is not None]
        found = get(f"{ALL}aggregate/best-worst?timeRange={name}&limit=4").body
        best = sorted(closed, key=lambda t: (t.pnl, t.executed_at), reverse=True)[:4]
        worst = sorted(closed, key=lambda t: (-t.pnl, t.executed_at), reverse=True)[:4]
        assert [row["id"] for row in found["best_trades"]] == [str(t.id) for t in best]
        assert [row["id"] for row in found["worst_trades"]] == [str(t.id) for t in worst]
        assert found["best_trades"][0]["pnl"] == float(best[0].pnl) and found["best_trades"][0]["bot_name"]
        assert len(get(f"{ALL}aggregate/best-worst?timeRange={name}").body["best_trades"]) == min(5, len(closed))


PATHS = ("performance", "risk-metrics", "aggregate/best-worst", "aggregate/by-symbol", "aggregate/summary")


def test_nothing_of_one_tenant_moves_with_anothers_rows(world: World) -> None:
    paths = [f"{ALL}{path}?timeRange={name}" for path in PATHS for name in RANGES]
    paths += [f"{ALL}comparison?bot_ids={world.one.bot_id},{world.foreign.bot_id}"]
    before = [world.cast.acme_reads.get(path).body for path in paths]
    put_trades(a_trade(world.foreign, "sell", NOW - HOUR, pnl="99999"), a_trade(world.foreign, "buy", NOW))
    put_snapshot(world.foreign, NOW, 5)
    assert [world.cast.acme_reads.get(path).body for path in paths] == before
    as_operator = [world.cast.operator.get(f"{path}&account=client_acme").body for path in paths[:-1]]
    assert as_operator == before[:-1]
    everybody = world.cast.operator.get(f"{ALL}performance").body
    assert everybody["bots"] == 3 and everybody["totalTrades"] == 362


@pytest.mark.parametrize("path", PATHS)
def test_analytics_are_for_those_who_may_and_empty_for_what_is_not_there(world: World, path: str) -> None:
    cast = world.cast
    statuses = [c.get(ALL + path).status for c in (cast.nobody, cast.acme_bot_pings, cast.acme_reads, cast.operator)]
    assert statuses == [401, 403, 200, 200]
    for asked in ("account=nobody", "account=client_globex", "mode=paper", "currency=EUR"):
        body = cast.acme_reads.get(f"{ALL}{path}?{asked}").body
        assert body["bots"] == 0 and "99999" not in str(body)
    for bad in ("timeRange=1y", "mode=demo"):
        assert cast.acme_reads.get(f"{ALL}{path}?{bad}").status == 400


def test_a_bot_of_somebody_else_has_no_performance(world: World) -> None:
    path = f"{ALL}performance/{world.one.bot_id}"
    callers = (world.cast.globex_manages, world.cast.acme_reads, world.cast.operator, world.cast.nobody)
    assert [caller.get(path).status for caller in callers] == [404, 200, 200, 401]
    assert world.cast.acme_reads.get(path + "?timeRange=x").status == 400
    assert world.cast.acme_reads.get(f"{ALL}comparison").status == 400
    assert world.cast.acme_reads.get(f"{ALL}comparison?bot_ids={','.join(map(str, range(51)))}").status == 400
    assert world.cast.acme_reads.get(f"{ALL}comparison?bot_ids=%00,{world.foreign.bot_id}").body["bots"] == []
    assert world.cast.acme_reads.get(f"{ALL}aggregate/best-worst?limit=101").status == 400


def test_what_cannot_be_computed_is_null_and_not_zero(cast: Cast) -> None:
    shown = cast.acme_reads.get(f"{ALL}performance").body
    assert shown["currency"] is None and shown["totalTrades"] == 0
    nulls = (
        "winRate",
        "avgWin",
        "avgLoss",
        "profitFactor",
        "sharpeRatio",
        "maxDrawdown",
        "returnPercent",
        "totalPnLPercent",
    )
    assert {shown[name] for name in nulls} == {None}
    owner = put_account(cast.acme_bot, allocated_capital=None)
    put_trades(a_trade(owner, "buy", NOW - HOUR), a_trade(owner, "sell", NOW - HOUR, pnl="4"))
    shown = cast.acme_reads.get(f"{ALL}performance/{cast.acme_bot}").body
    assert (shown["winRate"], shown["avgWin"], shown["avgLoss"], shown["profitFactor"]) == (100, 4, None, None)
    assert (shown["totalPnLPercent"], shown["returnPercent"], shown["equityBots"]) == (None, None, 0)
    risk = cast.acme_reads.get(f"{ALL}risk-metrics?timeRange=24h").body["metrics"]
    assert risk.pop("returns") == 0 and set(risk.values()) == {None}
    BotAccount.objects.update(allocated_capital=100)
    BotAccount.objects.update(capital_changed_at=None)  # the trigger goes by the database's clock
    put_snapshot(owner, NOW - HOUR, 104)
    day = cast.acme_reads.get(f"{ALL}risk-metrics?timeRange=24h").body["metrics"]
    assert (day["total_return"], day["max_drawdown"], day["sharpe_ratio"]) == (None, 0, None)
    ever = cast.acme_reads.get(f"{ALL}performance").body
    assert (ever["returnPercent"], ever["totalPnLPercent"], ever["sharpeRatio"]) == (4, 4, None)


def test_currencies_and_modes_are_never_added_up(cast: Cast) -> None:
    live = put_account(cast.acme_bot)
    euro = put_account(make_bot("client_acme", pair="BTC/EUR"))
    paper = put_account(make_bot("client_acme", runtime_kind="arena"), mode="paper")
    put_trades(a_trade(live, "sell", NOW, pnl="1"), *(a_trade(euro, "sell", NOW, pnl="10") for _ in range(2)),
               *(a_trade(paper, "sell", NOW, pnl="100") for _ in range(3)))  # fmt: skip
    get = cast.acme_reads.get

    def told(query: str) -> tuple[Any, ...]:
        body = get(f"{ALL}performance{query}").body
        return body["mode"], body["currency"], body["totalPnL"], body["currencies"]

    assert told("") == ("live", "EUR", 20, ["EUR", "USDT"])
    assert told("?currency=usdt") == ("live", "USDT", 1, ["EUR", "USDT"])
    assert told("?mode=paper") == ("paper", "USDT", 300, ["USDT"])
    put_trades(a_trade(live, "sell", NOW, pnl="1"))
    assert told("")[1] == "EUR"  # a tie goes by name
    Trade.objects.filter(mode="live").delete()
    BotAccount.objects.filter(mode="live").delete()
    assert told("") == ("paper", "USDT", 300, ["USDT"])


def test_a_bot_that_rests_keeps_its_last_value_among_the_others(cast: Cast) -> None:
    one, two = put_account(cast.acme_bot), put_account(make_bot("client_acme"))
    Bot.objects.filter(id=two.bot_id).update(desired_status="running")
    for hours in range(30, -1, -1):
        put_snapshot(two, NOW - hours * HOUR, 10_000 + 10 * hours)
        if hours >= 20:
            put_snapshot(one, NOW - hours * HOUR, 10_000 - 50 * hours)
    risk = cast.acme_reads.get(f"{ALL}risk-metrics?timeRange=24h").body
    opening = 10_000 - 50 * 25 + 10_000 + 10 * 25
    assert risk["equity_bots"] == 2 and risk["metrics"]["returns"] == 23
    assert risk["metrics"]["total_return"] == close_to((10_000 - 50 * 20 + 10_000) / opening - 1)
    put_position(one, NOW)  # holds something whose worth is not known: the joint line ends where it was last seen
    risk = cast.acme_reads.get(f"{ALL}risk-metrics?timeRange=24h").body
    assert risk["metrics"]["total_return"] == close_to((10_000 - 50 * 20 + 10_000 + 10 * 20) / opening - 1)
    assert risk["metrics"]["returns"] == 4 and risk["metrics"]["sharpe_ratio"] is None
    assert Position.objects.count() == 1


def test_equity_is_not_compared_across_a_changed_capital(cast: Cast) -> None:
    one, two = put_account(cast.acme_bot), put_account(make_bot("client_acme"))
    Bot.objects.update(desired_status="running")
    changed = (NOW - 15 * HOUR).replace(minute=10, second=0)
    for hours in range(30, -1, -1):
        at = (NOW - hours * HOUR).replace(minute=20, second=0)
        put_snapshot(one, at, (500 if at < changed else 10_000) + 7 * hours)
        put_snapshot(two, at, 10_000 + hours * hours)
    BotAccount.objects.filter(bot_id=one.bot_id).update(capital_changed_at=changed)
    risk = cast.acme_reads.get(f"{ALL}risk-metrics?timeRange=24h").body
    values = [20_000 + 7 * hours + hours * hours for hours in range(15, -1, -1)]  # the first of them is the opening
    assert risk["equity_since"] == "2026-03-30T21:20:00Z"
    assert risk["metrics"]["total_return"] == close_to(values[-1] / values[0] - 1)
    assert risk["metrics"]["max_drawdown"] == close_to(1 - values[-1] / values[0])
    alone = cast.acme_reads.get(f"{ALL}performance/{one.bot_id}?timeRange=7d").body
    assert alone["returnPercent"] == close_to(100 * (10_000 / (10_000 + 7 * 15) - 1))
    assert alone["maxDrawdown"] == close_to(1 - 10_000 / (10_000 + 7 * 15))
    assert alone["equitySince"] == "2026-03-30T21:20:00Z"
