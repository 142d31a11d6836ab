"""The laws that every verdict keeps, whatever the evidence."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bots.rules.words import DesiredStatus, HealthStatus, ReportedStatus, RuntimeKind, RuntimeStatus
from health.rules.cadence import learn
from health.rules.silence import LimitChoice, limits_at, silent_since
from health.rules.verdict import judge
from health.rules.words import Cause
from health.types import BY_DESIGN, ProbeOutcome, TradesOutcome
from tests.health.evidence import LIMITS, NOW, RUNNING, STOPPED, evidence, verdict_of

minutes = st.floats(min_value=0, max_value=60 * 24 * 400) | st.sampled_from([0.0, 2.0, 15.0, 30.0, 120.0])
anytime = minutes | st.floats(min_value=-600, max_value=0)
maybe = st.none() | anytime
amounts = st.decimals(min_value=0, max_value=100, places=8).map(str)
everything = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(RuntimeKind),
        "desired": st.sampled_from(DesiredStatus),
        "desired_ago": maybe,
        "confirmed_ago": maybe,
        "seen_ago": maybe,
        "by": st.sampled_from(["", "operator:alice"]),
        "outcome": st.sampled_from([TradesOutcome.READ, *TradesOutcome]),
        "detail": st.sampled_from(["", "KuCoin says so.", "x" * 600]),
        "trade_ago": maybe,
        "shared_ago": maybe,
        "future_in": st.none() | st.floats(min_value=2, max_value=10_000),
        "known_ago": maybe,
        "rivals": st.sampled_from([(), ("Bot B",), ("B", "C", "D", "E"), ("B" * 200, "C" * 200, "D" * 200)]),
        "heart": st.sampled_from([None, *ReportedStatus]),
        "heart_ago": anytime,
        "heart_until": maybe,
        "heart_detail": st.sampled_from(["", "run 7 began", "y" * 600]),
        "order_ago": maybe | st.just("none"),
        "order_count": st.sampled_from([None, 1, 3]),
        "order_own": st.booleans(),
        "orders": st.sampled_from([ProbeOutcome.READ, *ProbeOutcome]),
        "lacks": st.lists(st.tuples(st.sampled_from(["USDT", "BTC"]), amounts, st.none() | amounts), max_size=3),
        "balance": st.sampled_from([ProbeOutcome.READ, *ProbeOutcome]),
        "container": st.sampled_from([None, *RuntimeStatus]),
        "explanation": st.sampled_from(["", "It is so.", "z" * 600]),
        "observed_ago": anytime,
        "changed_ago": maybe,
        "figures_ago": maybe,
        "errors": st.sampled_from([(), ("ERROR no funds",), ("e" * 600,)]),
        "errors_ago": maybe,
        "reachable": st.sampled_from([None, True, False]),
        "key_valid": st.sampled_from([None, True, False]),
        "exchange": st.sampled_from(["", "KuCoin says no."]),
        "exchange_ago": maybe,
    }
)
wanted = everything.map(lambda given_evidence: given_evidence | {"desired": RUNNING})
RANK = {
    HealthStatus.STOPPED: 0,
    HealthStatus.ERROR: 0,
    HealthStatus.UNKNOWN: 1,
    HealthStatus.STALE: 2,
    HealthStatus.HEALTHY: 3,
}
PROBES = {"trades", "orders", "heartbeat", "runtime", "exchange", "start", "stop"}
ENDED = ("exited", "absent", "failed")
UNREAD = (TradesOutcome.UNREADABLE, TradesOutcome.RATE_LIMITED, TradesOutcome.NOT_ASKED)


def rank(given_evidence) -> int:
    return RANK[verdict_of(given_evidence).status]


@given(everything)
def test_is_total_and_says_what_it_is_why_and_what_would_change_it(given_evidence):
    verdict = verdict_of(given_evidence)
    assert verdict.status in HealthStatus and verdict.decided_by in PROBES and verdict.cause in {"", *Cause}
    assert 0 < len(verdict.message) <= 500 and 0 < len(verdict.changes_when) <= 500


@given(everything, minutes)
def test_is_never_worse_for_a_more_recent_trade(given_evidence, recent):
    for name in ("trade_ago", "known_ago", "shared_ago"):
        older = given_evidence[name]
        if older is None or (older >= 0 and recent <= older):
            assert rank(given_evidence | {name: recent}) >= rank(given_evidence)


def by_day(days: int = 21) -> dict[str, Any]:
    """What is learned of a bot that trades every few minutes by day and about once in three hours at night."""
    random, at, moments = Random(4), NOW.timestamp() - days * 86_400, []
    while at < NOW.timestamp():
        is_day = 7 <= (at // 3600) % 24 < 21
        at += 60 + random.expovariate(1 / (300 if is_day else 10_800))
        moments.append(at)
    return learn(moments[:-1]).profile


PROFILE = by_day()


@given(wanted, minutes)
def test_is_never_worse_for_a_more_recent_trade_by_learned_limits_either(given_evidence, recent):
    def learned_rank(given_evidence) -> int:
        seen = evidence(**given_evidence)
        choice = LimitChoice(LIMITS, profile=PROFILE, days_between_false_alarms=30)
        limits = limits_at(choice, since=silent_since(seen, now=NOW), now=NOW)
        assert limits.source == "learned" and limits.stale <= limits.stopped
        return RANK[judge(evidence=seen, limits=limits, now=NOW).status]

    for name in ("trade_ago", "known_ago"):
        older = given_evidence[name]
        if older is None or (older >= 0 and recent <= older):
            assert learned_rank(given_evidence | {name: recent}) >= learned_rank(given_evidence)


@given(wanted, minutes)
def test_is_never_worse_for_a_more_recent_sign_of_life(given_evidence, recent):
    older = given_evidence["order_ago"]
    if older in (None, "none") or (older >= 0 and recent <= older):
        assert rank(given_evidence | {"order_ago": recent}) >= rank(given_evidence)
    older = given_evidence["figures_ago"]
    if older is None or (older >= 0 and recent <= older):
        assert rank(given_evidence | {"figures_ago": recent}) >= rank(given_evidence)
    said = given_evidence | {"heart": "running"}
    if said["heart_ago"] >= 0 and recent <= said["heart_ago"]:
        assert rank(said | {"heart_ago": recent}) >= rank(said)
    if said["heart_until"] is not None and recent >= said["heart_until"]:
        assert rank(said | {"heart_until": recent}) >= rank(said)


@given(everything)
def test_is_never_better_for_missing_trades(given_evidence):
    for missing in ({"trade_ago": None}, {"shared_ago": None}, {"future_in": None}, {"known_ago": None}):
        assert rank(given_evidence | missing) <= rank(given_evidence)
    before = verdict_of(given_evidence).status
    for outcome in UNREAD:
        without = verdict_of(given_evidence | {"outcome": outcome}).status
        assert without not in (HealthStatus.HEALTHY, HealthStatus.STALE) or without == before


@given(wanted)
def test_is_never_better_for_a_missing_sign_of_life(given_evidence):
    assert rank(given_evidence | {"order_ago": None}) <= rank(given_evidence)
    assert rank(given_evidence | {"figures_ago": None}) <= rank(given_evidence)
    if given_evidence["container"] == "running":
        assert rank(given_evidence | {"container": None}) <= rank(given_evidence)
    is_overdue = (given_evidence["heart_until"] or 0) < 0
    if given_evidence["heart"] == "running" and not is_overdue:
        assert rank(given_evidence | {"heart": None}) <= rank(given_evidence)


@given(wanted, st.sampled_from(ENDED), minutes)
def test_is_never_better_for_bad_news_nor_for_more_recent_bad_news(given_evidence, container, recent):
    refused = {"outcome": TradesOutcome.REFUSED}
    for news in ({"container": container}, {"reachable": False}, {"key_valid": False}, refused):
        assert rank(given_evidence | news) <= rank(given_evidence)
    unplanned = given_evidence | {"heart_until": None}
    assert rank(unplanned | {"heart": "error"}) <= rank(unplanned)
    ended = given_evidence | {"container": container}
    for name in ("observed_ago", "changed_ago"):
        if ended[name] is not None and recent <= ended[name]:
            assert rank(ended | {name: recent}) <= rank(ended)


@given(everything)
def test_is_decided_by_no_shortage_and_no_line_of_a_log(given_evidence):
    verdict = verdict_of(given_evidence)
    bare = verdict_of(given_evidence | {"lacks": (), "errors": ()})
    assert (verdict.status, verdict.decided_by) == (bare.status, bare.decided_by)


@given(wanted)
def test_is_never_healthy_nor_stale_nor_stopped_when_it_cannot_tell(given_evidence):
    for outcome in UNREAD:
        verdict = verdict_of(given_evidence | {"outcome": outcome})
        assert verdict.status in (HealthStatus.UNKNOWN, HealthStatus.ERROR) or verdict.decided_by == "runtime"
    blind = given_evidence | {"outcome": TradesOutcome.UNREADABLE, "container": None, "heart": None}
    assert verdict_of(blind).status == HealthStatus.UNKNOWN


@given(wanted)
def test_is_stopped_only_by_a_silence_that_was_read_or_the_end_of_its_run_or_its_own_word(given_evidence):
    verdict = verdict_of(given_evidence)
    if verdict.status == HealthStatus.STOPPED:
        was_read = given_evidence["outcome"] == TradesOutcome.READ
        by_heartbeat = given_evidence["outcome"] in BY_DESIGN and given_evidence["heart"] is not None
        assert was_read or by_heartbeat or given_evidence["container"] in ENDED


@given(everything)
def test_is_healthy_only_by_an_own_trade_or_where_trades_cannot_be_read_by_design(given_evidence):
    verdict = verdict_of(given_evidence)
    if verdict.status == HealthStatus.HEALTHY:
        ages = [given_evidence[name] for name in ("trade_ago", "known_ago") if given_evidence[name] is not None]
        by_trade = any(-1 <= age < 30 for age in ages)
        by_heartbeat = given_evidence["outcome"] in BY_DESIGN and given_evidence["heart"] == "running"
        assert by_trade or by_heartbeat


@given(everything)
def test_lets_a_fresh_error_win_over_everything_but_a_stop_on_purpose(given_evidence):
    if given_evidence["desired"] != STOPPED:
        said = given_evidence | {"heart": "error", "heart_ago": 3, "heart_until": None, "desired_ago": 4}
        assert verdict_of(said).status == HealthStatus.ERROR


@given(everything)
def test_is_stopped_on_purpose_whatever_else_is_seen_unless_it_runs_on(given_evidence):
    stopped = given_evidence | {"desired": STOPPED, "seen_ago": None}
    verdict = verdict_of(stopped)
    assert verdict.status == HealthStatus.STOPPED and verdict.decided_by == "stop" and verdict.cause == ""
