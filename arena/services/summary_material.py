"""What a summary is made from: the decisions it is to stand for, the claims of the one before, and the ledger's figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from arena.models import ArenaSettings, HistorySummary
from arena.rules.claims import Group, Sums, groups_of
from arena.rules.history import CHARACTERS_PER_TOKEN, Earlier, Rhythm, Waiting, chunk
from arena.rules.statuses import SummaryStatus
from arena.services.history import COLUMNS, PastDecision, past_decision
from ground.sql import fetch_all, fetch_hot
from ledger.models import BotDecision
from ledger.rules.words import Action

MOST_READ = 2_000  # decisions; those beyond wait for the summary after this one
# Forced summaries neither count nor put off: the automatic ones build on each other alone. What was cleared is not learned
# again by itself.
_WAITING = f"""
    WITH done AS (
        SELECT number, summarized_to FROM history_summaries
         WHERE bot_id = %(bot)s AND status = 'done' AND cleared_at IS NULL AND NOT is_forced ORDER BY number DESC LIMIT 1
    ), base AS (
        SELECT greatest((SELECT summarized_to FROM done),
                        (SELECT max(cleared_at) FROM history_summaries WHERE bot_id = %(bot)s)) AS since,
               (SELECT max(created_at) FROM history_summaries
                 WHERE bot_id = %(bot)s AND status = 'failed' AND NOT is_forced
                   AND number > coalesce((SELECT number FROM done), 0)) AS failed_at
    )
    SELECT count(d.decided_at), coalesce(sum(d.characters), 0), (SELECT count(*) FROM done), b.failed_at IS NOT NULL,
           count(d.decided_at) FILTER (WHERE d.decided_at > b.failed_at)
      FROM base b LEFT JOIN LATERAL (
        SELECT decided_at, length(decisions_json::text) + length(notes_json::text) + 80 AS characters FROM bot_decisions
         WHERE bot_id = %(bot)s AND (b.since IS NULL OR decided_at > b.since) ORDER BY decided_at DESC LIMIT {MOST_READ}
      ) d ON true
     GROUP BY b.failed_at
"""  # noqa: S608 - one number of this module
_SUMS = """
    SELECT symbol, action, count(*) FILTER (WHERE trade_type = 'entry'), count(pnl), count(*) FILTER (WHERE pnl > 0),
           count(*) FILTER (WHERE pnl < 0), coalesce(sum(pnl), 0), coalesce(sum(fee_quote), 0), max(pnl), min(pnl)
      FROM trades WHERE bot_id = %(bot)s AND executed_at <= %(until)s GROUP BY symbol, action
"""


@dataclass(frozen=True, slots=True)
class Material:
    """``decisions`` oldest first; what ``before`` stands for, the new summary stands for too."""

    decisions: list[PastDecision]
    before: HistorySummary | None

    @property
    def earlier(self) -> list[Earlier]:
        claims = self.before.claims if self.before else []
        return [Earlier(one["text"], tuple(UUID(id_) for id_ in one["decisions"])) for one in claims]


def rhythm_of(chosen: ArenaSettings) -> Rhythm:
    return Rhythm(chosen.summary_tokens, chosen.summary_keep, chosen.summary_again_after)


def waiting_of(bot_id: UUID) -> Waiting:
    """What waits for an automatic summary: one statement, over MOST_READ decisions at most."""
    row = fetch_hot(_WAITING, {"bot": bot_id})
    decisions, characters, summaries, has_failed, since = row or (0, 0, 0, False, 0)
    return Waiting(
        decisions, int(characters) // CHARACTERS_PER_TOKEN, bool(summaries), int(since) if has_failed else None
    )


def gather(row: HistorySummary, chosen: ArenaSettings) -> Material:
    """An automatic summary takes the oldest that wait, all but the newest that stay word for word; a forced one the newest
    of all that no automatic one stands for, to the last."""
    before = _before(row)
    rows = BotDecision.objects.filter(bot_id=row.bot_id).only(*COLUMNS)
    since = before.summarized_to if before else None
    if row.is_forced:
        rows = rows.filter(decided_at__gt=since) if since else rows
        newest = [past_decision(one) for one in rows.order_by("-decided_at", "-id")[:MOST_READ]]
        return Material(chunk(newest, most_tokens=chosen.summary_tokens)[::-1], before)
    cleared_at = _cleared_at(row.bot_id)
    since = max((moment for moment in (since, cleared_at) if moment), default=None)
    rows = rows.filter(decided_at__gt=since) if since else rows
    kept = rows.order_by("-decided_at", "-id").values_list("decided_at", flat=True)
    oldest_kept = kept[chosen.summary_keep - 1 : chosen.summary_keep].first()
    if oldest_kept is None:
        return Material([], before)
    older = rows.filter(decided_at__lt=oldest_kept).order_by("decided_at", "id")[:MOST_READ]
    return Material(chunk([past_decision(one) for one in older], most_tokens=chosen.summary_tokens), before)


def asked_material(row: HistorySummary) -> Material:
    """What the model was asked about, found again when its answer is read."""
    rows = BotDecision.objects.filter(
        bot_id=row.bot_id, decided_at__gte=row.summarized_from, decided_at__lte=row.summarized_to
    )
    return Material([past_decision(one) for one in rows.only(*COLUMNS).order_by("decided_at", "id")], _before(row))


def cited_earlier(bot_id: UUID, earlier: Sequence[Earlier]) -> list[PastDecision]:
    """The decisions that claims of the summary before rest on."""
    wanted = {id_ for one in earlier for id_ in one.decisions}
    return [past_decision(one) for one in BotDecision.objects.filter(bot_id=bot_id, id__in=wanted).only(*COLUMNS)]


def ledger_groups(bot_id: UUID, *, until: datetime) -> dict[Group, Sums]:
    """What the bot's trades until then come to."""
    parts: dict[tuple[str, Action], Sums] = {}
    for symbol, action, *figures in fetch_all(_SUMS, {"bot": bot_id, "until": until}):
        parts[symbol, Action(action)] = Sums(*figures)
    return groups_of(parts)


def _before(row: HistorySummary) -> Any:
    rows = HistorySummary.objects.filter(
        bot_id=row.bot_id, status=SummaryStatus.DONE, cleared_at=None, is_forced=False, number__lt=row.number
    )
    return rows.order_by("-number").first()


def _cleared_at(bot_id: UUID) -> datetime | None:
    rows = HistorySummary.objects.filter(bot_id=bot_id, cleared_at__isnull=False).order_by("-cleared_at")
    return rows.values_list("cleared_at", flat=True).first()
