"""What open orders, Hummingbot, balances, the exchange and planned heartbeats make of a verdict, in the operator's words."""

from __future__ import annotations

import pytest

from health.types import ProbeOutcome, TradesOutcome
from tests.health.evidence import CREATED, HTML, HUMMINGBOT, NO_KEY, REFUSED, STOPPED, verdict_of

SILENT = {"trade_ago": 200}
SAYS_SILENT = "No trade for 3 h 20 min (stopped after 2 h)."
RUNS = {"kind": HUMMINGBOT, "confirmed_ago": 500}
EXITED = {**RUNS, "container": "exited", "changed_ago": 0.7}
NOT_ASKED = {"outcome": TradesOutcome.NOT_ASKED}
DOWN = {"reachable": False, "exchange": "KuCoin could not be reached (NetworkError).", "exchange_ago": 12}
USDT = ("USDT", "3.2", "50")

ORDERS = [
    (
        "fresh own orders lift stopped to stale",
        {**SILENT, "order_ago": 4},
        "stale orders",
        f"{SAYS_SILENT} Yet: it quotes (the newest of its 3 open orders was placed 4 min ago), but nothing was filled.",
    ),
    (
        "a single one is named so",
        {"order_ago": 4, "order_count": 1},
        "stale orders",
        "No trade of its own was found on BTC/USDT at KuCoin. Yet: it quotes (an order was placed 4 min ago), but nothing "
        "was filled.",
    ),
    ("old orders may be left by a dead bot", {**SILENT, "order_ago": 30}, "stopped trades", SAYS_SILENT),
    (
        "orders that may be another's prove nothing",
        {**SILENT, "order_ago": 4, "order_own": False},
        "stopped trades",
        SAYS_SILENT,
    ),
    ("an order from the future proves nothing", {**SILENT, "order_ago": -5}, "stopped trades", SAYS_SILENT),
    (
        "an unreadable book says nothing",
        {**SILENT, "order_ago": 4, "orders": ProbeOutcome.UNREADABLE},
        "stopped trades",
        SAYS_SILENT,
    ),
    (
        "orders do not lift stale",
        {"trade_ago": 40, "order_ago": 1},
        "stale trades",
        "No trade for 40 min (stale after 30 min).",
    ),
    (
        "orders do not make good what cannot be read",
        {**HTML, "order_ago": 1},
        "unknown trades exchange",
        HTML["detail"],
    ),
    (
        "an empty book is told",
        {**SILENT, "order_ago": "none"},
        "stopped trades",
        f"{SAYS_SILENT} It has no open orders either.",
    ),
    (
        "a heartbeat and orders together",
        {**SILENT, "heart": "running", "order_ago": 4},
        "stale heartbeat",
        f"{SAYS_SILENT} Yet: its heartbeat said running 60 s ago; it quotes (the newest of its 3 open orders was placed "
        "4 min ago), but nothing was filled.",
    ),
]

