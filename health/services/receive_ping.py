"""A ping: a heartbeat that needs nothing but its address, for curl, cron and sidecars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bots.models import Bot
from ground.errors import InvalidInput, NotFound, TooMany
from ground.scope import Scope
from ground.sql import fetch_one
from health.rules.heartbeats import Signal, is_run_id, read_signal, tell_ping
from health.rules.words import PingKind
from health.services.heartbeat_records import Heard, apply_heartbeat, has_room, lock_heard_bot, log_heartbeat

MAX_BODY_BYTES = 10_240
WAIT_S = 30


@dataclass(frozen=True, slots=True)
class GivenPing:
    """What was sent, read and bounded."""

    signal: Signal
    run_id: str = ""
    body: str = ""


def read_ping(*, signal: str, run_id: str, body: bytes) -> GivenPing:
    """A ping from its address and body, of which the first 10 kB are kept. Raises NotFound, InvalidInput."""
    known = read_signal(signal)
    if known is None:
        raise NotFound("A ping ends in its key, or in /start, /fail, /log or an exit code from 0 to 255 behind it.")
    if run_id and not is_run_id(run_id):
        sentence = "rid may have up to 64 letters, digits and the marks _ . : -"
        raise InvalidInput(sentence, fields={"rid": ["not a run id"]})
    return GivenPing(known, run_id, body[:MAX_BODY_BYTES].decode("utf-8", errors="replace").replace("\x00", "\ufffd"))


def receive_ping(*, scope: Scope, ping: GivenPing, now: datetime) -> None:
    """Store what a bot's ping key said. Success and start say that it runs, fail and an exit code other than 0 say error;
    log is kept and changes nothing. Raises NotFound, and TooMany above 60 a minute."""
    signal = ping.signal
    if scope.bot_id is None:
        raise NotFound("There is no such ping key.")
    with scope.transaction(reason=f"ping said {signal.kind}"):
        bot = lock_heard_bot(scope.bot_id)
        if not has_room(bot, signal.kind, now=now):
            raise TooMany("This bot was pinged 60 times within a minute; wait a little.", retry_after_s=WAIT_S)
        duration = _duration(bot, ping, now=now)
        detail = tell_ping(signal, run_id=ping.run_id, duration=duration)
        heard = Heard(
            signal.kind,
            signal.word,
            detail=detail,
            metadata=_facts(ping, duration),
            body=ping.body,
            run_id=ping.run_id,
            exit_code=signal.exit_code,
            duration=duration,
        )
        log_heartbeat(bot, heard, scope=scope, now=now)
        apply_heartbeat(bot, heard, scope=scope, now=now)


# A run without an id ends with the first end after its start; with an id each word of the run tells how long it lasts.
_STARTED = """
    SELECT s.received_at FROM bot_heartbeats s
     WHERE s.bot_id = %(bot)s AND s.run_id = %(run_id)s AND s.kind = 'start' AND s.received_at <= %(now)s
       AND (%(run_id)s <> '' OR NOT EXISTS (
           SELECT 1 FROM bot_heartbeats e WHERE e.bot_id = %(bot)s AND e.run_id = '' AND e.kind IN ('success', 'fail')
              AND (e.received_at, e.id) > (s.received_at, s.id)))
     ORDER BY s.received_at DESC LIMIT 1
"""


def _duration(bot: Bot, ping: GivenPing, *, now: datetime) -> timedelta | None:
    """Since the start of the same run; None for a start, and where none is known."""
    if ping.signal.kind == PingKind.START:
        return None
    row = fetch_one(_STARTED, {"bot": bot.id, "run_id": ping.run_id, "now": now})
    return now - row[0] if row else None


def _facts(ping: GivenPing, duration: timedelta | None) -> dict[str, object]:
    facts = {
        "kind": str(ping.signal.kind),
        "run_id": ping.run_id or None,
        "exit_code": ping.signal.exit_code,
        "duration_ms": None if duration is None else int(duration / timedelta(milliseconds=1)),
    }
    return {name: value for name, value in facts.items() if value is not None}
