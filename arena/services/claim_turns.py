"""Whose turn it is: fair across clients, each bot at most once at a time, whatever number of workers asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from arena.rules.statuses import OPEN_TURNS, TurnStatus
from arena.services.settings_row import arena_settings
from ground.scope import system_scope
from ground.sql import fetch_all, fetch_hot

SCOPE = system_scope("arena")
MOST_AT_ONCE = 100
MOST_WAITING = 100  # for a worker: where more is due it stays due, so that whose turn comes next is decided late
ASK_AGAIN = timedelta(seconds=15)  # a turn that nobody took up is offered again

# A switch for all, for its client or for itself holds a bot.
HALTED = """
    EXISTS (SELECT FROM arena_halts h WHERE h.lifted_at IS NULL
               AND (h.scope = 'all' OR (h.scope = 'client' AND h.client_id = p.client_id) OR h.bot_id = p.bot_id))
"""
# What a person does while the model thinks holds too: a pause, a switch, a stop, a deletion.
HELD_BACK = f"""
    (p.is_paused OR {HALTED} OR NOT EXISTS (SELECT FROM bots b WHERE b.id = p.bot_id AND b.desired_status = 'running'
        AND b.retired_at IS NULL AND b.deletion_requested_at IS NULL))
"""
# Of each client its longest waiting bot comes first, then of each its second: so no client's many bots keep another's
# one waiting. What a person forced comes before what is only due, and leaves the next one where it was. A missed turn is
# not caught up. One further ahead than an interval is due: that became shorter, or the host's clock was set back. In a new
# arena the first turns wait for the first prices; once there were some, a turn without fresh ones is left out.
_EVERY = "make_interval(secs => coalesce(p.turn_interval_s, %(every_s)s))"
_IS_DUE = f"(p.next_turn_at <= %(now)s OR p.next_turn_at > %(now)s + {_EVERY} OR p.forced_at IS NOT NULL)"
_CLAIM = f"""
    WITH due AS MATERIALIZED (
        SELECT p.bot_id, row_number() OVER (PARTITION BY p.client_id
                   ORDER BY p.forced_at IS NULL, p.next_turn_at, p.bot_id) AS place, p.next_turn_at
          FROM arena_participants p
          JOIN bots b ON b.id = p.bot_id AND b.retired_at IS NULL AND b.deletion_requested_at IS NULL
         WHERE NOT p.is_paused AND b.desired_status = 'running' AND {_IS_DUE}
           AND p.prompt_id IS NOT NULL AND p.provider_id IS NOT NULL AND NOT {HALTED}
           AND NOT EXISTS (SELECT FROM arena_turns t WHERE t.bot_id = p.bot_id AND t.status = ANY(%(open)s))
           AND EXISTS (SELECT FROM arena_markets m WHERE m.exchange = %(exchange)s AND m.price IS NOT NULL)
    ), picked AS (
        SELECT p.bot_id, p.client_id, p.turns + 1 AS number, p.forced_at IS NOT NULL AS is_forced, p.forced_by, p.prompt_id
          FROM arena_participants p JOIN due d ON d.bot_id = p.bot_id
         WHERE NOT p.is_paused AND {_IS_DUE}
         ORDER BY d.place, d.next_turn_at, p.bot_id LIMIT least(%(most)s, greatest(0, {MOST_WAITING}
             - (SELECT count(*) FROM arena_turns t WHERE t.status = 'claimed' AND t.lease_token IS NULL)))
           FOR UPDATE OF p SKIP LOCKED
    ), opened AS (
        INSERT INTO arena_turns (id, bot_id, client_id, number, cause, requested_by, status, message, prompt_id, model,
                                 briefing, attempts, created_at, recorded_at, lease_until)
        SELECT gen_random_uuid(), bot_id, client_id, number, CASE WHEN is_forced THEN 'forced' ELSE 'schedule' END,
               forced_by, 'claimed', '', prompt_id, '', '{{}}', 0, %(now)s, %(now)s, %(now)s + %(offer)s
          FROM picked
        ON CONFLICT DO NOTHING RETURNING id, bot_id
    ), moved AS (
        UPDATE arena_participants p SET turns = k.number, last_turn_at = %(now)s, forced_at = NULL, forced_by = '',
               next_turn_at = CASE WHEN p.next_turn_at <= %(now)s - {_EVERY} OR p.next_turn_at > %(now)s + {_EVERY}
                                   THEN %(now)s + {_EVERY}
                                   WHEN p.next_turn_at <= %(now)s THEN p.next_turn_at + {_EVERY} ELSE p.next_turn_at END
          FROM picked k JOIN opened o ON o.bot_id = k.bot_id
         WHERE p.bot_id = k.bot_id RETURNING p.bot_id
    )
    SELECT o.id FROM opened o JOIN moved m ON m.bot_id = o.bot_id
