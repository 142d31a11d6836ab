"""What is wrong, told once: the troubles that verdicts, circuits and Hummingbot's state add up to, and what is over.

Many bots behind one failing exchange, key or Hummingbot are one trouble that names them, and none of them has one of its
own. Nothing is over because it cannot be told any more: a bot whose verdict is unknown keeps the trouble that it had.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from alerts.rules.words import Severity
from alerts.types import Trouble
from bots.rules.words import HealthStatus


class Outage(StrEnum):
    """The kinds of incident that health raises."""

    BOT_HEALTH = "bot_health"  # one bot, wanted running, that stopped or reports an error
    OUT_OF_FUNDS = "out_of_funds"  # one bot whose account has nothing left of what its next order needs
    EXCHANGE_DOWN = "exchange_down"  # an exchange that gives no readable answer
    KEY_REJECTED = "key_rejected"  # a key that its exchange refuses
    KEY_UNREADABLE = "key_unreadable"  # a key for which nothing readable comes, at an exchange that answers others
    CHECK_BROKEN = "check_broken"  # our own check breaks, for all bots of an exchange alike
    HUMMINGBOT_DOWN = "hummingbot_down"
    MESSAGE_BROKER_DOWN = "message_broker_down"  # Hummingbot's: all its bots fell silent at once


OF_ONE_BOT = (Outage.BOT_HEALTH, Outage.OUT_OF_FUNDS)
OF_A_KEY = (Outage.KEY_REJECTED, Outage.KEY_UNREADABLE)
HUMMINGBOT = "hummingbot"  # the key of what is wrong with it
WORSE_AFTER = timedelta(minutes=10)  # an exchange away for so long is critical
UNREADABLE_AFTER = timedelta(minutes=10)  # a key for which nothing readable came for so long
BROKER_SILENT_AFTER = timedelta(seconds=30)  # one look in which all are silent may be chance
FELL_BEFORE = timedelta(minutes=5)  # Hummingbot's absence is noticed later than it began

_LIVES = (HealthStatus.HEALTHY, HealthStatus.STALE)
_DOWN = (HealthStatus.STOPPED, HealthStatus.ERROR)


@dataclass(frozen=True, slots=True)
class BotSeen:
    """A bot and the verdict on it as it stands. ``released_at``: when an outage of Hummingbot last let go of it."""

    bot_id: UUID
    client_id: UUID
    account: str
    name: str
    pair: str
    exchange: str  # ccxt's id
    exchange_title: str
    is_hummingbot: bool
    is_wanted: bool  # wanted running
    is_retired: bool
    status: HealthStatus
    message: str
    cause: str
    fingerprint: str  # of the key that it was last checked with
    key_hint: str
    changed_at: datetime
    checked_at: datetime | None = None
    shortage: str = ""  # the currency that its account is out of
    released_at: datetime | None = None

    @property
    def key(self) -> str:
        return f"{self.exchange}:{self.fingerprint}"


@dataclass(frozen=True, slots=True)
class CircuitSeen:
    """An exchange that is not asked at present."""

    exchange: str
    reason: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class HummingbotSeen:
    """``away_since``: since when it gives no readable answer; ``silent_since``: since when all its bots are silent."""

    away_since: datetime | None = None
    reason: str = ""
    silent_since: datetime | None = None

    def failing_since(self, now: datetime) -> datetime | None:
        """Since when its bots cannot be told from each other's fate."""
        if self.away_since:
            return self.away_since
        return self.silent_since if self.is_broker_down(now) else None

    def is_broker_down(self, now: datetime) -> bool:
        silent = self.silent_since
        return self.away_since is None and silent is not None and now - silent >= BROKER_SILENT_AFTER


@dataclass(frozen=True, slots=True)
class Told:
    """One trouble; ``touched`` are the bots of one that is about many."""

    trouble: Trouble
    touched: tuple[UUID, ...] = ()

    @property
    def name(self) -> tuple[str, str]:
        return self.trouble.kind, self.trouble.key


@dataclass(frozen=True, slots=True)
class Over:
    """An incident that ends, and why."""

    kind: str
    key: str
    resolution: str


@dataclass(slots=True)
class Found:
    """All troubles, and those that cannot be told, with the bots that they may still touch: neither raised nor over."""

    troubles: list[Told] = field(default_factory=list)
    undecided: dict[tuple[str, str], list[UUID]] = field(default_factory=dict)

    def cannot_tell(self, bot: BotSeen, *kinds: Outage) -> None:
        for kind in kinds:
            key = str(bot.bot_id) if kind in OF_ONE_BOT else bot.key
            self.undecided.setdefault((kind, key), []).append(bot.bot_id)


