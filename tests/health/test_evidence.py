"""The evidence as it is stored and shown: an entry for every probe, with its outcome, its instant and a sentence."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import orjson
import pytest
from hypothesis import given

from health.rules.causes import plain, shortage_words
from health.rules.evidence import PROBES, evidence_rows, instant, limits_row
from health.rules.verdict import judge
from health.rules.words import moment
from health.types import Limits, ProbeOutcome, Shortage, TradesOutcome
from tests.health.evidence import CREATED, HUMMINGBOT, LIMITS, NOW, STOPPED, ago, evidence
from tests.health.test_verdict_laws import everything


def rows_of(given_evidence, *, limits: Limits = LIMITS) -> dict[str, dict]:
    seen = evidence(**given_evidence)
    decided_by = judge(evidence=seen, limits=limits, now=NOW).decided_by
    return {row["probe"]: row for row in evidence_rows(seen, decided_by=decided_by, now=NOW, limits=limits)}


TABLE = [
    ("trades", {"trade_ago": 5}, "read", "0 own trades read on BTC/USDT at KuCoin; the newest at 2026-11-21T11:55:00Z."),
    (
        "trades",
        {"outcome": TradesOutcome.UNREADABLE, "detail": "KuCoin did not answer in time.", "known_ago": 5},
        "unreadable",
        "KuCoin did not answer in time. An earlier check saw an own trade at 2026-11-21T11:55:00Z.",
    ),
    ("orders", {}, "not_asked", "Not asked: only looked at where trades do not show a bot healthy."),
    ("orders", {"order_ago": "none"}, "read", "No open order on its pair."),
    ("orders", {"order_ago": 4}, "read", "3 open orders on its pair, the newest placed 4 min ago."),
    (
        "orders",
        {"order_ago": 4, "order_count": 1, "order_own": False},
        "read",
        "1 open order on its pair, the newest placed 4 min ago; another bot shares account and pair, so whose they are "
        "cannot be told.",
    ),
    ("balance", {}, "not_asked", "Not asked."),
    (
        "balance",
        {"trade_ago": 1, "lacks": [("USDT", "3.2", "50")]},
        "short",
        "Its account is short of USDT: 3.2 free, its next order needs 50, so 46.8 are missing.",
    ),
    (
        "balance",
        {"lacks": [("USDT", "0", "50"), ("BTC", "0", None)]},
        "out",
        "Its account is out of USDT: its next order needs 50; out of BTC.",
    ),
    (
        "balance",
        {"lacks": [("USDT", "0", "50")], "balance": ProbeOutcome.REFUSED},
        "refused",
        "It could not be read.",
    ),
    ("heartbeat", {"heart": "running"}, "running", "Its heartbeat said running 60 s ago."),
    (
        "heartbeat",
        {"heart": "running", "heart_ago": 20},
        "running",
        "Its heartbeat said running 20 min ago. That is older than 15 min, so it says nothing any more.",
    ),
    (
        "heartbeat",
        {"heart": "running", "heart_ago": 20, "heart_until": 60},
        "running",
        "Its heartbeat said running 20 min ago. The next one is expected by 13:00 UTC.",
    ),
    (
        "heartbeat",
        {"heart": "error", "heart_until": -10, "heart_detail": "run 7 failed"},
        "error",
        "Its heartbeat said error 60 s ago (run 7 failed). The next one is overdue for 10 min.",
    ),
    (
        "runtime",
        {
            "kind": HUMMINGBOT, "container": "running", "explanation": "Its controller reports.", "changed_ago": 60,
            "figures_ago": 0.5, "errors": ["ERROR\tno funds"],
        },
        "running",
        "Its controller reports. So since 11:00 UTC. Its figures last changed 30 s ago. Its log says: ERROR no funds",
    ),
    ("runtime", {"kind": HUMMINGBOT, "seen_ago": 0}, "running", "Hummingbot showed it running."),
    ("exchange", {"reachable": True, "key_valid": True}, "reachable", "It answers and accepts the key."),
    (
        "exchange",
        {"reachable": False, "exchange": "KuCoin could not be reached.", "exchange_ago": 12},
        "unreachable",
        "KuCoin could not be reached. So since 11:48 UTC.",
    ),
    ("exchange", {"key_valid": False}, "key_refused", "It refuses the key."),
    ("start", {"kind": HUMMINGBOT, "confirmed_ago": 5}, "confirmed", "Its present run was confirmed."),
    ("start", {"kind": HUMMINGBOT}, "unconfirmed", "It was asked to start, which was not confirmed yet."),
    ("start", {"desired": CREATED}, "never", "It was never started here."),
    ("wish", {"desired": STOPPED}, "stopped", "Wanted stopped by operator:alice."),
    (
        "cadence",
        {},
        "environment",
        "Stale after 30 min without a trade, stopped after 2 h. The thresholds of the environment hold.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("probe", "given_evidence", "outcome", "detail"), TABLE)
def test_tells_what_each_probe_saw(probe, given_evidence, outcome, detail):
    row = rows_of(given_evidence)[probe]
    assert (row["outcome"], row["detail"]) == (outcome, detail)


def test_dates_each_probe_by_what_it_speaks_of():
    rows = rows_of(
        {
            "kind": HUMMINGBOT,
            "confirmed_ago": 50,
            "heart": "running",
            "heart_ago": 3,
            "container": "idle",
            "observed_ago": 2,
        }
    )
    seen_at = {"start": 50, "wish": 600, "heartbeat": 3, "runtime": 2, "trades": 0}
    assert {probe: rows[probe]["observed_at"] for probe in seen_at} == {
        probe: instant(ago(minutes)) for probe, minutes in seen_at.items()
    }


@given(everything)
def test_has_one_probe_that_decided_and_fits_what_is_stored(given_evidence):
    seen = evidence(**given_evidence)
    decided_by = judge(evidence=seen, limits=LIMITS, now=NOW).decided_by
    rows = evidence_rows(seen, decided_by=decided_by, now=NOW, limits=LIMITS)
    probes = [row["probe"] for row in rows]
    assert probes == sorted(set(probes), key=PROBES.index) and {"trades", "orders", "balance"} <= set(probes)
    assert [row["probe"] for row in rows if row["decided"]] == [{"stop": "wish"}.get(decided_by, decided_by)]
    assert orjson.dumps(rows) and all(0 < len(row["detail"]) <= 500 for row in rows)
    assert all(datetime.fromisoformat(row["observed_at"]).tzinfo for row in rows)


@pytest.mark.parametrize(
    ("source", "why", "says"),
    [
        ("bot", "", "Its own thresholds hold."),
        ("settings", "", "The thresholds of the health settings hold."),
        ("learned", "quiet is normal here: longest gap 3 h", "Quiet is normal here: longest gap 3 h."),
    ],
)
def test_says_whose_limits_hold(source, why, says):
    row = limits_row(replace(LIMITS, stale=timedelta(seconds=90), source=source, why=why))
    assert row == {
        "stale_minutes": 1.5, "stopped_minutes": 120, "heartbeat_minutes": 15, "source": source, "why": says,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("free", "needed", "words"),
    [
        ("0", None, "out of USDT"),
        ("-5", "10", "out of USDT: its next order needs 10"),
        ("1", None, "short of USDT: 1 free"),
        ("9.5", "10", "short of USDT: 9.5 free, its next order needs 10, so 0.5 are missing"),
    ],
)
def test_names_what_is_missing(free, needed, words):
    assert shortage_words(Shortage("USDT", Decimal(free), None if needed is None else Decimal(needed))) == words


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("0", "0"),
        ("0E-8", "0"),
        ("1E+3", "1000"),
        ("100", "100"),
        ("0.10", "0.1"),
        ("1E-9", "0.000000001"),
        ("5.00", "5"),
    ],
)
def test_writes_amounts_without_exponents(amount, words):
    assert plain(Decimal(amount)) == words


def test_says_instants_as_short_as_they_can_be():
    assert [moment(ago(-60 * hours), now=NOW) for hours in (1, 24, 24 * 60)] == [
        "13:00 UTC", "22 Nov 12:00 UTC", "20 Jan 2027 12:00 UTC",
    ]  # fmt: skip
