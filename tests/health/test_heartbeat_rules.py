"""When a heartbeat is overdue by a bot's own plan, over changes of the clock, and what the end of a ping's address says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.errors import InvalidInput
from health.rules.heartbeats import Plan, expires_at, is_run_id, next_expected, read_plan, read_signal, tell_ping
from health.rules.words import PingKind

MINUTE = timedelta(minutes=1)
BERLIN = "Europe/Berlin"


def at(text: str, zone: str = "UTC", *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def daily(cron: str, zone: str = BERLIN) -> Plan:
    return Plan(MINUTE, cron=cron, timezone=zone)


# cron in a zone, heard at, expected next
CRON = {
    "every five minutes": ("*/5 * * * *", "UTC", at("2026-11-21T12:01"), at("2026-11-21T12:05")),
    "at the very instant it is the next one's turn": ("0 3 * * *", "UTC", at("2026-11-21T03:00"), at("2026-11-22T03:00")),
    "before its hour it still owes that one": ("0 3 * * *", "UTC", at("2026-11-21T02:59:59"), at("2026-11-21T03:00")),
    "in its own zone": ("0 3 * * *", BERLIN, at("2026-11-21T12:00"), at("2026-11-22T02:00")),
    "half an hour beside UTC": ("0 9 * * 1-5", "Asia/Kolkata", at("2026-11-20T12:00"), at("2026-11-23T03:30")),
    "summer begins: the day has 23 hours": ("0 12 * * *", BERLIN, at("2026-03-28T12:00", BERLIN), at("2026-03-29T10:00")),
    "summer ends: the day has 25 hours": ("0 12 * * *", BERLIN, at("2026-10-24T12:00", BERLIN), at("2026-10-25T11:00")),
    "a time that spring skips comes when the gap ends": (
        "30 2 * * *", BERLIN, at("2026-03-28T12:00", BERLIN), at("2026-03-29T03:00", BERLIN),
    ),
    "a time that autumn has twice comes the first time": (
        "30 2 * * *", BERLIN, at("2026-10-24T12:00", BERLIN), at("2026-10-25T02:30", BERLIN),
    ),
    "and is not owed again in the second pass": (
        "30 2 * * *", BERLIN, at("2026-10-25T02:10", BERLIN, fold=1), at("2026-10-26T02:30", BERLIN),
    ),
    "every half hour keeps its distance in the second pass": (
        "*/30 * * * *", BERLIN, at("2026-10-25T02:10", BERLIN, fold=1), at("2026-10-25T01:30"),
    ),
    "every hour keeps its distance over the gap": (
        "0 * * * *", BERLIN, at("2026-03-29T01:10", BERLIN), at("2026-03-29T03:00", BERLIN),
    ),
    "a leap day": ("0 0 29 2 *", "UTC", at("2026-11-21T12:00"), at("2028-02-29T00:00")),
}  # fmt: skip


@pytest.mark.parametrize(("cron", "zone", "heard_at", "expected"), CRON.values(), ids=CRON.keys())
def test_expects_the_next_heartbeat_by_the_wall_clock(cron: str, zone: str, heard_at: datetime, expected: datetime):
    plan = daily(cron, zone)
    assert next_expected(plan, heard_at.astimezone(UTC)) == expected.astimezone(UTC)
    assert expires_at(plan, heard_at.astimezone(UTC)) == expected.astimezone(UTC) + MINUTE


ZONES = st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Santiago"])
INSTANTS = st.floats(0, 5 * 10**8).map(lambda seconds: at("2020-01-01T00:00") + timedelta(seconds=seconds))
CRONS = st.sampled_from(
    ["* * * * *", "*/7 * * * *", "0 * * * *", "30 2 * * *", "15 1,2,3 * * *", "0 0 1 * *", "5 4 * * SUN"]
)


@given(CRONS, ZONES, INSTANTS)
def test_expects_every_heartbeat_after_the_one_before(cron: str, zone: str, heard_at: datetime):
    plan = daily(cron, zone)
    first = next_expected(plan, heard_at)
    assert first is not None and heard_at < first <= heard_at + timedelta(days=32)
    second = next_expected(plan, first)
    assert second is not None and second > first
    assert next_expected(plan, heard_at + (first - heard_at) / 2) == first, "and hears of no other in between"


@given(st.integers(1, 31_536_000), st.integers(1, 31_536_000), INSTANTS)
def test_counts_an_interval_from_the_last_heartbeat(period: int, grace: int, heard_at: datetime):
    plan = read_plan(period_s=period, cron="", timezone="UTC", grace_s=grace)
    assert expires_at(plan, heard_at) == heard_at + timedelta(seconds=period + grace)


BAD_PLANS = {
    "neither": {},
    "both": {"period_s": 60, "cron": "* * * * *"},
    "no period at all": {"period_s": 0},
    "more than a year": {"period_s": 31_536_001},
    "no grace": {"period_s": 60, "grace_s": 0},
    "an unknown zone": {"period_s": 60, "timezone": "Mars/Olympus"},
    "a path for a zone": {"cron": "* * * * *", "timezone": "../../etc/passwd"},
    "an empty zone": {"period_s": 60, "timezone": ""},
    "words": {"cron": "every now and then"},
    "four fields": {"cron": "* * * *"},
    "seconds": {"cron": "* * * * * *"},
    "an alias": {"cron": "@hourly"},
    "a minute beyond the hour": {"cron": "61 * * * *"},
    "a day that never comes": {"cron": "0 0 31 2 *"},
    "one that never comes on its weekday": {"cron": "0 0 */29 2 MON#5"},
    "a huge number": {"cron": f"{'9' * 50} * * * *"},
    "a very long one": {"cron": f"{','.join(map(str, range(60)))} * * * *"},
}


@pytest.mark.parametrize("given_plan", BAD_PLANS.values(), ids=BAD_PLANS.keys())
def test_refuses_a_plan_that_cannot_be_kept(given_plan: dict[str, object]):
    with pytest.raises(InvalidInput) as refused:
        read_plan(**{"period_s": None, "cron": "", "timezone": "UTC", "grace_s": None, **given_plan})
    assert refused.value.fields


@given(st.text("0123456789*/-,#LW ?@MONJAN", max_size=30))
def test_reads_or_refuses_any_cron_expression_and_never_breaks(cron: str):
    try:
        plan = read_plan(period_s=None, cron=cron, timezone=BERLIN, grace_s=None)
    except InvalidInput:
        return
    assert next_expected(plan, at("2026-11-21T12:00")) is not None


def test_leaves_a_stored_plan_that_cannot_be_read_any_more_to_the_common_time_out():
    assert expires_at(daily("0 3 * * *", "Mars/Olympus"), at("2026-11-21T12:00")) is None
    assert expires_at(daily("nonsense", "UTC"), at("2026-11-21T12:00")) is None


SIGNALS = {
    "": ("success", None, "running"),
    "start": ("start", None, "running"),
    "fail": ("fail", None, "error"),
    "log": ("log", None, None),
    "0": ("success", 0, "running"),
    "1": ("fail", 1, "error"),
    "137": ("fail", 137, "error"),
    "255": ("fail", 255, "error"),
    "007": ("fail", 7, "error"),
}


@pytest.mark.parametrize(("text", "said"), SIGNALS.items())
def test_reads_what_stands_behind_the_key(text: str, said: tuple[str, int | None, str | None]):
    signal = read_signal(text)
    assert signal is not None and (signal.kind, signal.exit_code, signal.word) == said


@pytest.mark.parametrize("text", ["256", "-1", "1.5", "0000", "START", "success", "stop", "٣", "1\n", " "])
def test_knows_no_other_word_behind_the_key(text: str):
    assert read_signal(text) is None


def test_tells_a_run_by_its_id_code_and_length():
    def told(text: str, **more: object) -> str:
        signal = read_signal(text)
        assert signal is not None
        return tell_ping(signal, **more)

    assert told("3", run_id="7", duration=timedelta(seconds=12)) == "run 7 ended with exit code 3 after 12 s"
    assert told("0") == "its run ended with exit code 0"
    assert told("fail", run_id="7") == "run 7 failed"
    assert told("", duration=timedelta(minutes=5)) == "its run was well after 5 min"
    assert told("start") == "its run began"
    assert (told(""), told("fail")) == ("", "")


def test_takes_only_plain_words_for_a_run_id():
    assert all(is_run_id(text) for text in ("7", "2026-11-21T12:00", "a" * 64, "6f1c9d1e-53a4-4a1c-9a6c-0f2c1d7e8b90"))
    assert not any(is_run_id(text) for text in ("", "a" * 65, "a b", "a/b", "ü", "a\n", "<b>"))


def test_has_every_kind_of_ping_in_the_addresses():
    assert {signal.kind for text in SIGNALS if (signal := read_signal(text))} == set(PingKind)