def find_troubles(
    *, bots: Collection[BotSeen], circuits: Iterable[CircuitSeen], hummingbot: HummingbotSeen, now: datetime
) -> Found:
    """Everything that is wrong with these bots and what they run on. Each bot is at most in one trouble of many."""
    found, down = Found(), {circuit.exchange: circuit for circuit in circuits}
    groups: dict[tuple[Outage, str], list[BotSeen]] = defaultdict(list)
    for bot in bots:
        if bot.is_retired or not bot.is_wanted:
            continue
        group = _group_of(bot, down=down, now=now)
        if group:
            groups[group].append(bot)
            found.cannot_tell(bot, *OF_ONE_BOT)
        else:
            _tell_of_one(found, bot, failing_since=hummingbot.failing_since(now) if bot.is_hummingbot else None)
    for (kind, key), touched in groups.items():
        found.troubles.append(_of_many(kind, key, touched, down, now))
    found.troubles += _of_hummingbot(hummingbot, [bot for bot in bots if _runs_there(bot)], now)
    return found


def what_is_over(*, found: Found, open_incidents: Collection[tuple[str, str]], bots: Collection[BotSeen]) -> list[Over]:
    """Which of the open incidents (kind, key) of health's have ended."""
    standing = {told.name for told in found.troubles} | set(found.undecided)
    by_id = {str(bot.bot_id): bot for bot in bots}
    return [
        Over(kind, key, _RESOLUTIONS[Outage(kind)](by_id.get(key)))
        for kind, key in sorted(open_incidents)
        if (kind, key) not in standing
    ]


def _runs_there(bot: BotSeen) -> bool:
    return bot.is_hummingbot and bot.is_wanted and not bot.is_retired


def _group_of(bot: BotSeen, *, down: dict[str, CircuitSeen], now: datetime) -> tuple[Outage, str] | None:
    """The trouble of many that this bot's verdict comes from."""
    if bot.status == HealthStatus.ERROR and bot.cause == "key":
        return Outage.KEY_REJECTED, bot.key
    if bot.status == HealthStatus.ERROR and bot.cause == "bridge":
        return Outage.CHECK_BROKEN, bot.exchange
    if bot.status != HealthStatus.UNKNOWN or bot.cause != "exchange":
        return None
    if bot.exchange in down:
        return Outage.EXCHANGE_DOWN, bot.exchange
    return (Outage.KEY_UNREADABLE, bot.key) if now - bot.changed_at >= UNREADABLE_AFTER else None


def _tell_of_one(found: Found, bot: BotSeen, *, failing_since: datetime | None) -> None:
    """A bot by itself. ``failing_since``: what it runs in fails, so that its fall is no news of its own."""
    if bot.status == HealthStatus.UNKNOWN:
        found.cannot_tell(bot, *OF_ONE_BOT, Outage.KEY_REJECTED, Outage.KEY_UNREADABLE)
        return
    if bot.status in _DOWN:
        found.cannot_tell(bot, Outage.OUT_OF_FUNDS)
        fell_with_it = failing_since is not None and bot.changed_at >= failing_since - FELL_BEFORE
        if fell_with_it or _awaits_recheck(bot):
            found.cannot_tell(bot, Outage.BOT_HEALTH)
        else:
            found.troubles.append(Told(_fallen(bot)))
    elif bot.shortage:
        found.troubles.append(Told(_out_of_funds(bot)))


def _awaits_recheck(bot: BotSeen) -> bool:
    """What it runs in is back, and the bot has not been looked at since."""
    return bot.released_at is not None and (bot.checked_at is None or bot.checked_at < bot.released_at)


def _fallen(bot: BotSeen) -> Trouble:
    word = "has stopped" if bot.status == HealthStatus.STOPPED else "reports an error"
    return _about(bot, Outage.BOT_HEALTH, f"{_named(bot)} {word}: {bot.message}", Severity.CRITICAL)


def _out_of_funds(bot: BotSeen) -> Trouble:
    return _about(bot, Outage.OUT_OF_FUNDS, f"{_named(bot)} is out of {bot.shortage}.", Severity.WARNING)


def _named(bot: BotSeen) -> str:
    return f"{bot.name} of {bot.account} ({bot.pair} at {bot.exchange_title})"


def _about(bot: BotSeen, kind: Outage, title: str, severity: Severity) -> Trouble:
    details = {"exchange": bot.exchange, "status": str(bot.status), "said": bot.message, "cause": bot.cause}
    return Trouble(kind, str(bot.bot_id), title[:300], severity, bot.client_id, bot.bot_id, details)


