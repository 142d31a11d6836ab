"""The pure rules: whom a message is for, when it waits, and what becomes of one that is due."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.rules.matching import concerns, matches, sees_all, visible_bots
from alerts.rules.schedule import TELLS, next_step
from alerts.rules.silence import check_cron, check_timezone, covers, quiet_end, silence_of, window_end
from alerts.rules.wording import compose, span
from alerts.rules.words import DeliveryStatus, MessageKind, Severity
from alerts.types import (
    BotShown,
    Case,
    Go,
    Hold,
    Pending,
    PutOff,
    QuietHours,
    Reader,
    Rule,
    Silence,
    Silences,
    Skip,
    Window,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)  # a Saturday
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ACME, GLOBEX = UUID(int=1), UUID(int=2)
MAKER = BotShown(UUID(int=10), ACME, "maker", "client_acme", "kucoin", "BTC/USDT")
TAKER = BotShown(UUID(int=11), ACME, "taker", "client_acme", "kucoin", "ETH/USDT")
RIVAL = BotShown(UUID(int=20), GLOBEX, "rival", "client_globex", "kucoin", "BTC/USDT")
ONE = Case(
    UUID(int=100), "bot_health", str(MAKER.id), Severity.WARNING, "maker is stopped", NOON, NOON,
    client_id=ACME, account="client_acme", bot=MAKER,
)  # fmt: skip
MANY = Case(
    UUID(int=101), "exchange_down", "kucoin", Severity.CRITICAL, "KuCoin is away", NOON, NOON,
    details={"exchange": "kucoin", "key_hint": "abcd…wxyz"}, touched={ACME: (MAKER, TAKER), GLOBEX: (RIVAL,)},
)  # fmt: skip
HOUSE = Case(UUID(int=102), "hummingbot_down", "hummingbot", Severity.CRITICAL, "Hummingbot is away", NOON, NOON)
OPERATORS, FOR_ACME, FOR_GLOBEX = Reader(), Reader(ACME), Reader(GLOBEX)
FOR_MAKER, FOR_TAKER = Reader(ACME, MAKER.id), Reader(ACME, TAKER.id)


@pytest.mark.parametrize(
    ("reader", "one", "many", "house"),
    [
        (OPERATORS, True, True, True),
        (FOR_ACME, True, True, False),
        (FOR_GLOBEX, False, True, False),
        (FOR_MAKER, True, True, False),
        (FOR_TAKER, False, True, False),
        (Reader(GLOBEX, MAKER.id), False, False, False),
        (Reader(UUID(int=3)), False, False, False),
    ],
)
def test_an_incident_concerns_only_whom_it_is_about(reader: Reader, one: bool, many: bool, house: bool) -> None:
    assert [concerns(reader=reader, case=case) for case in (ONE, MANY, HOUSE)] == [one, many, house]


@pytest.mark.parametrize(
    ("rule", "severity", "expected"),
    [
        ({}, Severity.WARNING, True),
        ({}, Severity.INFO, False),
        ({"min_severity": Severity.INFO}, Severity.INFO, True),
        ({"min_severity": Severity.CRITICAL}, Severity.WARNING, False),
        ({"min_severity": Severity.CRITICAL}, Severity.CRITICAL, True),
        ({"kinds": frozenset({"bot_health"})}, Severity.WARNING, True),
        ({"kinds": frozenset({"exchange_down", "ledger_balance"})}, Severity.CRITICAL, False),
        ({"reader": FOR_GLOBEX}, Severity.CRITICAL, False),
    ],
)
def test_a_rule_matches_by_kind_severity_and_owner(rule: dict[str, Any], severity: Severity, expected: bool) -> None:
    assert matches(rule=Rule(UUID(int=1), UUID(int=2), **rule), case=ONE, severity=severity) is expected


_READERS = st.builds(
    Reader, st.sampled_from([None, ACME, GLOBEX]), st.sampled_from([None, MAKER.id, TAKER.id, RIVAL.id])
).filter(lambda reader: reader.client_id is not None or reader.bot_id is None)
_SECRET = {ACME: ("client_acme", "maker", "taker"), GLOBEX: ("client_globex", "rival")}


@given(_READERS, st.sampled_from([ONE, MANY, HOUSE]), st.sampled_from(list(MessageKind)[:5]))
def test_nothing_of_another_client_is_in_any_word_of_a_message(reader: Reader, case: Case, kind: MessageKind) -> None:
    if reader.client_id is None or not concerns(reader=reader, case=case):
        return
    assert all(bot.client_id == reader.client_id for bot in visible_bots(reader=reader, case=case))
    done = replace(case, resolved_at=NOON + HOUR, resolved_by="operator:bob", acknowledged_by="operator:bob",
                   acknowledged_at=NOON, resolution="done")  # fmt: skip
    words = compose(kind=kind, number=1, case=done, reader=reader, now=NOON + HOUR)
    said = f"{words.title} {words.body} {words.payload}"
    other = GLOBEX if reader.client_id == ACME else ACME
    assert not any(word in said for word in _SECRET[other]) and "bob" not in said
    if not sees_all(reader=reader, case=case):
        assert not any(word in said for word in ("KuCoin", "abcd", "done"))


# -- quiet hours ------------------------------------------------------------------------------------------------------
def at(zone: str, *moment: int, fold: int = 0) -> datetime:
    return datetime(*moment, tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)  # type: ignore[arg-type, misc]


NIGHT = QuietHours(time(22), time(7), "Europe/Zurich")


@pytest.mark.parametrize(
    ("now", "end"),
    [
        (at("Europe/Zurich", 2026, 11, 21, 21, 59), None),
        (at("Europe/Zurich", 2026, 11, 21, 22, 0), at("Europe/Zurich", 2026, 11, 22, 7)),
        (at("Europe/Zurich", 2026, 11, 22, 3, 0), at("Europe/Zurich", 2026, 11, 22, 7)),
        (at("Europe/Zurich", 2026, 11, 22, 7, 0), None),
        (at("Europe/Zurich", 2026, 3, 29, 1, 30), at("Europe/Zurich", 2026, 3, 29, 7)),  # the night of the lost hour
        (at("Europe/Zurich", 2026, 10, 25, 2, 30, fold=1), at("Europe/Zurich", 2026, 10, 25, 7)),  # of the hour won
    ],
)
def test_quiet_hours_run_past_midnight_by_the_clock_on_the_wall(now: datetime, end: datetime | None) -> None:
    assert quiet_end(quiet=NIGHT, now=now) == end


def test_the_night_of_the_lost_hour_is_an_hour_shorter() -> None:
    begins, lost = at("Europe/Zurich", 2026, 3, 28, 22), at("Europe/Zurich", 2026, 10, 24, 22)
    assert quiet_end(quiet=NIGHT, now=begins) == begins + 8 * HOUR
    assert quiet_end(quiet=NIGHT, now=lost) == lost + 10 * HOUR


def test_quiet_hours_belong_to_the_day_on_which_they_begin() -> None:
    friday = replace(NIGHT, days=frozenset({5}))
    assert quiet_end(quiet=friday, now=at("Europe/Zurich", 2026, 11, 21, 6)) is not None  # the night from Friday
    assert quiet_end(quiet=friday, now=at("Europe/Zurich", 2026, 11, 21, 23)) is None
    weekend = QuietHours(time(0), time(23, 59), "UTC", frozenset({6, 7}))
    assert quiet_end(quiet=weekend, now=NOON) == NOON + 11 * HOUR + 59 * MINUTE
    assert quiet_end(quiet=weekend, now=NOON + 2 * DAY) is None


_QUIET = st.builds(
    QuietHours,
    st.times(),
    st.times(),
    st.sampled_from(
        ["UTC", "Europe/Zurich", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]
    ),
    st.frozensets(st.integers(1, 7)),
).filter(lambda quiet: quiet.begins != quiet.ends)
_MOMENTS = st.integers(1_577_836_800, 2_051_222_400).map(lambda second: datetime.fromtimestamp(second, UTC))


@given(_QUIET, _MOMENTS)
def test_quiet_hours_end_later_and_within_a_day(quiet: QuietHours, now: datetime) -> None:
    end = quiet_end(quiet=quiet, now=now)
    if end is not None:
        assert now < end <= now + 26 * HOUR
        assert quiet_end(quiet=quiet, now=end - timedelta(seconds=1)) is not None or end - now < timedelta(seconds=1)


# -- maintenance ------------------------------------------------------------------------------------------------------
ONCE = Window("upgrade", NOON, NOON + HOUR)
SUNDAYS = Window(
    "weekly", NOON - 30 * DAY, cron="30 2 * * 0", timezone="Europe/Zurich", duration=2 * HOUR
)  # fmt: skip


@pytest.mark.parametrize(
    ("window", "now", "end"),
    [
        (ONCE, NOON - MINUTE, None),
        (ONCE, NOON, NOON + HOUR),
        (ONCE, NOON + HOUR, None),
        (SUNDAYS, at("Europe/Zurich", 2026, 11, 22, 2, 29), None),
        (SUNDAYS, at("Europe/Zurich", 2026, 11, 22, 2, 30), at("Europe/Zurich", 2026, 11, 22, 4, 30)),
        (SUNDAYS, at("Europe/Zurich", 2026, 11, 22, 4, 29), at("Europe/Zurich", 2026, 11, 22, 4, 30)),
        (SUNDAYS, at("Europe/Zurich", 2026, 11, 22, 4, 30), None),
        (SUNDAYS, at("Europe/Zurich", 2026, 11, 23, 3, 0), None),
        (replace(SUNDAYS, starts_at=NOON + DAY), at("Europe/Zurich", 2026, 11, 22, 3), None),  # not yet repeated
        (replace(SUNDAYS, ends_at=NOON), at("Europe/Zurich", 2026, 11, 22, 3), None),  # repeated no more
        (
            replace(SUNDAYS, ends_at=at("Europe/Zurich", 2026, 11, 22, 3)),
            at("Europe/Zurich", 2026, 11, 22, 2, 45),
            at("Europe/Zurich", 2026, 11, 22, 3),
        ),
        (replace(SUNDAYS, cron="no cron at all"), at("Europe/Zurich", 2026, 11, 22, 3), None),
        (replace(SUNDAYS, timezone="Mars/Olympus"), at("Europe/Zurich", 2026, 11, 22, 3), None),
        # A window over midnight, and one at an hour that this night has not.
        (
            replace(SUNDAYS, cron="0 23 * * *"),
            at("Europe/Zurich", 2026, 11, 22, 0, 30),
            at("Europe/Zurich", 2026, 11, 22, 1),
        ),
        (
            replace(SUNDAYS, starts_at=at("UTC", 2026, 1, 1)),
            at("Europe/Zurich", 2026, 3, 29, 4),
            at("Europe/Zurich", 2026, 3, 29, 5),
        ),
    ],
)
def test_maintenance_holds_from_its_begin_to_its_end(window: Window, now: datetime, end: datetime | None) -> None:
    assert window_end(window=window, now=now) == end


@given(
    st.sampled_from(["*/5 * * * *", "0 * * * *", "30 2 * * *", "0 0 1 * *", "15 3 * * 1-5"]),
    st.sampled_from(["UTC", "Europe/Zurich", "America/New_York"]),
    st.integers(1, 10080),
    _MOMENTS,
)
def test_an_occurrence_ends_later_and_within_its_duration(cron: str, zone: str, minutes: int, now: datetime) -> None:
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    window = Window("w", long_ago, cron=cron, timezone=zone, duration=timedelta(minutes=minutes))
    end = window_end(window=window, now=now)
    assert end is None or now < end <= now + window.duration


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        # (one for operators, one for acme, many for operators, many for acme, many for the maker alone, house)
        ({}, "yes yes yes yes yes yes"),
        ({"client_id": ACME}, "yes yes no yes yes no"),  # operators still hear of the outage: it touches globex too
        ({"client_id": GLOBEX}, "no no no no no no"),
        ({"client_id": ACME, "bot_id": MAKER.id}, "yes yes no no yes no"),
        ({"exchange": "kucoin"}, "yes yes yes yes yes no"),
        ({"exchange": "binance"}, "no no no no no no"),
        ({"client_id": ACME, "exchange": "kucoin"}, "yes yes no yes yes no"),
    ],
)
def test_a_window_covers_what_lies_wholly_within_it(window: dict[str, Any], expected: str) -> None:
    asked = [
        (ONE, OPERATORS),
        (ONE, FOR_ACME),
        (MANY, OPERATORS),
        (MANY, FOR_ACME),
        (MANY, FOR_MAKER),
        (HOUSE, OPERATORS),
    ]
    found = [covers(window=replace(ONCE, **window), case=case, reader=reader) for case, reader in asked]
    assert " ".join("yes" if one else "no" for one in found) == expected


@pytest.mark.parametrize("cron", ["", "* * * *", "* * * * * *", "61 * * * *", "0 0 31 2 *", "a b c d e", "@daily"])
def test_a_cron_expression_that_never_comes_due_is_refused(cron: str) -> None:
    with pytest.raises(ValueError, match="cron"):
        check_cron(cron)


@pytest.mark.parametrize("name", ["", "Europe/Atlantis", "../etc/passwd", "x" * 100])
def test_a_time_zone_that_nobody_knows_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        check_timezone(name)


# -- all silences together ----------------------------------------------------------------------------------------------
_NIGHTLY = Rule(UUID(int=1), UUID(int=2), quiet=QuietHours(time(11), time(14)))


@pytest.mark.parametrize(
    ("case", "rule", "silences", "until", "why"),
    [
        (ONE, None, Silences(), None, ""),
        (ONE, None, Silences(Hold(is_muted=True)), NOON + HOUR, "muted"),
        (ONE, None, Silences(Hold(held_until=NOON + MINUTE)), NOON + MINUTE, "just started; held until 2026-11-21 12:01 UTC"),
        (ONE, None, Silences(Hold(held_until=NOON)), None, ""),
        (ONE, None, Silences(Hold(held_until=NOON, awaits_cycle=True)), NOON + MINUTE, "has not looked at every bot"),
        (ONE, None, Silences(Hold(held_until=NOON - 2 * HOUR, awaits_cycle=True)), None, ""),  # never for good
        (ONE, None, Silences(windows=(ONCE,)), NOON + HOUR, "Maintenance (upgrade) until 2026-11-21 13:00 UTC"),
        (ONE, None, Silences(snoozes={("bot_health", ONE.key): NOON + DAY}), NOON + DAY, "Snoozed until"),
        (ONE, None, Silences(snoozes={("bot_health", "another"): NOON + DAY}), None, ""),
        (ONE, None, Silences(snoozes={("bot_health", ONE.key): NOON}), None, ""),
        (ONE, _NIGHTLY, Silences(), NOON + 2 * HOUR, "Quiet hours until 2026-11-21 14:00 UTC"),
        (MANY, _NIGHTLY, Silences(), None, ""),  # critical breaks it
        (MANY, replace(_NIGHTLY, critical_breaks_quiet=False), Silences(), NOON + 2 * HOUR, "Quiet hours"),
        (ONE, _NIGHTLY, Silences(windows=(ONCE,)), NOON + 2 * HOUR, "Quiet hours"),  # the longest
        (ONE, replace(_NIGHTLY, quiet=QuietHours(time(11), time(14), "Mars/Olympus")), Silences(), None, ""),
    ],
)  # fmt: skip
def test_the_silence_that_lasts_longest_decides(
    case: Case, rule: Rule | None, silences: Silences, until: datetime | None, why: str
) -> None:
    found = silence_of(case=case, reader=OPERATORS, rule=rule, silences=silences, now=NOON)
    assert (found.until if found else None) == until
    assert why in (found.why if found else "")


# -- what is due ---------------------------------------------------------------------------------------------------------
_QUIET_NOW = Silence(NOON + HOUR, "Quiet hours.")
SENT, FAILED, WAITING = DeliveryStatus.SENT, DeliveryStatus.FAILED, DeliveryStatus.WAITING
OPENED, WORSENED, RESOLVED = MessageKind.OPENED, MessageKind.WORSENED, MessageKind.RESOLVED


def due(kind: MessageKind, **facts: Any) -> Pending:
    return Pending(kind=kind, **facts)


@pytest.mark.parametrize(
    ("pending", "silence", "expected"),
    [
        (due(OPENED), None, Go()),
        (due(OPENED), _QUIET_NOW, PutOff(NOON + HOUR, "Quiet hours.", is_silence=True)),
        (due(OPENED, is_channel_enabled=False), None, Skip("The channel is switched off.")),
        (due(OPENED, is_resolved=True), None, Go()),  # nothing kept it back but the channel itself: it is told
        (due(OPENED, is_resolved=True, is_held=True), None, Skip("It was over before this could be told.")),
        (due(OPENED, is_held=True, taken_on_by="operator:bob"), None, Go()),  # nobody was told yet
        (due(OPENED, is_held=True, others=((WORSENED, WAITING, True),)), None, Skip("A newer message says it.")),
        (due(OPENED, is_held=True, others=((WORSENED, FAILED, True),)), None, Go()),
        (due(WORSENED, is_held=True, others=((OPENED, SENT, False),)), None, Go()),
        (due(OPENED, others=((WORSENED, SENT, True),)), None, Go()),
        (due(MessageKind.REMINDER, is_resolved=True), None, Skip("It was over before this could be told.")),
        (due(MessageKind.REMINDER, taken_on_by="operator:bob"), None, Skip("operator:bob has taken it on.")),
        (due(MessageKind.ESCALATED, taken_on_by="operator:bob"), None, Skip("operator:bob has taken it on.")),
        (due(RESOLVED, is_resolved=True, others=((OPENED, SENT, False),)), None, Go()),
        (due(RESOLVED, is_resolved=True, others=((OPENED, SENT, False),)), _QUIET_NOW,
         PutOff(NOON + HOUR, "Quiet hours.", is_silence=True)),
        (due(RESOLVED, others=((OPENED, FAILED, False),)), None, Skip("Nobody was told that it began.")),
        (due(RESOLVED), None, Skip("Nobody was told that it began.")),
        (due(RESOLVED, others=((OPENED, SENT, False), (WORSENED, WAITING, False))), None,
         PutOff(NOON + timedelta(seconds=2), "Waits for the message that it began.")),
        (due(RESOLVED, is_held=True, is_broken_again=True, others=((OPENED, SENT, False),)), None,
         Skip("It broke again before this could be told.")),
        (due(RESOLVED, is_broken_again=True, others=((OPENED, SENT, False),)), None, Go()),
        (due(MessageKind.TEST, is_channel_enabled=False), _QUIET_NOW, Go()),
    ],
)  # fmt: skip
def test_what_is_due_goes_waits_or_is_dropped(pending: Pending, silence: Silence | None, expected: Any) -> None:
    assert next_step(pending=pending, silence=silence, now=NOON) == expected


@given(
    st.sampled_from(TELLS),
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(list(MessageKind)), st.sampled_from(list(DeliveryStatus)), st.booleans())),
)
def test_a_message_of_an_open_incident_is_dropped_only_for_a_newer_one(
    kind: MessageKind, is_held: bool, is_silent: bool, others: list[Any]
) -> None:
    pending = Pending(kind=kind, is_held=is_held, others=tuple(others))
    step = next_step(pending=pending, silence=_QUIET_NOW if is_silent else None, now=NOON)
    if isinstance(step, Skip):
        assert any(k in TELLS and s not in ("skipped", "failed") and newer for k, s, newer in others)


# -- words ---------------------------------------------------------------------------------------------------------------
def test_each_kind_of_message_says_what_it_is() -> None:
    now = NOON + 3 * HOUR
    over = replace(ONE, resolved_at=now, resolution="It trades again.")
    titles = {
        kind: compose(kind=kind, number=2, case=over if kind == RESOLVED else ONE, reader=OPERATORS, now=now).title
        for kind in list(MessageKind)[:5]
    }
    assert titles == {
        OPENED: "[WARNING] maker is stopped",
        WORSENED: "[WARNING] Worse now: maker is stopped",
        MessageKind.REMINDER: "[WARNING] Still open after 3 h: maker is stopped",
        MessageKind.ESCALATED: "[WARNING] Nobody has taken it on for 3 h: maker is stopped",
        RESOLVED: "[RESOLVED] Over after 3 h: maker is stopped",
    }


def test_the_text_names_bot_times_and_facts_and_leaves_rows_to_the_page() -> None:
    case = replace(ONE, details={"last_trade": "2 h ago", "rows": [{"id": 1}], "empty": "", "count": 3},
                   acknowledged_at=NOON + HOUR, acknowledged_by="operator:bob")  # fmt: skip
    words = compose(kind=MessageKind.REMINDER, number=1, case=case, reader=OPERATORS, now=NOON + 2 * HOUR)
    assert words.body.splitlines() == [
        "maker is stopped",
        "",
        "Severity: warning",
        "Since: 2026-11-21 12:00 UTC",
        "Taken on by: operator:bob, at 2026-11-21 13:00 UTC",
        "Bot: maker of client_acme, BTC/USDT at kucoin",
        "Last trade: 2 h ago",
        "Count: 3",
        f"Incident: {ONE.id}",
    ]
    assert words.payload["incident"]["details"] == {"last_trade": "2 h ago", "empty": "", "count": 3}
    assert (words.payload["event"], words.payload["number"], words.payload["version"]) == ("reminder", 1, 1)


def test_an_incident_of_many_says_to_clients_what_it_was_given_to_say() -> None:
    case = replace(MANY, details={**MANY.details, "client_title": "KuCoin does not answer."})
    words = compose(kind=OPENED, number=1, case=case, reader=FOR_GLOBEX, now=NOON)
    assert words.title == "[CRITICAL] KuCoin does not answer." and words.payload["bots_total"] == 1


@pytest.mark.parametrize(
    ("length", "said"),
    [(-HOUR, "0 s"), (timedelta(seconds=119), "119 s"), (2 * MINUTE, "2 min"), (130 * MINUTE, "2 h 10 min"),
     (3 * HOUR, "3 h"), (49 * HOUR, "2 days")],
)  # fmt: skip
def test_lengths_of_time_read_as_people_say_them(length: timedelta, said: str) -> None:
    assert span(length) == said
