"""Twenty bots, two hundred turns, and workers that are killed with -9 all the while: no turn twice and none half, and every
amount is what the rows give."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from arena.models import (
    ArenaEvent,
    ArenaMarket,
    ArenaSettings,
    ArenaTurn,
    LlmCall,
    LlmProvider,
    LlmSpend,
    LlmText,
    Participant,
    PromptVersion,
)
from arena.rules.figures import price_text
from arena.rules.statuses import OPEN_TURNS
from arena.services.guard_positions import guard_positions
from arena.services.model_calls import end_abandoned_calls
from ledger.models import BotAccount, BotDecision, Position, Trade
from ledger.rules.words import Cause
from ledger.selectors.accounts import statistics_and_account
from tests.arena.stage import EXCHANGE, SCOPE, SYMBOLS, Stage

BOTS = 20
TURNS = 10  # of each bot
WORKERS = 3
MOST_S = 300
STYLES = ("plain", "fenced", "chatty", "object", "mixed", "truncated")
RECKLESS = (3, 8, 13, 18)  # bots that open without a stop at the most leverage they may
START = {"BTC/USDT": 61_000.0, "DOGE/USDT": 0.2, "ETH/USDT": 3000.0}
PROMPT = "You are bot {number}. It is {{{{currentDate}}}}, you hold {{{{totalValue}}}} and see {{{{marketData}}}}."


class Workers:
    """Processes that play turns, to be killed."""

    def __init__(self, starter: subprocess.Popen[str], said: Path) -> None:
        self.starter, self.said = starter, said
        assert self._line() == "ready", self.words()
        self.pids = [self._start() for _ in range(WORKERS)]
        self.killed = 0

    def kill(self, *indexes: int) -> None:
        """Kill -9, and put a new one in each one's place."""
        for index in indexes:
            try:
                os.kill(self.pids[index], signal.SIGKILL)
            except ProcessLookupError:
                raise AssertionError(f"A worker ended by itself: {self.words()}") from None
            self.killed += 1
        for index in indexes:
            self.pids[index] = self._start()

    def words(self) -> str:
        return self.said.read_text()[-6000:]

    def _start(self) -> int:
        assert self.starter.stdin is not None
        self.starter.stdin.write("start\n")
        self.starter.stdin.flush()
        return int(self._line())

    def _line(self) -> str:
        assert self.starter.stdout is not None
        return self.starter.stdout.readline().strip()


@pytest.mark.long
def test_two_hundred_turns_with_workers_killed_throughout_are_each_played_once_and_whole(
    stage: Stage, broker: object, tmp_path: Path
) -> None:
    seed = int(os.environ.get("ENDURANCE_SEED") or random.SystemRandom().randrange(10_000))
    try:
        bots = _prepare(stage)
        with _workers(stage, tmp_path / "workers.txt") as workers:
            kills = _play_all(stage, workers, random.Random(seed))
            assert "Traceback" not in workers.said.read_text(), workers.words()
        _verify(stage, bots, kills)
    except BaseException as error:
        error.add_note(f"ENDURANCE_SEED={seed}")
        raise


@contextmanager
def _workers(stage: Stage, said: Path) -> Iterator[Workers]:
    """On this test's database and sandbox; all of them are gone at the end."""
    url, _, options = os.environ["DATABASE_URL"].partition("?")
    own = f"{url.rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    environment = {
        "DATABASE_URL": f"{own}?{options}" if options else own,
        "DJANGO_SETTINGS_MODULE": "bridge_project.settings",
        "MODEL_BASE_URLS": json.dumps({"openai": f"{stage.sandbox.model_base}/openai/v1"}),
        "EXCHANGE_BASE_URLS": json.dumps({EXCHANGE: stage.sandbox.exchange_base}),
    }
    words = [sys.executable, "-m", "tests.arena.turn_worker"]
    with said.open("w") as errors, subprocess.Popen(
        words, cwd=settings.BASE_DIR, env={**os.environ, **environment}, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=errors,
    ) as starter:  # fmt: skip
        yield Workers(starter, said)  # its input is closed behind it, and that ends them


def _prepare(stage: Stage) -> list[UUID]:
    """Bots of two clients, each with a key of its own at the sandbox, so that its calls are counted."""
    ArenaSettings.objects.update(
        refresh_s=1, turn_timeout_s=3, halt_after_unreadable=1000, halt_after_refused=1000, slippage_bps=2
    )
    bots = []
    for number in range(BOTS):
        account = ("client_acme", "client_globex")[number % 2]
        bot_id = stage.add_bot(account, f"bot {number}", turn_interval_s=80_000, cooldown_minutes=0)
        participant = Participant.objects.get(bot_id=bot_id)
        provider = LlmProvider.objects.create(
            client_id=participant.client_id, name=f"of bot {number}", kind="openai", api_key=f"sk-bot-{number}",
            model=f"sandbox-{STYLES[number % len(STYLES)]}", prices={"*": {"input": D(1), "output": D(4)}}, timeout_s=20,
        )  # fmt: skip
        stage.sandbox.add_model_key(f"sk-bot-{number}", str(bot_id))
        prompt = PromptVersion.objects.create(
            bot_id=bot_id, client_id=participant.client_id, number=2, text=PROMPT.format(number=number), made_by="tests"
        )
        Participant.objects.filter(bot_id=bot_id).update(provider=provider, prompt=prompt)
        if number in RECKLESS:
            wish = [{"action": "LONG", "symbol": "DOGE/USDT", "size": 500, "leverage": 10, "reasoning": "All in."}]
            words = {"text": json.dumps(wish), "key": f"sk-bot-{number}", "times": TURNS}
            stage.sandbox.script_model(words)
        bots.append(bot_id)
    for symbol, price in START.items():
        stage.price(symbol, str(price))
    stage.refresh()
    return bots