def _of_many(kind: Outage, key: str, touched: list[BotSeen], down: dict[str, CircuitSeen], now: datetime) -> Told:
    first, clients = touched[0], {bot.client_id for bot in touched}
    circuit = down.get(first.exchange) if kind == Outage.EXCHANGE_DOWN else None
    since = circuit.opened_at if circuit else min(bot.changed_at for bot in touched)
    reason = (circuit.reason if circuit else "") or first.message
    severity = Severity.CRITICAL
    if kind == Outage.KEY_UNREADABLE or (kind == Outage.EXCHANGE_DOWN and now - since < WORSE_AFTER):
        severity = Severity.WARNING
    client_title = f"{first.exchange_title} cannot be asked about your bots: {reason}"[:300]
    details = {
        "exchange": first.exchange, "bots": len(touched), "said": reason, "since": since, "client_title": client_title,
    }  # fmt: skip
    # An exchange is everybody's; a key is its client's.
    client_id = next(iter(clients)) if len(clients) == 1 and kind in OF_A_KEY else None
    title = f"{_MANY[kind](first)}; {_counted(touched)} cannot be told. {reason}"
    return Told(Trouble(kind, key, title[:300], severity, client_id, None, details), _ids(touched))


def _login(bot: BotSeen) -> str:
    return f"the API key {bot.key_hint} of {bot.account}" if bot.key_hint else f"an API key of {bot.account}"


_MANY: dict[Outage, Callable[[BotSeen], str]] = {
    Outage.EXCHANGE_DOWN: lambda bot: f"{bot.exchange_title} gives no readable answer",
    Outage.KEY_REJECTED: lambda bot: f"{bot.exchange_title} refuses {_login(bot)}",
    Outage.KEY_UNREADABLE: lambda bot: f"{bot.exchange_title} gives no readable answer for {_login(bot)}",
    Outage.CHECK_BROKEN: lambda bot: f"The check of bots at {bot.exchange_title} breaks",
}


def _of_hummingbot(hummingbot: HummingbotSeen, touched: list[BotSeen], now: datetime) -> list[Told]:
    since = hummingbot.failing_since(now)
    if since is None:
        return []
    kind, title = Outage.HUMMINGBOT_DOWN, f"Hummingbot does not answer; {_counted(touched)} may be affected."
    if hummingbot.is_broker_down(now):
        kind = Outage.MESSAGE_BROKER_DOWN
        title = f"All bots of Hummingbot fell silent at once, its message broker is probably lost; {_counted(touched)}."
    severity = Severity.CRITICAL if touched else Severity.WARNING
    client_title = "The host that runs your bots does not answer; whether they trade is told by their trades alone."
    details = {"bots": len(touched), "said": hummingbot.reason, "since": since, "client_title": client_title}
    if hummingbot.reason and kind == Outage.HUMMINGBOT_DOWN:
        title = f"{title} {hummingbot.reason}"
    return [Told(Trouble(kind, HUMMINGBOT, title[:300], severity, None, None, details), _ids(touched))]


def _counted(bots: Collection[BotSeen]) -> str:
    return "1 bot" if len(bots) == 1 else f"{len(bots)} bots"


def _ids(bots: Iterable[BotSeen]) -> tuple[UUID, ...]:
    return tuple(sorted(bot.bot_id for bot in bots))


def _bot_is_over(bot: BotSeen | None, *, well: Callable[[BotSeen], str]) -> str:
    if bot is None or bot.is_retired:
        return "The bot was deleted."
    return well(bot) if bot.is_wanted else "It was stopped on purpose."


_RESOLUTIONS: dict[Outage, Callable[[BotSeen | None], str]] = {
    Outage.BOT_HEALTH: lambda bot: _bot_is_over(bot, well=lambda seen: f"It is {seen.status} again."),
    Outage.OUT_OF_FUNDS: lambda bot: _bot_is_over(bot, well=lambda seen: "It has funds again."),
    Outage.EXCHANGE_DOWN: lambda _: "It answers again, or no running bot needs it any more.",
    Outage.KEY_REJECTED: lambda _: "The key was changed or is accepted again, or no running bot needs it any more.",
    Outage.KEY_UNREADABLE: lambda _: "It answers again, or no running bot needs it any more.",
    Outage.CHECK_BROKEN: lambda _: "The check works again, or no running bot needs it any more.",
    Outage.HUMMINGBOT_DOWN: lambda _: "It answers again.",
    Outage.MESSAGE_BROKER_DOWN: lambda _: "Its bots are heard again.",
}


def spread(*, count: int, over: timedelta) -> list[timedelta]:
    """Waits for so many bots that come back together: evenly over ``over``, the first at once."""
    return [over * place / count for place in range(count)]