RUNTIME = [
    (
        "a container that ended is stopped at once",
        {**EXITED, "trade_ago": 5},
        "stopped runtime runtime",
        "Its container ended 42 s ago. It last traded 5 min ago.",
    ),
    (
        "also where trades cannot be read just now",
        {**EXITED, **HTML, "known_ago": 5},
        "stopped runtime runtime",
        "Its container ended 42 s ago. It last traded 5 min ago.",
    ),
    (
        "also where nothing was ever traded",
        EXITED,
        "stopped runtime runtime",
        "Its container ended 42 s ago.",
    ),
    (
        "orders it left on the book do not take that back",
        {**EXITED, "order_ago": 1},
        "stopped runtime runtime",
        "Its container ended 42 s ago.",
    ),
    (
        "nor a heartbeat from beside it",
        {**EXITED, "heart": "running", "heart_ago": 0.5},
        "stopped runtime runtime",
        "Its container ended 42 s ago.",
    ),
    (
        "a trade after the last look does",
        {**EXITED, "observed_ago": 10, "changed_ago": 12, "trade_ago": 5},
        "healthy trades",
        "Traded 5 min ago.",
    ),
    (
        "a heartbeat long after the last look does",
        {**EXITED, **SILENT, "observed_ago": 10, "changed_ago": 12, "heart": "running"},
        "stale heartbeat",
        f"{SAYS_SILENT} Yet: its heartbeat said running 60 s ago.",
    ),
    (
        "the end of an earlier run is over",
        {"kind": HUMMINGBOT, "confirmed_ago": 2, "container": "exited", "changed_ago": 3},
        "unknown start",
        "Started 2 min ago, no trade yet.",
    ),
    (
        "so it is while the new run is not confirmed",
        {"kind": HUMMINGBOT, "desired_ago": 2, "container": "exited", "changed_ago": 3},
        "unknown start",
        "Asked to start 2 min ago, no trade yet.",
    ),
    (
        "right after a quick start the old container may be ending",
        {"kind": HUMMINGBOT, "desired_ago": 4, "container": "exited", "changed_ago": 3},
        "unknown start",
        "Asked to start 4 min ago, no trade yet.",
    ),
    (
        "a run that ended before it was confirmed is stopped",
        {"kind": HUMMINGBOT, "desired_ago": 5, "container": "exited", "changed_ago": 3},
        "stopped runtime runtime",
        "Its container ended 3 min ago.",
    ),
    (
        "gone from Hummingbot",
        {**EXITED, "container": "absent", "changed_ago": 3, "trade_ago": 60},
        "stopped runtime runtime",
        "It is gone from Hummingbot, seen 3 min ago. It last traded 60 min ago.",
    ),
    (
        "Hummingbot refused it",
        {
            "kind": HUMMINGBOT,
            "desired_ago": 5,
            "container": "failed",
            "changed_ago": 4,
            "explanation": "Hummingbot does not know its controller.",
        },
        "error runtime runtime",
        "Hummingbot does not know its controller.",
    ),
    (
        "figures that change lift stopped to stale",
        {**RUNS, **SILENT, "container": "running", "figures_ago": 0.5},
        "stale runtime",
        f"{SAYS_SILENT} Yet: Hummingbot shows it running, and its figures changed 30 s ago.",
    ),
    (
        "figures that stand still say nothing",
        {**RUNS, **SILENT, "container": "running", "figures_ago": 15.1},
        "stopped trades",
        SAYS_SILENT,
    ),
    (
        "running alone proves nothing",
        {**RUNS, **SILENT, "container": "running"},
        "stopped trades",
        SAYS_SILENT,
    ),
    (
        "figures do not end the wait after a start",
        {"kind": HUMMINGBOT, "confirmed_ago": 2, "container": "running", "figures_ago": 0.5},
        "unknown start",
        "Started 2 min ago, no trade yet.",
    ),
    ("idle changes nothing", {**RUNS, "container": "idle", "trade_ago": 5}, "healthy trades", "Traded 5 min ago."),
    ("unknown changes nothing", {**RUNS, **SILENT, "container": "unknown"}, "stopped trades", SAYS_SILENT),
    (
        "a strategy shown stopped is no proof while it trades",
        {**RUNS, "container": "stopped", "trade_ago": 5},
        "healthy trades",
        "Traded 5 min ago.",
    ),
    (
        "but the likely cause of a silence",
        {**RUNS, **SILENT, "container": "stopped", "changed_ago": 190},
        "stopped trades runtime",
        f"{SAYS_SILENT} Hummingbot shows its strategy stopped.",
    ),
    (
        "its log is quoted",
        {**RUNS, **SILENT, "container": "running", "errors": ["ERROR  Insufficient\nbalance"], "errors_ago": 3},
        "stopped trades",
        f"{SAYS_SILENT} Its log says: ERROR Insufficient balance",
    ),
    (
        "its log from before the last trade is not",
        {**RUNS, **SILENT, "container": "running", "errors": ["ERROR once"], "errors_ago": 201},
        "stopped trades",
        SAYS_SILENT,
    ),
    (
        "an external bot has no container",
        {"container": "exited", "trade_ago": 5},
        "healthy trades",
        "Traded 5 min ago.",
    ),
    (
        "stopped on purpose, its container ended",
        {**EXITED, "desired": STOPPED, "desired_ago": 2},
        "stopped stop",
        "stopped by operator:alice",
    ),
    (
        "never started, a container of that name ended",
        {"kind": HUMMINGBOT, "desired": CREATED, "container": "exited"},
        "unknown start",
        "It was never started.",
    ),
    (
        "an error of its own wins over its container's end",
        {**EXITED, "heart": "error"},
        "error heartbeat",
        "Its heartbeat said error 60 s ago. Look at the bot's own log.",
    ),
]

