"""When messages wait: muted, after a start, in maintenance, snoozed, in quiet hours. Times of day are those of their zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from alerts.rules.matching import visible_bots
from alerts.rules.words import Severity
from alerts.types import Case, Hold, QuietHours, Reader, Rule, Silence, Silences, Window

LOOK_AGAIN = timedelta(hours=1)  # where the end is not known; whoever ends it wakes what waits
LONGEST_WAIT = timedelta(hours=1)  # a first cycle that never ends must not keep everything back for good
_DAY = timedelta(days=1)


def silence_of(*, case: Case, reader: Reader, rule: Rule | None, silences: Silences, now: datetime) -> Silence | None:
    """Why a message about this incident to this channel does not leave now: of several silences the one that lasts longest.

    ``rule`` None: the rule was deleted, and its quiet hours with it.
    """
    found = [
        _held(silences.hold, now),
        *(_in_window(window, case, reader, now) for window in silences.windows),
        _snoozed(silences.snoozes.get((case.kind, case.key)), now),
        _quiet(rule, case, now),
    ]
    return max((silence for silence in found if silence), key=lambda silence: silence.until, default=None)


def quiet_end(*, quiet: QuietHours, now: datetime) -> datetime | None:
    """When the quiet hours that hold now are over (UTC), or None outside of them.

    They begin and end by the clock on the wall, so a night may last an hour longer or shorter. Those that run past midnight
    belong to the day on which they begin.
    """
    zone = ZoneInfo(quiet.timezone)
    today = now.astimezone(zone).date()
    for day in (today, today - _DAY):
        if quiet.days and day.isoweekday() not in quiet.days:
            continue
        last = day if quiet.ends > quiet.begins else day + _DAY
        begins = datetime.combine(day, quiet.begins, zone).astimezone(UTC)
        ends = datetime.combine(last, quiet.ends, zone).astimezone(UTC)
        if begins <= now < ends:
            return ends
    return None


def window_end(*, window: Window, now: datetime) -> datetime | None:
    """When the maintenance that holds now is over (UTC), or None. Of a repeated one, when this occurrence is over.

    A cron expression that cannot be read keeps nothing back.
    """
    if now < window.starts_at or (window.ends_at is not None and now >= window.ends_at):
        return None
    if not window.cron:
        return window.ends_at
    began = _first_after(window.cron, window.timezone, now - window.duration)
    if began is None or not window.starts_at <= began <= now:
        return None
    end = began + window.duration
    return min(end, window.ends_at) if window.ends_at else end


def covers(*, window: Window, case: Case, reader: Reader) -> bool:
    """Whether all that this channel hears of the incident lies within the window's maintenance.

    So a client's maintenance does not silence an outage for an operator whom it tells of others too.
    """
    bots = visible_bots(reader=reader, case=case)
    if window.exchange and window.exchange not in exchanges_of(case):
        return False
    if window.bot_id is not None:
        return bool(bots) and all(bot.id == window.bot_id for bot in bots)
    if window.client_id is None or case.client_id == window.client_id:
        return True
    return case.client_id is None and bool(bots) and all(bot.client_id == window.client_id for bot in bots)


def exchanges_of(case: Case) -> set[str]:
    """The exchange that the incident is about: the one it names, else its bot's."""
    named = case.details.get("exchange")
    if isinstance(named, str) and named:
        return {named}
    return {case.bot.exchange} if case.bot else set()


def check_cron(expression: str) -> None:
    """Raises ValueError with a sentence when it is no cron expression that ever comes due."""
    if len(expression.split()) != 5:
        raise ValueError("A cron expression has five fields: minute, hour, day of month, month, day of week.")
    try:
        CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC)).__next__()
    except CronSimError as error:
        raise ValueError(f"This is no cron expression: {error}.") from None
    except StopIteration:
        raise ValueError("This cron expression never comes due.") from None


def check_timezone(name: str) -> None:
    """Raises ValueError with a sentence when no time zone has this name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"There is no time zone {name[:64]!r}; one is Europe/Zurich.") from None


def _held(hold: Hold, now: datetime) -> Silence | None:
    if hold.is_muted:
        return Silence(now + LOOK_AGAIN, "All messages are muted in the alerts settings.")
    if hold.held_until is None:
        return None
    if now < hold.held_until:
        return Silence(hold.held_until, f"The bridge has just started; held until {_clock(hold.held_until, 'UTC')}.")
    if hold.awaits_cycle and now < hold.held_until + LONGEST_WAIT:
        until = min(now + timedelta(minutes=1), hold.held_until + LONGEST_WAIT)
        return Silence(until, "The bridge has just started and has not looked at every bot yet.")
    return None


def _in_window(window: Window, case: Case, reader: Reader, now: datetime) -> Silence | None:
    end = window_end(window=window, now=now)
    if end is None or not covers(window=window, case=case, reader=reader):
        return None
    return Silence(end, f"Maintenance ({window.name}) until {_clock(end, window.timezone)}.")


def _snoozed(until: datetime | None, now: datetime) -> Silence | None:
    return Silence(until, f"Snoozed until {_clock(until, 'UTC')}.") if until and now < until else None


def _quiet(rule: Rule | None, case: Case, now: datetime) -> Silence | None:
    if rule is None or rule.quiet is None:
        return None
    if rule.critical_breaks_quiet and case.severity == Severity.CRITICAL:
        return None
    try:
        end = quiet_end(quiet=rule.quiet, now=now)
    except (KeyError, ValueError, OSError):
        return None  # the zone went with a new time zone database; better a message at night than none
    return Silence(end, f"Quiet hours until {_clock(end, rule.quiet.timezone)}.") if end else None


def _first_after(cron: str, timezone: str, moment: datetime) -> datetime | None:
    try:
        begins: datetime | None = next(CronSim(cron, moment.astimezone(ZoneInfo(timezone))), None)
    except (CronSimError, KeyError, ValueError, OSError):
        return None
    return begins.astimezone(UTC) if begins else None


def _clock(moment: datetime, timezone: str) -> str:
    try:
        return f"{moment.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M %Z}"
    except (KeyError, ValueError, OSError):
        return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
