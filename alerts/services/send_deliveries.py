"""Sending what is due: claim, send, record. Safe with any number of workers, and when one dies in the middle.

A message is never lost: until it is recorded as sent, its row says that it is not, and when its worker's lease ends
another worker sends it. It can only be doubled when a worker dies, or an answer is lost, between the other side's taking
it and our recording that; the second one carries the same id, and the row says ``may_be_double``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connections
from structlog import get_logger

from alerts.gateways.message import ChannelGateway
from alerts.rules.words import ChannelKind, MessageKind
from alerts.services.claim_deliveries import LEASE, MOST_ATTEMPTS, Claimed, claim_next, claim_one
from ground.encrypted import Sealed, Undecryptable
from ground.errors import Conflict, GatewayError, NotFound, RateLimited, Rejected, Unavailable, UnknownOutcome
from ground.scope import Scope, system_scope
from ground.sql import fetch_one, run

log = get_logger(__name__)

OpenChannel = Callable[[ChannelKind, Sealed, Sealed | None], ChannelGateway]
Clock = Callable[[], datetime]

WAITS = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1))
LONGEST_WAIT = timedelta(hours=6)  # whatever the other side asks for
CHANNEL_RESTS = timedelta(seconds=30)  # its other messages wait too when it cannot be reached
MOST_CHANNELS = 8
BUDGET_S = 15.0  # a task claims no more after that; the next one goes on, and a worker that shall end does soon

_SENT = """
    UPDATE alert_deliveries SET status = 'sent', sent_at = %(now)s, error = %(error)s, lease_token = NULL, lease_until = NULL
     WHERE id = %(id)s AND status = 'sending' AND lease_token = %(token)s
"""
_NOT_SENT = """
    UPDATE alert_deliveries
       SET status = %(status)s, due_at = coalesce(%(due_at)s, due_at), error = %(error)s,
           may_be_double = may_be_double OR %(is_unknown)s, lease_token = NULL, lease_until = NULL
     WHERE id = %(id)s AND status = 'sending' AND lease_token = %(token)s
"""
_LOCK_CHANNEL = "SELECT FROM alert_channels WHERE id = %(channel)s FOR NO KEY UPDATE"  # first, as claiming does
_CHANNEL_SENT = "UPDATE alert_channels SET last_sent_at = %(now)s, last_error = '' WHERE id = %(channel)s"
_CHANNEL_FAILED = "UPDATE alert_channels SET last_error = %(error)s, last_error_at = %(now)s WHERE id = %(channel)s"
_REST = """
    UPDATE alert_deliveries SET due_at = %(until)s
     WHERE channel_id = %(channel)s AND status = 'waiting' AND due_at < %(until)s AND kind <> 'test'
