"""A bot's uptime is made from its transitions, adds up to the time that passed, and leaves out what was wanted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connections
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from bots.models import Bot, BotHealth
from bots.services.start_bot import start_bot
from bots.services.stop_bot import stop_bot
from ground.scope import Scope, system_scope
from health.models import HealthTransition, UptimeDay
from health.rules.uptime import NAMES, Carried, total
from health.services.count_uptime import count_uptime
from health.uptime import bot_uptime
from tests.fixtures import OPERATOR, Cast, make_bot

HEALTH = system_scope("health")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
H = 3600


def count(at: datetime) -> int:
    return count_uptime(scope=HEALTH, now=at)


def history(bot_id: UUID, *changes: tuple[datetime, str], planned: tuple[int, ...] = ()) -> None:
    """Replace what is known of a bot by these changes; the bot is wanted running."""
    HealthTransition.objects.filter(bot_id=bot_id).delete()
    bot = Bot.objects.get(id=bot_id)
    Bot.objects.filter(id=bot_id).update(desired_status="running")
    HealthTransition.objects.bulk_create(
        HealthTransition(
            bot=bot, client_id=bot.client_id, at=at, to_status=status, reason="", actor="test", is_planned=n in planned
        )
        for n, (at, status) in enumerate(changes)
    )


def days_of(bot_id: UUID) -> dict[date, dict[str, int]]:
    """Seconds of each day by verdict, without those that are zero."""
    rows = UptimeDay.objects.filter(bot_id=bot_id).order_by("day")
    return {row.day: {n: s for n in NAMES if (s := getattr(row, f"{n}_s"))} for row in rows}


def test_a_bot_made_at_noon_counts_from_noon_and_a_later_count_goes_on(cast: Cast) -> None:
    history(cast.acme_bot, (NOON, "unknown"), (NOON + HOUR, "healthy"), (NOON + 2 * HOUR, "stale"))
    count(NOON + 3 * HOUR)
    assert days_of(cast.acme_bot) == {NOON.date(): {"unknown": H, "healthy": H, "stale": H}}
    count(NOON + 15 * HOUR)
    assert days_of(cast.acme_bot) == {
        date(2026, 11, 21): {"unknown": H, "healthy": H, "stale": 10 * H},
        date(2026, 11, 22): {"stale": 3 * H},
    }
    assert count(NOON + 15 * HOUR) == 0


def test_days_on_which_nobody_counted_are_made_up_for(cast: Cast) -> None:
    history(cast.acme_bot, (NOON, "healthy"), (NOON + 3 * DAY, "stopped"))
    count(NOON + HOUR)
    count(NOON + 5 * DAY)
    assert list(days_of(cast.acme_bot).values()) == [
        {"healthy": 12 * H}, {"healthy": 24 * H}, {"healthy": 24 * H},
        {"healthy": 12 * H, "stopped": 12 * H}, {"stopped": 24 * H}, {"stopped": 12 * H},
    ]  # fmt: skip


def test_a_change_that_was_written_after_midnight_still_counts_for_its_day(cast: Cast) -> None:
    midnight = datetime(2026, 11, 22, tzinfo=UTC)
    history(cast.acme_bot, (NOON, "healthy"))
    count(midnight + timedelta(seconds=5))
    history(cast.acme_bot, (NOON, "healthy"), (midnight - HOUR, "stopped"))
    count(midnight + HOUR)
    assert days_of(cast.acme_bot)[NOON.date()] == {"healthy": 11 * H, "stopped": H}


def test_a_slower_worker_does_not_turn_the_count_back(cast: Cast) -> None:
    history(cast.acme_bot, (NOON, "healthy"))
    count(NOON + 2 * HOUR)
    count(NOON + HOUR)
    assert days_of(cast.acme_bot) == {NOON.date(): {"healthy": 2 * H}}


def test_many_workers_at_once_count_what_one_does(cast: Cast) -> None:
    bots = [make_bot("client_acme", name=f"bot {n}") for n in range(10)]
    for bot in bots:
        history(bot, (NOON, "healthy"), (NOON + HOUR, "stopped"))

    def work(minute: int) -> None:
        try:
            count(NOON + 2 * HOUR + timedelta(minutes=minute % 3))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as workers:
        list(workers.map(work, range(12)))
    expected = {NOON.date(): {"healthy": H, "stopped": H + 120}}
    assert [days_of(bot) for bot in bots] == [expected] * 10


def test_a_bot_that_rests_on_purpose_has_no_days_and_counts_again_when_it_runs(cast: Cast) -> None:
    bot = cast.acme_bot
    BotHealth.objects.filter(bot_id=bot).update(status="stopped")
    history(bot, (NOON, "healthy"), (NOON + HOUR, "stopped"), planned=(1,))
    Bot.objects.filter(id=bot).update(desired_status="stopped")
    count(NOON + 10 * DAY)
    rested = {NOON.date(): {"healthy": H, "planned": 11 * H}}
    assert days_of(bot) == rested
    assert count(NOON + 10 * DAY) == 0
    again = NOON + 10 * DAY
    history(bot, (NOON, "healthy"), (NOON + HOUR, "stopped"), (again, "healthy"), planned=(1,))
    count(again + HOUR)
    assert days_of(bot) == rested | {again.date(): {"planned": 12 * H, "healthy": H}}


def test_a_deleted_bot_counts_until_it_went(cast: Cast) -> None:
    history(cast.acme_bot, (NOON, "healthy"))
    Bot.objects.filter(id=cast.acme_bot).update(retired_at=NOON + HOUR)
    count(NOON + 5 * HOUR)
    assert days_of(cast.acme_bot) == {NOON.date(): {"healthy": H}}


def test_a_fallen_bot_that_is_stopped_on_purpose_is_down_no_longer(cast: Cast) -> None:
    bot, now = cast.acme_bot, timezone.now() + 4 * HOUR
    start_bot(scope=OPERATOR, bot_id=bot, now=now - 3 * HOUR)
    BotHealth.objects.filter(bot_id=bot).update(status="stopped", status_updated_at=now - 2 * HOUR, message="No trade.")
    stop_bot(scope=OPERATOR, bot_id=bot, now=now - HOUR)
    rows = HealthTransition.objects.filter(bot_id=bot).order_by("at", "id").values_list("at", "to_status", "is_planned")
    assert list(rows)[-3:] == [
        (now - 3 * HOUR, "unknown", False), (now - 2 * HOUR, "stopped", False), (now - HOUR, "stopped", True),
    ]  # fmt: skip


def test_a_bot_that_is_started_and_cannot_be_told_yet_is_no_longer_planned(cast: Cast) -> None:
    at = timezone.now() + HOUR
    start_bot(scope=OPERATOR, bot_id=cast.acme_bot, now=at)
    last = HealthTransition.objects.filter(bot_id=cast.acme_bot).order_by("-at", "-id")[0]
    assert (last.at, last.from_status, last.to_status, last.is_planned) == (at, "unknown", "unknown", False)


def test_the_api_sums_a_week_and_a_month_and_shows_them_to_its_client_alone(cast: Cast) -> None:
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    history(
        cast.acme_bot, (today - 10 * DAY, "healthy"), (today - 2 * DAY, "stopped"), (today - DAY, "unknown"),
        (today, "healthy"),
    )  # fmt: skip
    count(today + HOUR)
    answer = cast.acme_reads.get(f"/bots/{cast.acme_bot}/uptime?days=3")
    assert answer.status == 200, answer.body
    assert [(day["day"], day["uptime_ratio"]) for day in answer.body["days"]] == [
        (today.date().isoformat(), 1.0),
        ((today - DAY).date().isoformat(), None),
        ((today - 2 * DAY).date().isoformat(), 0.0),
    ]
    week, month = answer.body["week"], answer.body["month"]
    assert (week["healthy_s"], week["stopped_s"], week["unknown_s"]) == (4 * 24 * H + H, 24 * H, 24 * H)
    assert week["uptime_ratio"] == round((4 * 24 + 1) / (5 * 24 + 1), 6)
    assert (month["healthy_s"], month["from"]) == (8 * 24 * H + H, (today - 29 * DAY).date().isoformat())
    assert cast.globex_manages.get(f"/bots/{cast.acme_bot}/uptime").status == 404
    assert cast.nobody.get(f"/bots/{cast.acme_bot}/uptime").status == 401
    for wrong in ("0", "367", "x"):
        assert cast.acme_reads.get(f"/bots/{cast.acme_bot}/uptime?days={wrong}").status == 400


def test_a_bot_without_any_day_has_no_ratio(cast: Cast) -> None:
    shown = bot_uptime(Scope(actor="test", client_id=cast.acme), cast.acme_bot, today=NOON.date(), days=31)
    assert (shown["days"], shown["week"]["uptime_ratio"], shown["counted_to"]) == ([], None, None)


SECONDS = st.builds(Carried, *[st.integers(0, 86400)] * 6)


@given(st.lists(SECONDS))
def test_sums_add_up_and_ratios_stay_between_none_and_one(parts: list[Carried]) -> None:
    summed = total(parts)
    assert summed.known + summed.unknown + summed.planned == sum(
        part.known + part.unknown + part.planned for part in parts
    )
    for ratio, is_there in ((summed.uptime_ratio, summed.known), (summed.known_ratio, summed.known + summed.unknown)):
        assert (ratio is None) == (not is_there) and (ratio is None or 0 <= ratio <= 1)


@given(SECONDS, st.integers(0, 86400))
def test_what_was_planned_or_could_not_be_told_makes_no_uptime(carried: Carried, more: int) -> None:
    assert (carried + Carried(unknown=more, planned=more)).uptime_ratio == carried.uptime_ratio


@pytest.mark.parametrize(
    ("carried", "ratio"),
    [
        (Carried(healthy=3, stale=1), 1.0),
        (Carried(healthy=1, stopped=1), 0.5),
        (Carried(healthy=1, error=3), 0.25),
        (Carried(unknown=5, planned=5), None),
        (Carried(), None),
    ],
)
def test_stale_counts_as_up(carried: Carried, ratio: float | None) -> None:
    assert carried.uptime_ratio == ratio
