"""The verdict over the combinations that matter, with the sentence an operator reads, and the laws it keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.rules.words import DesiredStatus, HealthStatus, ReportedStatus, RuntimeKind
from health.rules.verdict import judge
from health.types import BY_DESIGN, Evidence, Heartbeat, Limits, Run, TradesOutcome, TradesSeen

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LIMITS = Limits(stale=timedelta(minutes=30), stopped=timedelta(minutes=120), heartbeat=timedelta(minutes=15))
EXTERNAL, HUMMINGBOT = RuntimeKind.EXTERNAL, RuntimeKind.HUMMINGBOT
RUNNING, STOPPED, CREATED = DesiredStatus.RUNNING, DesiredStatus.STOPPED, DesiredStatus.CREATED
READ = TradesOutcome.READ


def ago(minutes: float | None) -> datetime | None:
    return None if minutes is None else NOW - timedelta(minutes=minutes)


def evidence(
    *,
    kind=EXTERNAL,
    desired=RUNNING,
    desired_ago=600.0,
    confirmed_ago=None,
    seen_ago=None,
    by="operator:alice",
    outcome=READ,
    detail="",
    trade_ago=None,
    shared_ago=None,
    future_in=None,
    known_ago=None,
    rivals=("Bot B",),
    heart=None,
    heart_ago=1.0,
) -> Evidence:
    run = Run(kind, desired, ago(desired_ago), by, ago(confirmed_ago), ago(seen_ago))
    trades = TradesSeen(
        outcome,
        detail,
        "BTC/USDT at KuCoin",
        ago(trade_ago),
        ago(shared_ago),
        ago(None if future_in is None else -future_in),
        rivals=rivals if shared_ago is not None else (),
    )
    heartbeat = Heartbeat(ReportedStatus(heart), ago(heart_ago)) if heart else None
    return Evidence(run, trades, heartbeat, ago(known_ago))


def seen(**given) -> tuple[str, str]:
    verdict = judge(evidence=evidence(**given), limits=LIMITS, now=NOW)
    return str(verdict.status), verdict.message


REFUSED = {"outcome": TradesOutcome.REFUSED, "detail": "KuCoin refused the API key (AuthenticationError)."}
HTML = {"outcome": TradesOutcome.UNREADABLE, "detail": "KuCoin answered with a web page instead of data (BadResponse)."}
NO_KEY = {"outcome": TradesOutcome.NO_CREDENTIALS, "detail": "There are no credentials for KuCoin."}
CLOSED = {"outcome": TradesOutcome.NOT_READABLE, "detail": "BitMart closed in 2026 and ccxt no longer carries it."}

TABLE = [
    # the age of the last trade, its boundaries included
    ("traded now", {"trade_ago": 0}, "healthy", "Traded 0 s ago."),
    ("just under stale", {"trade_ago": 29.99}, "healthy", "Traded 29 min ago."),
    ("exactly stale", {"trade_ago": 30}, "stale", "No trade for 30 min (stale after 30 min)."),
    ("exactly two hours is still stale", {"trade_ago": 120}, "stale", "No trade for 2 h (stale after 30 min)."),
    ("beyond two hours", {"trade_ago": 130.1}, "stopped", "No trade for 2 h 10 min (stopped after 2 h)."),
    (
        "older than the exchange's look-back",
        {"known_ago": 60 * 24 * 9},
        "stopped",
        "No trade for 9 days (stopped after 2 h).",
    ),
    ("an empty list", {}, "stopped", "No trade of its own was found on BTC/USDT at KuCoin."),
    ("an empty list, yet an earlier check saw one", {"known_ago": 5}, "healthy", "Traded 5 min ago."),
    # an external bot is judged by its trades alone, also right after a start
    (
        "external, just started",
        {"desired_ago": 1, "trade_ago": 200},
        "stopped",
        "No trade for 3 h 20 min (stopped after 2 h).",
    ),
    # a Hummingbot bot from the later of its last trade and its confirmed start
    (
        "started, no trade yet",
        {"kind": HUMMINGBOT, "confirmed_ago": 2, "trade_ago": 500},
        "unknown",
        "Started 2 min ago, no trade yet.",
    ),
    (
        "started long ago",
        {"kind": HUMMINGBOT, "confirmed_ago": 45},
        "stale",
        "No trade since its start 45 min ago (stale after 30 min).",
    ),
    (
        "started hours ago",
        {"kind": HUMMINGBOT, "confirmed_ago": 300, "trade_ago": 301},
        "stopped",
        "No trade since its start 5 h ago (stopped after 2 h).",
    ),
    (
        "traded since its start",
        {"kind": HUMMINGBOT, "confirmed_ago": 10, "trade_ago": 3},
        "healthy",
        "Traded 3 min ago.",
    ),
    (
        "start not confirmed",
        {"kind": HUMMINGBOT, "desired_ago": 3, "trade_ago": 50},
        "unknown",
        "Asked to start 3 min ago, no trade yet.",
    ),
    (
        "start never confirmed",
        {"kind": HUMMINGBOT, "desired_ago": 300},
        "stopped",
        "No trade since it was asked to start, which was never confirmed, 5 h ago (stopped after 2 h).",
    ),
    # the check could not be made, or was refused
    ("HTML with status 200", HTML, "unknown", HTML["detail"]),
    ("HTML, and a heartbeat", {**HTML, "heart": "running"}, "unknown", HTML["detail"]),
    (
        "429",
        {"outcome": TradesOutcome.RATE_LIMITED, "detail": "KuCoin asks for fewer requests."},
        "unknown",
        "KuCoin asks for fewer requests.",
    ),
    ("bad key", REFUSED, "error", REFUSED["detail"]),
    ("bad key, and a heartbeat", {**REFUSED, "heart": "running"}, "error", REFUSED["detail"]),
    ("our own check broke", {"outcome": TradesOutcome.BROKE, "detail": "It broke."}, "error", "It broke."),
    ("no credentials", NO_KEY, "unknown", NO_KEY["detail"]),
    ("not carried", CLOSED, "unknown", CLOSED["detail"]),
    ("never asked", {"outcome": TradesOutcome.NOT_ASKED}, "unknown", "Not checked yet."),
    # heartbeats
    (
        "lifts stopped to stale at most",
        {"trade_ago": 200, "heart": "running"},
        "stale",
        "No trade for 3 h 20 min (stopped after 2 h). Yet: its heartbeat said running 60 s ago.",
    ),
    (
        "does not lift stale",
        {"trade_ago": 40, "heart": "running"},
        "stale",
        "No trade for 40 min (stale after 30 min).",
    ),
    (
        "does not end the wait after a start",
        {"kind": HUMMINGBOT, "confirmed_ago": 2, "heart": "running"},
        "unknown",
        "Started 2 min ago, no trade yet.",
    ),
    (
        "stands in by design: no credentials",
        {**NO_KEY, "heart": "running"},
        "healthy",
        "Its heartbeat said running 60 s ago. There are no credentials for KuCoin. So its heartbeat alone is believed.",
    ),
    (
        "stands in by design: not carried",
        {**CLOSED, "heart": "running"},
        "healthy",
        "Its heartbeat said running 60 s ago. BitMart closed in 2026 and ccxt no longer carries it. So its heartbeat "
        "alone is believed.",
    ),
    (
        "says stopped where nothing else can be read",
        {**NO_KEY, "heart": "stopped"},
        "stopped",
        "Its heartbeat said stopped 60 s ago. There are no credentials for KuCoin. So its heartbeat alone is believed.",
    ),
    (
        "says stopped beside trades",
        {"trade_ago": 5, "heart": "stopped"},
        "healthy",
        "Traded 5 min ago. Its heartbeat said stopped 60 s ago.",
    ),
    (
        "error always wins",
        {"trade_ago": 1, "heart": "error"},
        "error",
        "Its heartbeat said error 60 s ago. Look at the bot's own log.",
    ),
    (
        "error wins where trades cannot be read",
        {**NO_KEY, "heart": "error"},
        "error",
        "Its heartbeat said error 60 s ago. Look at the bot's own log.",
    ),
    (
        "exactly at its time-out it is fresh",
        {**NO_KEY, "heart": "running", "heart_ago": 15},
        "healthy",
        "Its heartbeat said running 15 min ago. There are no credentials for KuCoin. So its heartbeat alone is believed.",
    ),
    ("a late one says nothing", {**NO_KEY, "heart": "running", "heart_ago": 15.1}, "unknown", NO_KEY["detail"]),
    ("a late error says nothing", {"trade_ago": 1, "heart": "error", "heart_ago": 16}, "healthy", "Traded 60 s ago."),
    (
        "an error from before the start is over",
        {"trade_ago": 1, "desired_ago": 2, "heart": "error", "heart_ago": 3},
        "healthy",
        "Traded 60 s ago.",
    ),
    (
        "a heartbeat from before the start still runs",
        {**NO_KEY, "desired_ago": 2, "heart": "running", "heart_ago": 3},
        "healthy",
        "Its heartbeat said running 3 min ago. There are no credentials for KuCoin. So its heartbeat alone is believed.",
    ),
    # a wish is no crash
    (
        "stopped on purpose",
        {"desired": STOPPED, "desired_ago": 60, "trade_ago": 61},
        "stopped",
        "stopped by operator:alice",
    ),
    (
        "stopped on purpose, late heartbeat",
        {"desired": STOPPED, "desired_ago": 5, "heart": "error"},
        "stopped",
        "stopped by operator:alice",
    ),
    ("stopped on purpose, key refused", {"desired": STOPPED, **REFUSED}, "stopped", "stopped by operator:alice"),
    (
        "stopped, yet the account trades",
        {"desired": STOPPED, "desired_ago": 60, "trade_ago": 3},
        "stopped",
        "stopped by operator:alice, yet its account traded 3 min ago.",
    ),
    (
        "stopped, yet seen running",
        {"desired": STOPPED, "desired_ago": 60, "seen_ago": 0, "trade_ago": 3},
        "healthy",
        "stopped by operator:alice, yet it still runs. Traded 3 min ago.",
    ),
    (
        "stopping, its last trades",
        {"desired": STOPPED, "desired_ago": 5, "seen_ago": 0, "trade_ago": 4},
        "stopped",
        "stopped by operator:alice",
    ),
    ("never started", {"desired": CREATED}, "unknown", "It was never started."),
    (
        "never started, silent for long",
        {"desired": CREATED, "trade_ago": 300},
        "unknown",
        "It was never started. Its account traded 5 h ago.",
    ),
    (
        "never started here, yet it trades",
        {"desired": CREATED, "trade_ago": 3},
        "healthy",
        "Traded 3 min ago. It was never started here.",
    ),
    (
        "never started here, key refused",
        {"desired": CREATED, **REFUSED},
        "error",
        f"{REFUSED['detail']} It was never started here.",
    ),
    (
        "never deployed, yet the account trades",
        {"kind": HUMMINGBOT, "desired": CREATED, "trade_ago": 3},
        "unknown",
        "It was never started. Its account traded 3 min ago.",
    ),
    (
        "never started, yet its heartbeat runs",
        {"desired": CREATED, "trade_ago": 3, "heart": "running"},
        "healthy",
        "Traded 3 min ago.",
    ),
    (
        "never started, yet its heartbeat says error",
        {"desired": CREATED, "heart": "error"},
        "error",
        "Its heartbeat said error 60 s ago. Look at the bot's own log.",
    ),
    # two bots on one account and pair
    (
        "the other's trade proves nothing",
        {"shared_ago": 3},
        "unknown",
        "A trade 3 min ago may be this bot's or that of Bot B: they share account and pair, and their trades cannot be "
        "told apart.",
    ),
    ("both are silent", {"shared_ago": 200}, "stopped", "No trade of its own was found on BTC/USDT at KuCoin."),
    ("an own trade beside shared ones", {"trade_ago": 10, "shared_ago": 3}, "healthy", "Traded 10 min ago."),
    (
        "stale beside shared ones",
        {"trade_ago": 40, "shared_ago": 3},
        "stale",
        "No trade for 40 min (stale after 30 min). A trade 3 min ago may be this bot's or that of Bot B: they share "
        "account and pair, and their trades cannot be told apart.",
    ),
    # clocks
    ("a little ahead of our clock", {"trade_ago": -0.5}, "healthy", "Traded 0 s ago."),
    (
        "a trade from the future",
        {"trade_ago": 200, "future_in": 10},
        "unknown",
        "Its newest trade carries a time 10 min in the future, so its age cannot be told: compare the clocks.",
    ),
    ("a trade from the future beside a fresh one", {"trade_ago": 5, "future_in": 600}, "healthy", "Traded 5 min ago."),
    (
        "a remembered trade from the future counts for nothing",
        {"known_ago": -600},
        "stopped",
        "No trade of its own was found on BTC/USDT at KuCoin.",
    ),
]


@pytest.mark.parametrize(("given_evidence", "status", "message"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE])
def test_says(given_evidence, status, message):
    assert seen(**given_evidence) == (status, message)


def test_uses_the_limits_of_the_bot_in_fractions_of_minutes():
    limits = replace(LIMITS, stale=timedelta(seconds=90), stopped=timedelta(minutes=2.5))
    spoken = [judge(evidence=evidence(trade_ago=age), limits=limits, now=NOW) for age in (1, 2, 3)]
    assert [v.status for v in spoken] == ["healthy", "stale", "stopped"]
    assert spoken[1].message == "No trade for 2 min (stale after 90 s)."


minutes = st.floats(min_value=0, max_value=60 * 24 * 400) | st.sampled_from([0.0, 30.0, 120.0, 15.0])
anytime = minutes | st.floats(min_value=-600, max_value=0)
maybe = st.none() | anytime
WORDS = [None, *ReportedStatus]
everything = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(RuntimeKind),
        "desired": st.sampled_from(DesiredStatus),
        "desired_ago": maybe,
        "confirmed_ago": maybe,
        "seen_ago": maybe,
        "by": st.sampled_from(["", "operator:alice"]),
        "outcome": st.sampled_from(TradesOutcome),
        "trade_ago": maybe,
        "shared_ago": maybe,
        "future_in": st.none() | st.floats(min_value=2, max_value=10_000),
        "known_ago": maybe,
        "rivals": st.sampled_from([(), ("Bot B",), ("B", "C", "D", "E")]),
        "heart": st.sampled_from(WORDS),
        "heart_ago": anytime,
    }
)
RANK = {
    HealthStatus.STOPPED: 0,
    HealthStatus.ERROR: 0,
    HealthStatus.UNKNOWN: 1,
    HealthStatus.STALE: 2,
    HealthStatus.HEALTHY: 3,
}


def verdict_of(given):
    return judge(evidence=evidence(**given), limits=LIMITS, now=NOW)


@given(everything)
def test_has_a_verdict_and_a_sentence_for_everything(given_evidence):
    verdict = verdict_of(given_evidence)
    assert verdict.status in HealthStatus and 0 < len(verdict.message) <= 500 and verdict.decided_by


@given(everything, minutes)
def test_is_never_worse_for_a_more_recent_trade(given_evidence, recent):
    for field in ("trade_ago", "known_ago", "shared_ago"):
        older = given_evidence[field]
        if older is None or (older >= 0 and recent <= older):
            assert RANK[verdict_of(given_evidence | {field: recent}).status] >= RANK[verdict_of(given_evidence).status]


@given(everything)
def test_is_never_better_for_missing_evidence(given_evidence):
    with_it = verdict_of(given_evidence).status
    for missing in ({"trade_ago": None}, {"shared_ago": None}, {"future_in": None}, {"known_ago": None}):
        assert RANK[verdict_of(given_evidence | missing).status] <= RANK[with_it]
    if given_evidence["heart"] in (None, "running"):
        assert RANK[verdict_of(given_evidence | {"heart": None}).status] <= RANK[with_it]
    for unreadable in (TradesOutcome.UNREADABLE, TradesOutcome.RATE_LIMITED, TradesOutcome.NOT_ASKED):
        without = verdict_of(given_evidence | {"outcome": unreadable}).status
        assert without not in (HealthStatus.HEALTHY, HealthStatus.STALE) or with_it == without


@given(everything)
def test_is_never_healthy_nor_stopped_when_it_cannot_tell(given_evidence):
    for outcome in (TradesOutcome.UNREADABLE, TradesOutcome.RATE_LIMITED):
        given_wanted = given_evidence | {"outcome": outcome, "desired": RUNNING}
        assert verdict_of(given_wanted).status in (HealthStatus.UNKNOWN, HealthStatus.ERROR)


@given(everything)
def test_is_healthy_only_by_an_own_trade_or_where_trades_cannot_be_read_by_design(given_evidence):
    verdict = verdict_of(given_evidence)
    if verdict.status == HealthStatus.HEALTHY:
        ages = [given_evidence[f] for f in ("trade_ago", "known_ago") if given_evidence[f] is not None]
        by_trade = any(-1 <= age < 30 for age in ages)
        by_heartbeat = given_evidence["outcome"] in BY_DESIGN and given_evidence["heart"] == "running"
        assert by_trade or by_heartbeat


@given(everything)
def test_lets_a_fresh_error_win_over_everything_but_a_stop_on_purpose(given_evidence):
    if given_evidence["desired"] != STOPPED:
        said = given_evidence | {"heart": "error", "heart_ago": 3, "desired_ago": 4}
        assert verdict_of(said).status == HealthStatus.ERROR