"""


def send_due(
    *,
    open_channel: OpenChannel,
    clock: Clock,
    look_again: Callable[[datetime], object] = lambda now: None,
    most_channels: int = MOST_CHANNELS,
    budget_s: float = BUDGET_S,
    lease: timedelta = LEASE,
) -> int:
    """Send what is due, one thread for each channel and each channel's messages in their order.

    ``look_again`` is called before each claim: it holds or ends what shall not be sent any more. Returns how many
    messages were tried. Ends when nothing is due, or ``budget_s`` has passed.
    """
    until = time.monotonic() + budget_s

    def claim(most: int) -> list[Claimed]:
        now = clock()
        look_again(now)
        return claim_next(now=now, most=most, lease=lease)

    first = claim(most_channels)
    if not first:
        return 0
    tried: list[int] = []

    def go_on(claimed: Claimed) -> None:
        try:
            mine: list[Claimed] = [claimed]
            while mine:
                send_claimed(claimed=mine[0], open_channel=open_channel, clock=clock)
                tried.append(1)
                mine = claim(1) if time.monotonic() < until else []
        finally:
            connections.close_all()  # this thread's own

    threads = [threading.Thread(target=go_on, args=[claimed], name="alerts", daemon=True) for claimed in first]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(tried)


def send_one(*, delivery_id: UUID, open_channel: OpenChannel, clock: Clock) -> bool:
    """Send this message now, if it is due and nobody has it. Says whether it was tried."""
    claimed = claim_one(delivery_id=delivery_id, now=clock())
    for one in claimed:
        send_claimed(claimed=one, open_channel=open_channel, clock=clock)
    return bool(claimed)


def send_claimed(*, claimed: Claimed, open_channel: OpenChannel, clock: Clock) -> None:
    """Send a message that is ours, and record what came of it."""
    error: GatewayError | None = None
    remark = ""
    try:
        gateway = open_channel(claimed.channel_kind, claimed.address, claimed.signing_key)
        remark = gateway.send(claimed.message)
    except GatewayError as refusal:
        error = refusal
    except Undecryptable as refusal:
        error = Rejected(refusal.message, system="channel")
    except Exception as broken:  # noqa: BLE001 - the outermost loop: one message must not keep the others
        # Only its kind is told: what it says may hold the address.
        log.error("alert_sending_broke", delivery=str(claimed.message.delivery_id), error=type(broken).__name__)
        error = UnknownOutcome("Sending it broke; the worker's log says where.", system="channel")
    if error is None:
        _record_sent(claimed=claimed, remark=remark, now=clock())
    else:
        _record_failure(claimed=claimed, error=error, now=clock())


def send_again(*, scope: Scope, delivery_id: UUID, now: datetime) -> None:
    """A person wants a failed message to be tried again, from the first attempt. Raises NotFound, Conflict."""
    with scope.transaction(reason="message sent again"):
        changed = run(
            "UPDATE alert_deliveries SET status = 'waiting', attempts = 0, due_at = %(now)s, error = '' "
            "WHERE id = %(id)s AND status = 'failed'",
            {"id": delivery_id, "now": now},
        )
        if changed:
            return
        row = fetch_one("SELECT status FROM alert_deliveries WHERE id = %(id)s", {"id": delivery_id})
    if row is None:
        raise NotFound("There is no such message.")
    raise Conflict(f"Only a failed message can be sent again; this one is {row[0]}.", code="not_failed")


def wait_after(attempt: int, error: GatewayError) -> timedelta | None:
    """How long until the next attempt; None when there is none."""
    if attempt >= MOST_ATTEMPTS:
        return None
    wait = WAITS[min(attempt, len(WAITS)) - 1]
    return min(max(wait, timedelta(seconds=error.retry_after_s or 0)), LONGEST_WAIT)


def _record_sent(*, claimed: Claimed, remark: str, now: datetime) -> None:
    with system_scope("alerts").transaction():
        run(_LOCK_CHANNEL, {"channel": claimed.channel_id})
        ours = run(_SENT, {**_key(claimed), "now": now, "error": remark[:300]})
        if ours:
            run(_CHANNEL_SENT, {"channel": claimed.channel_id, "now": now})
    _tell(claimed, "sent" if ours else "sent_after_the_lease")


def _record_failure(*, claimed: Claimed, error: GatewayError, now: datetime) -> None:
    """A test is tried once: somebody waits for what comes of it."""
    wait = None if claimed.message.kind == MessageKind.TEST else wait_after(claimed.attempt, error)
    values = {
        **_key(claimed),
        "status": "failed" if wait is None else "waiting",
        "due_at": None if wait is None else now + wait,
        "error": error.message[:300],
        "is_unknown": isinstance(error, UnknownOutcome),
    }
    with system_scope("alerts").transaction():
        run(_LOCK_CHANNEL, {"channel": claimed.channel_id})
        ours = run(_NOT_SENT, values)
        if ours:
            run(_CHANNEL_FAILED, {"channel": claimed.channel_id, "error": values["error"], "now": now})
        if ours and isinstance(error, Unavailable | RateLimited | UnknownOutcome):
            rest = max(CHANNEL_RESTS, timedelta(seconds=min(error.retry_after_s or 0, LONGEST_WAIT.total_seconds())))
            run(_REST, {"channel": claimed.channel_id, "until": now + rest})
    _tell(claimed, "not_sent" if wait else "given_up", error=type(error).__name__)


def _key(claimed: Claimed) -> dict[str, object]:
    return {"id": claimed.message.delivery_id, "token": claimed.token}


def _tell(claimed: Claimed, outcome: str, **more: str) -> None:
    log.info(
        "alert",
        outcome=outcome,
        delivery=str(claimed.message.delivery_id),
        channel=str(claimed.channel_id),
        kind=str(claimed.channel_kind),
        attempt=claimed.attempt,
        **more,
    )