def _play_all(stage: Stage, workers: Workers, chance: random.Random) -> int:
    """Until every turn is over: intervals that pass at once, prices that move, models that are slow, workers that die.
    How many died."""
    prices, rounds, until = dict(START), 0, time.monotonic() + MOST_S
    while _over() < BOTS * TURNS:
        assert time.monotonic() < until, f"Not over in time: {_states()} {workers.words()}"
        rounds += 1
        # Each one's interval is over as soon as its turn is.
        Participant.objects.filter(turns__lt=TURNS, next_turn_at__gt=stage.now).update(next_turn_at=stage.now)
        _move(stage, prices, rounds, chance)
        if rounds % 6 == 0:
            _kill_while_asked(stage, workers)
            continue
        if rounds % 6 == 3:  # longer than a turn may take: it is ended while its worker lives and waits
            stage.sandbox.fault("model:all", "latency", seconds=4, count=1)
        if rounds % 6 == 4:
            stage.sandbox.fault("model:all", "lost_answer", count=1)
        _await_turns(chance.randint(4, 16))
        time.sleep(chance.uniform(0, 0.3))
        workers.kill(*chance.sample(range(WORKERS), chance.randint(1, 2)))
    return workers.killed


def _kill_while_asked(stage: Stage, workers: Workers) -> None:
    stage.sandbox.fault("model:all", "latency", seconds=0.7)
    until = time.monotonic() + 3
    while time.monotonic() < until and not ArenaTurn.objects.filter(status="asked", lease_until__gt=stage.now).exists():
        time.sleep(0.05)
    workers.kill(*range(WORKERS))
    stage.sandbox.fault("model:all", "latency", on=False)


def _move(stage: Stage, prices: dict[str, float], rounds: int, chance: random.Random) -> None:
    for symbol in SYMBOLS:
        prices[symbol] *= 1 + chance.uniform(-0.015, 0.015)
    if rounds % 8 == 5:  # and stays there long enough to be seen
        prices["DOGE/USDT"] *= 0.87
    for symbol, price in prices.items():
        stage.price(symbol, f"{price:.5g}")


def _await_turns(number: int) -> None:
    """Until so many more are over, or some seconds have passed: so kills keep step with any machine."""
    wanted, until = min(_over() + number, BOTS * TURNS), time.monotonic() + 4
    while _over() < wanted and time.monotonic() < until:
        time.sleep(0.05)


def _over() -> int:
    return ArenaTurn.objects.exclude(status__in=OPEN_TURNS).count()


def _states() -> dict[str, int]:
    return dict(Counter(ArenaTurn.objects.values_list("status", flat=True)))


def _verify(stage: Stage, bots: list[UUID], kills: int) -> None:
    stage.refresh()
    guard_positions(now=stage.now)
    end_abandoned_calls(scope=SCOPE, now=stage.now + timedelta(hours=1), older_than=timedelta(minutes=30))
    turns = list(ArenaTurn.objects.select_related("decision").order_by("bot_id", "number"))
    assert [(one.bot_id, one.number) for one in turns] == [(bot, n + 1) for bot in sorted(bots) for n in range(TURNS)]
    assert set(Participant.objects.values_list("turns", flat=True)) == {TURNS}
    _check_what_was_asked(stage, turns)
    _check_decisions(turns)
    _check_positions()
    for bot_id in bots:
        _check_money(bot_id)
    call_command("verify_ledger")
    call_command("recompute_statistics")
    # And all this happened at all.
    states = _states()
    causes = Counter(Trade.objects.values_list("cause", flat=True))
    assert kills > 10 and states["done"] > BOTS * TURNS / 4, (kills, states)
    assert any("worker ended while" in one.message for one in turns), "some died while the model was asked"
    assert max(one.attempts for one in turns) > 1
    assert {Cause.MODEL, Cause.STOP_LOSS, Cause.LIQUIDATION} <= causes.keys(), causes
    sys.stdout.write(f"{kills} kills, turns {states}, trades {dict(causes)}\n")