BALANCE = [
    (
        "low funds of a healthy bot are no message",
        {"trade_ago": 5, "lacks": [USDT]},
        "healthy trades",
        "Traded 5 min ago.",
    ),
    (
        "a shortage is the named cause",
        {**SILENT, "lacks": [USDT]},
        "stopped trades balance",
        f"{SAYS_SILENT} It is short of USDT: 3.2 free, its next order needs 50, so 46.8 are missing.",
    ),
    (
        "nothing is left",
        {"trade_ago": 40, "lacks": [("USDT", "0", "50")]},
        "stale trades balance",
        "No trade for 40 min (stale after 30 min). It is out of USDT: its next order needs 50.",
    ),
    (
        "both sides, of one nothing is known",
        {**SILENT, "lacks": [("USDT", "0E-8", None), ("BTC", "0.00010000", "0.5")]},
        "stopped trades balance",
        f"{SAYS_SILENT} It is out of USDT. It is short of BTC: 0.0001 free, its next order needs 0.5, so 0.4999 are missing.",
    ),
    (
        "beside the wait after a start",
        {"kind": HUMMINGBOT, "confirmed_ago": 2, "lacks": [("USDT", "0", "50")]},
        "unknown start balance",
        "Started 2 min ago, no trade yet. It is out of USDT: its next order needs 50.",
    ),
    (
        "beside a container's end, which stays the cause",
        {**EXITED, "lacks": [("USDT", "0", "50")]},
        "stopped runtime runtime",
        "Its container ended 42 s ago. It is out of USDT: its next order needs 50.",
    ),
    (
        "a balance that could not be read names nothing",
        {**SILENT, "lacks": [USDT], "balance": ProbeOutcome.UNREADABLE},
        "stopped trades",
        SAYS_SILENT,
    ),
    (
        "stopped on purpose is short of nothing",
        {"desired": STOPPED, "desired_ago": 60, "lacks": [USDT]},
        "stopped stop",
        "stopped by operator:alice",
    ),
]

EXCHANGE = [
    (
        "an exchange that does not answer",
        {"outcome": TradesOutcome.UNREADABLE, "detail": DOWN["exchange"], **DOWN},
        "unknown trades exchange",
        "KuCoin could not be reached (NetworkError). It has not answered for 12 min.",
    ),
    (
        "one that is not asked, because it does not answer",
        {**NOT_ASKED, **DOWN, "known_ago": 5},
        "unknown exchange exchange",
        "KuCoin could not be reached (NetworkError). It has not answered for 12 min.",
    ),
    (
        "a heartbeat does not stand in for it",
        {**NOT_ASKED, **DOWN, "heart": "running"},
        "unknown exchange exchange",
        "KuCoin could not be reached (NetworkError). It has not answered for 12 min.",
    ),
    (
        "one that asks for fewer requests",
        {"outcome": TradesOutcome.RATE_LIMITED, "detail": "KuCoin asks for fewer requests."},
        "unknown trades exchange",
        "KuCoin asks for fewer requests.",
    ),
    ("a refused key", {**REFUSED, "key_valid": False}, "error trades key", REFUSED["detail"]),
    (
        "a refused key that is not asked again",
        {**NOT_ASKED, "key_valid": False, "exchange": REFUSED["detail"], "known_ago": 5},
        "error exchange key",
        REFUSED["detail"],
    ),
    (
        "a pair that the exchange does not know is no matter of the key",
        {
            "outcome": TradesOutcome.REFUSED,
            "detail": "KuCoin does not know this market (BadSymbol).",
            "key_valid": True,
        },
        "error trades",
        "KuCoin does not know this market (BadSymbol).",
    ),
    (
        "a readable answer wins over what was known of the key",
        {"trade_ago": 5, "key_valid": False, "reachable": False},
        "healthy trades",
        "Traded 5 min ago.",
    ),
    (
        "our own check broke",
        {
            "outcome": TradesOutcome.BROKE,
            "detail": "The check itself broke (KeyError): this is a defect of the bridge.",
        },
        "error trades bridge",
        "The check itself broke (KeyError): this is a defect of the bridge.",
    ),
    ("never asked", NOT_ASKED, "unknown trades", "Not checked yet."),
]

