"""A check that a person asked for: a row, a nudge on the queue of those who wait, and waiting for the row."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from uuid import UUID

from celery import current_app
from kombu.exceptions import OperationalError
from structlog import get_logger

from bots.models import Bot
from ground.errors import NotFound, NotReady
from ground.scope import Scope, assert_no_transaction, on_commit, system_scope
from ground.sql import fetch_all, run
from health.models import CheckRequest

log = get_logger(__name__)

CHECK_NOW = "health.check.now"
POLL_S = 0.1
NUDGE_AGAIN_AFTER = timedelta(seconds=3)
CLAIM_LASTS = timedelta(seconds=60)
GIVE_UP_AFTER = timedelta(minutes=5)
KEEP_REQUESTS = timedelta(days=1)


def request_check(*, scope: Scope, bot_id: UUID) -> UUID:
    """Store the wish and nudge a worker. Raises NotFound."""
    with scope.transaction(reason="health check asked for"):
        client_id = Bot.objects.filter(id=bot_id, retired_at=None).values_list("client_id", flat=True).first()
        if client_id is None:
            raise NotFound("There is no such bot.")
        request = CheckRequest.objects.create(bot_id=bot_id, client_id=client_id, requested_by=scope.actor)
        on_commit(lambda: nudge(request.id))
    made: UUID = request.id
    return made


def await_check(*, scope: Scope, request_id: UUID, until_s: float) -> None:
    """Return once the check is done. Raises NotReady when it is not by ``until_s`` of the monotonic clock."""
    while True:
        with scope.transaction():
            row = CheckRequest.objects.filter(id=request_id).values_list("finished_at", "error").first()
        finished_at, error = row or (None, "")
        if finished_at and not error:
            return
        if error:
            raise NotReady(error, code="check_failed", retry_after_s=5)
        if time.monotonic() >= until_s:
            raise NotReady(
                "The check was not finished in time; it goes on, so look again shortly.",
                code="check_pending",
                retry_after_s=5,
            )
        assert_no_transaction()
        time.sleep(POLL_S)


def nudge(request_id: UUID) -> None:
    """Shorten the wait; a nudge that is lost is made up for by ``nudge_lost_requests``."""
    try:
        current_app.send_task(CHECK_NOW, args=[str(request_id)], expires=CLAIM_LASTS.total_seconds())
    except OperationalError as error:
        log.warning("broker_unreachable", task=CHECK_NOW, error=type(error).__name__)


def claim_request(*, request_id: UUID, now: datetime) -> list[tuple[UUID, UUID]]:
    """``[(request, bot)]``: this request and all other open ones for its bot, now ours; empty if somebody has it."""
    with system_scope("health").transaction():
        return [
            (row[0], row[1])
            for row in fetch_all(
                "UPDATE health_check_requests q SET claimed_at = %(now)s FROM health_check_requests asked "
                "WHERE asked.id = %(id)s AND asked.finished_at IS NULL AND q.bot_id = asked.bot_id "
                "AND q.finished_at IS NULL AND (q.claimed_at IS NULL OR q.claimed_at < %(expired)s) "
                "RETURNING q.id, q.bot_id",
                {"id": request_id, "now": now, "expired": now - CLAIM_LASTS},
            )
        ]


def finish_requests(*, request_ids: list[UUID], now: datetime, error: str = "") -> None:
    """Whoever waits for these rows goes on."""
    with system_scope("health").transaction():
        CheckRequest.objects.filter(id__in=request_ids, finished_at=None).update(finished_at=now, error=error[:500])


def nudge_lost_requests(*, now: datetime) -> int:
    """Nudge again for requests that nobody works on, and end those that waited too long. Says how many were nudged."""
    with system_scope("health").transaction():
        waiting = fetch_all(
            "SELECT id FROM health_check_requests WHERE finished_at IS NULL AND requested_at < %(asked)s "
            "AND requested_at >= %(too_old)s AND (claimed_at IS NULL OR claimed_at < %(expired)s) "
            "ORDER BY requested_at LIMIT 100",
            {"asked": now - NUDGE_AGAIN_AFTER, "expired": now - CLAIM_LASTS, "too_old": now - GIVE_UP_AFTER},
        )
        run(
            "UPDATE health_check_requests SET finished_at = %(now)s, error = 'No worker got to this check in time.' "
            "WHERE finished_at IS NULL AND requested_at < %(too_old)s",
            {"now": now, "too_old": now - GIVE_UP_AFTER},
        )
    for (request_id,) in waiting:
        nudge(request_id)
    return len(waiting)


def forget_requests(*, scope: Scope, now: datetime) -> int:
    """Remove requests that are done and a day old."""
    with scope.transaction():
        return run(
            "DELETE FROM health_check_requests WHERE finished_at IS NOT NULL AND requested_at < %(old)s",
            {"old": now - KEEP_REQUESTS},
        )