def _check_what_was_asked(stage: Stage, turns: list[ArenaTurn]) -> None:
    """Each step asked once at most, by the sandbox's own count; words stored as they came; money booked once."""
    calls = list(LlmCall.objects.all())
    texts = dict(LlmText.objects.values_list("sha256", "text"))
    asked = Counter((str(call.bot_id), texts[call.messages[-1]["text"]]) for call in calls)
    heard = stage.sandbox.model_calls()
    assert not Counter((row["account"], row["turns"][-1][1]) for row in heard) - asked
    assert len({(call.turn_id, call.step) for call in calls}) == len(calls)
    assert all(call.attempts <= 1 and call.step == 1 and call.status != "reserved" for call in calls)
    for turn in turns:
        own = [call for call in calls if call.turn_id == turn.id]
        assert len(own) == (0 if turn.status == "skipped" else 1), (turn.status, turn.message)
        if turn.decision is None:
            continue
        (call,) = own
        assert call.status == "answered" and call.reply and call.answered_at is not None
        assert call.answered_at <= turn.decision.decided_at, "stored before it was acted upon"
        words = texts[call.messages[-1]["text"]]
        assert turn.decision.prompt_sent.endswith(words)
        said = [row["reply"] for row in heard if row["account"] == str(turn.bot_id) and row["turns"][-1][1] == words]
        assert json.loads(call.reply)["choices"][0]["message"]["content"] in said
    spends = LlmSpend.objects.all()
    assert {row.reserved for row in spends} == {D(0)}
    for bot_id in {call.bot_id for call in calls}:
        own = [call for call in calls if call.bot_id == bot_id]
        spent = sum((call.estimated_cost if call.cost is None else call.cost) for call in own)
        assert {row.spent for row in spends if row.bot_id == bot_id and row.span == "month"} == {spent}


def _check_decisions(turns: list[ArenaTurn]) -> None:
    """One decision a turn at most, and exactly the trades that its notes tell of."""
    decisions = {one.id: one for one in BotDecision.objects.all()}
    trades: dict[Any, list[Trade]] = {id_: [] for id_ in decisions}
    for trade in Trade.objects.select_related("position"):
        if trade.decision_id:
            trades[trade.decision_id].append(trade)
    assert decisions.keys() == {turn.decision_id for turn in turns if turn.decision_id}
    events = [row.payload for row in ArenaEvent.objects.filter(kind="decision")]
    assert Counter(one["decision_id"] for one in events) == Counter(map(str, decisions))
    for turn in turns:
        if turn.status == "done":
            assert turn.decision_id
        if turn.decision_id is None:
            continue
        told = [note for note in decisions[turn.decision_id].notes_json if note.startswith(("Opened", "Closed"))]
        done = trades[turn.decision_id]
        assert len(told) == len(done), (told, done)
        assert turn.status == "done" or not done
        for trade in done:
            assert any(note.startswith(_told(trade)) for note in told), (_told(trade), told)


def _told(trade: Trade) -> str:
    assert trade.position is not None
    word = "Opened" if trade.trade_type == "entry" else "Closed"
    return f"{word} {trade.position.position_type} {trade.symbol}: {price_text(trade.quantity)} at {price_text(trade.price)},"


def _check_positions() -> None:
    """Each opened by one trade and closed by one at most; each trade told to listeners once."""
    found: dict[Any, list[str]] = {}
    for position_id, kind in Trade.objects.values_list("position_id", "trade_type").order_by(
        "executed_at", "trade_type"
    ):
        found.setdefault(position_id, []).append(kind)
    positions = list(Position.objects.all())
    assert found.keys() == {one.id for one in positions}
    for one in positions:
        assert sorted(found[one.id]) == (["entry"] if one.status == "open" else ["entry", "exit"]), one.id
    events = [row.payload for row in ArenaEvent.objects.filter(kind="trade")]
    assert Counter(one["trade_id"] for one in events) == Counter(map(str, Trade.objects.values_list("id", flat=True)))


def _check_money(bot_id: UUID) -> None:
    """Equity is balance, margins and what is gained at the newest prices; the balance is what the trades left of the
    start."""
    account = BotAccount.objects.get(bot_id=bot_id)
    held = Position.objects.filter(bot_id=bot_id, status="open")
    trades = Trade.objects.filter(bot_id=bot_id)
    gained = sum((trade.pnl for trade in trades if trade.trade_type == "exit"), D(0))
    paid = sum((trade.fee for trade in trades if trade.position_id in {one.id for one in held}), D(0))
    margins = sum((one.size for one in held), D(0))
    assert abs(account.balance + margins - (10_000 + gained - paid)) < D("1e-12")
    prices = dict(ArenaMarket.objects.values_list("symbol", "price"))
    open_gains = D(0)
    for one in held:
        sign = 1 if one.position_type == "LONG" else -1
        gain = sign * (prices[one.symbol] - one.entry_price) * one.quantity
        assert one.unrealized_pnl is not None and abs(one.unrealized_pnl - gain) < D("1e-12"), one.id
        open_gains += gain
    shown = json.loads(statistics_and_account(SCOPE, bot_id)[1], parse_float=D, parse_int=D)
    assert abs(D(shown["equity"]) - (account.balance + margins + open_gains)) < D("1e-9")
