"""Cadence is learned from the ledger's own trades, of each bot that runs, and again when it was wrong."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from django.db import connections

from bots.services.start_bot import start_bot
from ground.scope import system_scope
from health.away import away_spells
from health.models import BotCadence, HealthTransition
from health.rules.cadence import away_during, learned_limits
from health.services import learn_cadence
from health.services.learn_cadence import learn_due_cadences
from tests.fixtures import OPERATOR, Cast, make_bot
from tests.ledger.rows import a_trade, put_account, put_trades

SCOPE = system_scope("cadence")
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def running_bot(*ages_h: float, name: str = "maker") -> UUID:
    """A running bot whose trades are so many hours old."""
    bot_id = make_bot("client_acme", name=name)
    start_bot(scope=OPERATOR, bot_id=bot_id, now=NOW - timedelta(days=90))
    HealthTransition.objects.filter(bot_id=bot_id).update(at=NOW - timedelta(days=90))
    owner = put_account(bot_id)
    put_trades(*(a_trade(owner, "buy", NOW - timedelta(hours=age)) for age in ages_h))
    return bot_id


def hourly(days: float, *, seed: int = 7, until: float = 0.0) -> Sequence[float]:
    """Ages in hours of a bot that trades once in about an hour."""
    random, age, ages = Random(seed), until, []
    while age < days * 24:
        ages.append(age)
        age += random.expovariate(1.0) + 0.04
    return ages


def learned(bot_id: UUID) -> BotCadence:
    return BotCadence.objects.get(bot_id=bot_id)


def changed(bot_id: UUID, cast: Cast, at: datetime, before: str, after: str, actor: str = "system:health") -> None:
    HealthTransition.objects.create(
        bot_id=bot_id, client_id=cast.acme, at=at, from_status=before, to_status=after, reason="as told", actor=actor,
        evidence=[{"probe": "trades", "outcome": "unreadable" if after == "unknown" else "read"}],
    )  # fmt: skip


def test_learns_the_limits_of_a_bot_from_its_last_28_days(cast: Cast) -> None:
    bot_id = running_bot(*hourly(40))
    assert learn_due_cadences(scope=SCOPE, now=NOW) == 1
    found = learned(bot_id)
    assert found.is_enough and found.client_id == cast.acme and found.learned_at == NOW
    assert found.since_at is not None and NOW - timedelta(days=28) <= found.since_at < NOW - timedelta(days=27)
    assert found.note.startswith(f"Learned from {found.trades - 1} gaps between trades over 27 days")
    limits = learned_limits(found.profile, last_trade_at=NOW, now=NOW, days_between_false_alarms=30)
    assert limits is not None
    assert timedelta(hours=1.5) < limits.stale < timedelta(hours=4) < limits.stopped < timedelta(hours=10)
    assert "longest gap this week" in limits.why


def test_says_what_is_missing_where_the_history_is_short(cast: Cast) -> None:
    silent, young, few = running_bot(name="a"), running_bot(*hourly(0.6), name="b"), running_bot(*range(8), name="c")
    learn_due_cadences(scope=SCOPE, now=NOW)
    notes = [learned(bot).note for bot in (silent, young, few)]
    assert [learned(bot).is_enough for bot in (silent, young, few)] == [False] * 3
    assert notes[0] == "Not enough history: 0 gaps between trades, 8 are needed. The fixed limits hold."
    assert "a day is needed" in notes[1] and notes[2].startswith("Not enough history: 7 gaps")
    assert learned(silent).profile == {}


def test_takes_trades_close_together_as_one_and_reads_no_more_than_it_must(cast: Cast) -> None:
    bursts = [age + shot / 3600 for age in hourly(10) for shot in range(12)]
    bot_id = running_bot(*bursts)
    learn_due_cadences(scope=SCOPE, now=NOW)
    assert learned(bot_id).is_enough and abs(learned(bot_id).trades - len(bursts) // 12) < 15


def test_learns_again_after_six_hours_or_when_a_bot_that_was_called_stopped_trades_on(cast: Cast) -> None:
    one, other = running_bot(*hourly(5), name="one"), running_bot(*hourly(5), name="other")
    assert learn_due_cadences(scope=SCOPE, now=NOW) == 2
    assert learn_due_cadences(scope=SCOPE, now=NOW + timedelta(hours=5)) == 0
    changed(one, cast, NOW + timedelta(hours=5), "stopped", "healthy")
    assert learn_due_cadences(scope=SCOPE, now=NOW + timedelta(hours=5, minutes=1)) == 1
    assert (learned(one).learned_at, learned(other).learned_at) == (NOW + timedelta(hours=5, minutes=1), NOW)
    assert learn_due_cadences(scope=SCOPE, now=NOW + timedelta(hours=6, minutes=1)) == 1


def test_leaves_out_what_is_known_to_be_no_gap_between_trades(cast: Cast) -> None:
    """Four silences of ten hours: two ended by a start, two in which the exchange did not answer."""
    quiet = [(age, age + 10) for age in (20, 50, 80, 110)]
    ages = [age for age in hourly(6) if not any(begin < age < end for begin, end in quiet)]
    bot_id, plain = running_bot(*ages, name="told"), running_bot(*ages, name="plain")
    for begin, _ in quiet[:2]:
        changed(bot_id, cast, NOW - timedelta(hours=begin + 0.5), "stopped", "unknown", actor="operator:alice")
    for begin, end in quiet[2:]:
        changed(bot_id, cast, NOW - timedelta(hours=end), "healthy", "unknown")
        changed(bot_id, cast, NOW - timedelta(hours=begin), "unknown", "healthy")
    learn_due_cadences(scope=SCOPE, now=NOW)
    assert learned(bot_id).longest_gap_s < 9 * 3600 < learned(plain).longest_gap_s


def test_knows_when_the_exchange_did_not_answer_and_that_a_start_is_no_outage(cast: Cast) -> None:
    bot_id, other = running_bot(name="a"), running_bot(name="b")
    at = [NOW - timedelta(hours=hours) for hours in (9, 8, 7, 6, 2)]
    changed(bot_id, cast, at[0], "healthy", "unknown")
    changed(bot_id, cast, at[1], "unknown", "stopped")
    changed(bot_id, cast, at[2], "stopped", "unknown", actor="operator:alice")
    changed(bot_id, cast, at[3], "unknown", "healthy")
    changed(bot_id, cast, at[4], "healthy", "unknown")
    with SCOPE.transaction():
        found = away_spells([bot_id, other], now=NOW)
    assert found == {bot_id: ((at[0], at[1]), (at[4], NOW))}
    silence = NOW - timedelta(hours=8, minutes=30)
    assert away_during(found[bot_id], since=silence, now=NOW) == timedelta(hours=2.5)


def test_many_workers_learn_each_bot_once_and_a_later_one_is_kept(cast: Cast) -> None:
    bots = [running_bot(*hourly(3, seed=n), name=f"bot {n}") for n in range(4)]
    done: list[int] = []

    def work() -> None:
        done.append(learn_due_cadences(scope=SCOPE, now=NOW))
        connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(done) == 4 == BotCadence.objects.count()
    learn_cadence.learn_cadences(scope=SCOPE, bot_ids=bots, now=NOW - timedelta(days=1))
    assert {learned(bot).learned_at for bot in bots} == {NOW}