PLANNED = [
    (
        "a heartbeat is believed until its plan says otherwise",
        {**NO_KEY, "heart": "running", "heart_ago": 600, "heart_until": 5},
        "healthy heartbeat",
        "Its heartbeat said running 10 h ago. There are no credentials for KuCoin. So its heartbeat alone is believed.",
    ),
    (
        "and not an instant longer, however young",
        {"trade_ago": 200, "heart": "running", "heart_ago": 2, "heart_until": -1},
        "stopped trades",
        f"{SAYS_SILENT} Its heartbeat is overdue for 60 s.",
    ),
    (
        "one that was promised and is missing is all there is to know",
        {**NO_KEY, "heart": "running", "heart_ago": 20, "heart_until": -10},
        "stopped heartbeat",
        "Its heartbeat is overdue for 10 min: the last one said running 20 min ago. There are no credentials for KuCoin.",
    ),
    (
        "after a start it gets the common time-out first",
        {**NO_KEY, "desired_ago": 3, "heart": "running", "heart_ago": 20, "heart_until": -10},
        "unknown trades",
        NO_KEY["detail"],
    ),
    (
        "a healthy bot whose heartbeat is late is healthy",
        {"trade_ago": 5, "heart": "running", "heart_ago": 20, "heart_until": -10},
        "healthy trades",
        "Traded 5 min ago.",
    ),
    (
        "what came along is told",
        {"trade_ago": 5, "heart": "error", "heart_detail": "run 7 ended with exit code 3 after 12 s"},
        "error heartbeat",
        "Its heartbeat said error 60 s ago (run 7 ended with exit code 3 after 12 s). Look at the bot's own log.",
    ),
]

TABLE = ORDERS + RUNTIME + BALANCE + EXCHANGE + PLANNED


@pytest.mark.parametrize(("given", "words", "message"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_says(given, words, message):
    verdict = verdict_of(given)
    assert " ".join(filter(None, (verdict.status, verdict.decided_by, verdict.cause))) == words
    assert verdict.message == message


MIND = [
    ({"trade_ago": 5}, "Without another own trade it is stale from 12:25 UTC."),
    ({"trade_ago": 40}, "An own trade makes it healthy; without one it is stopped after 13:20 UTC."),
    (SILENT, "An own trade makes it healthy."),
    (
        {**SILENT, "heart": "running", "order_ago": 10},
        "An own trade makes it healthy; without a new sign of life it is stopped after 12:20 UTC.",
    ),
    (
        {"kind": HUMMINGBOT, "confirmed_ago": 2},
        "An own trade makes it healthy; without one it is stale from 12:28 UTC.",
    ),
    ({**EXITED, "trade_ago": 5}, "A new start, or an own trade after this, shows that it lives."),
    (
        {**SILENT, "lacks": [USDT]},
        "More 46.8 USDT on its account lets it place its next order. An own trade makes it healthy.",
    ),
    (
        {"shared_ago": 3},
        "An own trade makes it healthy; give each bot a client_order_id_prefix to tell their trades apart.",
    ),
    ({**SILENT, "future_in": 10}, "Clocks that agree, or an own trade whose time can be believed."),
    ({**REFUSED, "key_valid": False}, "Give its connector a key that the exchange accepts and that may read trades."),
    (REFUSED, "Correct what the message names: the pair, the market or a permission."),
    (HTML, "The exchange's next readable answer decides."),
    (NO_KEY, "Credentials that may read its trades; until then heartbeats of its own."),
    (
        {**NO_KEY, "heart": "running"},
        "Its next heartbeat decides; without one it is unknown after 12:14 UTC.",
    ),
    (
        {**NO_KEY, "heart": "running", "heart_until": 60 * 24},
        "Its next heartbeat decides; without one it is stopped after 22 Nov 12:00 UTC.",
    ),
    (
        {"heart": "error"},
        "A heartbeat that says running; or none until 12:14 UTC, when the other evidence decides again.",
    ),
    ({"desired": STOPPED}, "Start it, and it is judged again."),
    ({"desired": CREATED}, "Start it, and it is judged."),
]


@pytest.mark.parametrize(("given", "sentence"), MIND)
def test_says_what_would_change_its_mind(given, sentence):
    assert verdict_of(given).changes_when == sentence


def test_keeps_its_message_within_what_is_stored_and_leaves_out_what_has_no_room():
    names = tuple(name * 60 for name in "abcd")
    crowded = verdict_of({"trade_ago": 40, "shared_ago": 3, "rivals": names, "lacks": [USDT, ("BTC", "0", "1")]})
    assert len(crowded.message) <= 500 and crowded.status == "stale"
    assert verdict_of({"detail": "x" * 900, "outcome": TradesOutcome.REFUSED}).message.endswith("x…")