"""  # noqa: S608 - made of constants
# Offered again: what nobody took up, and what its worker no longer holds. A lease from far ahead is one from before the host's
# clock was set back. An offer is a lease without a token, so that what waits in the queue is not put into it once more each time.
_OFFER_AGAIN = """
    WITH left_over AS (
        SELECT id FROM arena_turns
         WHERE status = ANY(%(open)s) AND (lease_until IS NULL OR lease_until < %(now)s
                                           OR lease_until > %(now)s + %(lasts)s + interval '10 minutes')
         ORDER BY created_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
    )
    UPDATE arena_turns t SET lease_until = %(now)s + %(offer)s, lease_token = NULL
      FROM left_over l WHERE t.id = l.id RETURNING t.id
"""
_TAKE = """
    UPDATE arena_turns SET lease_token = %(token)s, lease_until = %(until)s, attempts = attempts + 1
     WHERE id = %(id)s AND status = ANY(%(open)s)
       AND (lease_token IS NULL OR lease_until < %(now)s OR lease_until > %(until)s + interval '10 minutes')
    RETURNING bot_id, client_id, number, status, prompt_id, created_at, answered_at, attempts
"""


@dataclass(frozen=True, slots=True)
class TakenTurn:
    """A turn that is this worker's until ``lease_until``; everything written for it names ``token``."""

    id: UUID
    bot_id: UUID
    client_id: UUID
    number: int
    status: TurnStatus
    prompt_id: UUID | None
    created_at: datetime
    answered_at: datetime | None
    attempts: int  # how often it was taken, this time included
    token: UUID
    lease_until: datetime


def claim_turns(*, now: datetime, most: int = MOST_AT_ONCE) -> list[UUID]:
    """Open the turns that are due, and name those that wait for a worker: new ones, and such whose worker is gone."""
    params: dict[str, Any] = {"now": now, "open": [str(s) for s in OPEN_TURNS], "most": most, "offer": ASK_AGAIN}
    with SCOPE.transaction(reason="turns that are due"):
        chosen = arena_settings()
        lasts = timedelta(seconds=chosen.turn_timeout_s)
        params |= {"every_s": chosen.turn_interval_s, "lasts": lasts, "exchange": chosen.exchange}
        opened = [row[0] for row in fetch_all(_CLAIM, params)]
        return opened + [row[0] for row in fetch_all(_OFFER_AGAIN, params)]


def take_turn(turn_id: UUID, *, lasts: timedelta, now: datetime) -> TakenTurn | None:
    """Lease a turn; None: somebody else has it, or it is over."""
    token, until = uuid4(), now + lasts
    words = [str(status) for status in OPEN_TURNS]
    with SCOPE.transaction():
        row = fetch_hot(_TAKE, {"id": turn_id, "token": token, "until": until, "now": now, "open": words})
    if row is None:
        return None
    bot_id, client_id, number, status, prompt_id, created_at, answered_at, attempts = row
    return TakenTurn(
        turn_id,
        bot_id,
        client_id,
        number,
        TurnStatus(status),
        prompt_id,
        created_at,
        answered_at,
        attempts,
        token,
        until,
    )
