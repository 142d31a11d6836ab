"""The verdict over the combinations that matter, with the sentence an operator reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from health.rules.verdict import judge
from health.types import TradesOutcome
from tests.health.evidence import (
    CLOSED,
    CREATED,
    HTML,
    HUMMINGBOT,
    LIMITS,
    NO_KEY,
    NOW,
    REFUSED,
    STOPPED,
    evidence,
    verdict_of,
)

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
    verdict = verdict_of(given_evidence)
    assert (str(verdict.status), verdict.message) == (status, message)


def test_uses_the_limits_of_the_bot_in_fractions_of_minutes():
    limits = replace(LIMITS, stale=timedelta(seconds=90), stopped=timedelta(minutes=2.5))
    spoken = [judge(evidence=evidence(trade_ago=age), limits=limits, now=NOW) for age in (1, 2, 3)]
    assert [v.status for v in spoken] == ["healthy", "stale", "stopped"]
    assert spoken[1].message == "No trade for 2 min (stale after 90 s)."
