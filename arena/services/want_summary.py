"""Wanting a summary: a row first, then a nudge; whoever waits, waits for the row."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from uuid import UUID

from celery import current_app
from kombu.exceptions import OperationalError
from structlog import get_logger

from arena.models import HistorySummary, Participant
from arena.rules.history import LEAST_FORCED, is_due
from arena.rules.statuses import SummaryStatus
from arena.services.claim_turns import SCOPE
from arena.services.settings_row import arena_settings
from arena.services.summary_material import rhythm_of, waiting_of
from bots.models import Bot
from ground.errors import Conflict, Forbidden, InvalidInput, NotFound, NotReady
from ground.scope import Scope, assert_no_transaction, on_commit
from ground.sql import fetch_all, fetch_one

log = get_logger(__name__)

SUMMARISE = "arena.summarise"
POLL_S = 0.1
NUDGE_AGAIN_AFTER = timedelta(seconds=5)
MOST_NUDGED = 200
FAR = timedelta(hours=2)  # a lease so far ahead was given before the host's clock was set back
_WANT = """
    INSERT INTO history_summaries (id, bot_id, client_id, number, status, is_forced, requested_by, summary, summarized_count,
                                   token_count, claims, refused_claims, message, created_at)
    SELECT gen_random_uuid(), %(bot)s, %(client)s,
           1 + coalesce((SELECT max(number) FROM history_summaries WHERE bot_id = %(bot)s), 0),
           'wanted', %(forced)s, %(by)s, '', 0, 0, '[]', '[]', '', %(now)s
    ON CONFLICT DO NOTHING RETURNING id
"""
_OPEN = "SELECT id FROM history_summaries WHERE bot_id = %(bot)s AND status IN ('wanted', 'running')"
_COUNT = "SELECT count(*) FROM (SELECT FROM bot_decisions WHERE bot_id = %(bot)s LIMIT %(most)s) d"
_LOST = """
    SELECT id FROM history_summaries
     WHERE (status = 'wanted' AND created_at < %(before)s)
        OR (status = 'running' AND (lease_until < %(now)s OR lease_until > %(far)s))
     ORDER BY created_at LIMIT %(most)s
"""


class NotEnoughHistory(InvalidInput):
    """There are too few decisions to learn from."""

    code = "not_enough_history"


def want_summary_if_due(bot_id: UUID, now: datetime) -> UUID | None:
    """After a turn: have the bot's older decisions summarised when it is time; the wish that was stored, if any."""
    with SCOPE.transaction(reason="a summary is due"):
        if not is_due(waiting_of(bot_id), rhythm_of(arena_settings())):
            return None
        client_id = Participant.objects.values_list("client_id", flat=True).get(pk=bot_id)
        made = _want(bot_id, client_id, is_forced=False, by=SCOPE.actor, now=now)
        if made is not None:
            on_commit(lambda: nudge(made))
        return made


def ask_for_summary(*, scope: Scope, bot_id: UUID, now: datetime) -> UUID:
    """Store a person's wish, whether or not a summary is due, and nudge a worker; one that is under way is the wish's too.

    Raises NotFound, Forbidden, NotEnoughHistory.
    """
    if not scope.can_manage:
        raise Forbidden("This key may only read.")
    with scope.transaction(reason="summary asked for"):
        client_id = Bot.objects.filter(pk=bot_id, retired_at=None).values_list("client_id", flat=True).first()
        if client_id is None or scope.client_id not in (None, client_id):
            raise NotFound("There is no such bot.")
        (count,) = fetch_one(_COUNT, {"bot": bot_id, "most": LEAST_FORCED}) or (0,)
        if count < LEAST_FORCED:
            raise NotEnoughHistory(
                f"A summary needs at least {LEAST_FORCED} decisions; this bot has made {count} so far."
            )
        made = _want(bot_id, client_id, is_forced=True, by=scope.actor, now=now)
        found = made or next((row[0] for row in fetch_all(_OPEN, {"bot": bot_id})), None)
        if found is None:  # one ended in this very moment
            raise NotReady("A summary has just been made; ask again.", code="summary_pending", retry_after_s=1)
        on_commit(lambda: nudge(found))
    return found


def await_summary(*, scope: Scope, summary_id: UUID, until_s: float) -> None:
    """Return once it is done. Raises Conflict with the reason where it came to nothing, and NotReady when it is not done by
    ``until_s`` of the monotonic clock."""
    while True:
        with scope.transaction():
            row = HistorySummary.objects.filter(id=summary_id).values_list("status", "message").first()
        status, message = row or (SummaryStatus.FAILED, "It was removed.")
        if status == SummaryStatus.DONE:
            return
        if status == SummaryStatus.FAILED:
            raise Conflict(f"No summary was made: {message}", code="summary_failed")
        if time.monotonic() >= until_s:
            raise NotReady(
                "The summary was not finished in time; it goes on, so look again shortly.",
                code="summary_pending",
                retry_after_s=10,
            )
        assert_no_transaction()
        time.sleep(POLL_S)


def nudge(summary_id: UUID) -> None:
    """Shorten the wait; a nudge that is lost is made up for by ``nudge_lost_summaries``."""
    try:
        current_app.send_task(SUMMARISE, args=[str(summary_id)])
    except OperationalError as error:
        log.warning("broker_unreachable", task=SUMMARISE, error=type(error).__name__)


def nudge_lost_summaries(*, now: datetime) -> int:
    """Nudge again for what nobody works on. How many there were."""
    with SCOPE.transaction():
        params = {"before": now - NUDGE_AGAIN_AFTER, "now": now, "far": now + FAR, "most": MOST_NUDGED}
        found = [row[0] for row in fetch_all(_LOST, params)]
    for summary_id in found:
        nudge(summary_id)
    return len(found)


def _want(bot_id: UUID, client_id: UUID, *, is_forced: bool, by: str, now: datetime) -> UUID | None:
    """None: one is open already."""
    row = fetch_one(_WANT, {"bot": bot_id, "client": client_id, "forced": is_forced, "by": by[:200], "now": now})
    return row[0] if row else None
