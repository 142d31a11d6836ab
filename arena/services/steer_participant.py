"""What people do with a participant while it plays: pause it, have it take a turn, close a position, clear what it learned."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from arena.models import ArenaMarket, ArenaSettings, HistorySummary, Participant
from arena.rules.statuses import SummaryStatus
from arena.services.events import tell, trade_event
from arena.services.guard_positions import exit_at_market
from arena.services.halts import standing_halts
from arena.services.lock_participant import check_may_change, in_the_name_of, lock_participant, state_event
from arena.services.participants import check_may_start
from arena.services.refresh_prices import fresh_prices
from arena.services.settings_row import arena_settings
from bots.rules.words import DesiredStatus
from clients.selectors import as_uuid
from ground.errors import Conflict, NotFound
from ground.scope import Scope
from ground.sql import fetch_all
from ledger.rules.words import Cause
from ledger.services.record_paper import Filled, HeldOnPaper, PaperExit, held_on_paper, lock_accounts, record_fills

GONE_AFTER = timedelta(hours=1)
_NAMED = "SELECT id, status FROM positions WHERE bot_id = %(bot)s AND (id = %(id)s OR (source_id = %(text)s AND source_id <> ''))"


def pause_participant(*, scope: Scope, bot_id: UUID, paused: bool | None, now: datetime) -> bool:
    """Pause a bot or let it go on; None: the other of the two. Gives whether it is paused now.

    What it holds is guarded all the same, and no missed turn is caught up. Raises NotFound, Forbidden.
    """
    check_may_change(scope)
    with scope.transaction(reason="pause"):
        participant = lock_participant(scope, bot_id)
        wanted = not participant.is_paused if paused is None else paused
        if wanted == participant.is_paused:
            return wanted
        participant.is_paused = wanted
        participant.paused_at, participant.paused_by = (now, scope.actor) if wanted else (None, "")
        participant.save(update_fields=["is_paused", "paused_at", "paused_by"])
        tell([state_event(participant, isPaused=wanted)], now=now)
    return wanted


def force_turn(*, scope: Scope, bot_id: UUID, now: datetime) -> None:
    """Have a bot take its next turn at once; several wishes before that are one.

    Raises NotFound, Forbidden, and Conflict with what keeps it from taking turns.
    """
    check_may_change(scope)
    with scope.transaction(reason="turn forced"):
        participant = lock_participant(scope, bot_id)
        _check_takes_turns(participant)
        participant.forced_at, participant.forced_by = now, scope.actor
        participant.save(update_fields=["forced_at", "forced_by"])


def close_position(*, scope: Scope, bot_id: UUID, position: str, now: datetime) -> Filled:
    """Close an open position of a bot at the market's price now; ``position`` is its id, ours or the old system's.

    It needs no turn and works while the bot is paused or halted. Raises NotFound, Forbidden, and Conflict when it is not
    open any more or ``exit_by_hand`` knows no price.
    """
    check_may_change(scope)
    with in_the_name_of(scope).transaction(reason="position closed"):
        participant = lock_participant(scope, bot_id)
        accounts = lock_accounts([bot_id])
        one = _find(bot_id, position)
        leaving = exit_by_hand(one, arena_settings(), note=f"Closed by {scope.actor}.", now=now)
        (done,) = record_fills([leaving], accounts=accounts, at=now, now=now, place=f"close {one.id}")
        tell([trade_event(done), state_event(participant, closed=str(one.id))], now=now)
    return done


def clear_learning(*, scope: Scope, bot_id: UUID, now: datetime) -> int:
    """Have a bot forget its summaries: it is shown none of them again, and they stay as rows. How many there were.

    Raises NotFound, Forbidden.
    """
    check_may_change(scope)
    with scope.transaction(reason="learning cleared"):
        participant = lock_participant(scope, bot_id)
        rows = HistorySummary.objects.filter(bot_id=bot_id)
        rows.filter(status__in=(SummaryStatus.WANTED, SummaryStatus.RUNNING)).update(
            status=SummaryStatus.FAILED, message="Learning was cleared.", finished_at=now, lease_until=None
        )
        cleared = rows.filter(cleared_at=None, status=SummaryStatus.DONE).update(cleared_at=now)
        tell([state_event(participant, cleared=cleared)], now=now)
    return cleared


def exit_by_hand(one: HeldOnPaper, chosen: ArenaSettings, *, note: str, now: datetime) -> PaperExit:
    """Closing a position since a person wants it: at the market's price now. Nothing fills at a price that nobody sees, but
    where the exchange lists the market no more, none will ever come: then at the last one seen, once that is an hour old.

    Raises Conflict with the price's age.
    """
    market = fresh_prices({one.symbol}, now=now).get(one.symbol)
    if market is None and one.mark_price is not None and _is_gone(one, chosen, now=now):
        market = ArenaMarket(symbol=one.symbol, price=one.mark_price)
        note = (
            f"{note} The exchange lists the market no more: at the last price seen, {one.marked_at:%Y-%m-%d %H:%M} UTC."
        )
    if market is None:
        seen = ArenaMarket.objects.filter(exchange=chosen.exchange, symbol=one.symbol)
        at = seen.values_list("observed_at", flat=True).first()
        age = f"is {max(timedelta(0), now - at).total_seconds():.0f} s old" if at else "is not known"
        sentence = f"The price of {one.symbol} {age}; nothing is closed at it. Try again shortly."
        raise Conflict(sentence, code="stale_price")
    return exit_at_market(one, market, chosen, cause=Cause.OPERATOR, note=note)


def _is_gone(one: HeldOnPaper, chosen: ArenaSettings, *, now: datetime) -> bool:
    """Whether the arena's exchange, whose markets were read, has this one no more, and nobody saw a price for an hour."""
    known = ArenaMarket.objects.filter(exchange=chosen.exchange, rules_at__isnull=False)
    is_listed = known.filter(symbol=one.symbol, is_traded=True).exists()
    return not is_listed and known.exists() and one.marked_at is not None and one.marked_at < now - GONE_AFTER


def _find(bot_id: UUID, position: str) -> HeldOnPaper:
    rows = fetch_all(_NAMED, {"bot": bot_id, "id": as_uuid(position), "text": position[:200].replace("\x00", "")})
    if not rows:
        raise NotFound("There is no such position of this bot.")
    held = held_on_paper([bot_id])
    still = [held[position_id] for position_id, _ in rows if position_id in held]
    if not still:
        raise Conflict("The position is closed already.", code="closed_already")
    return still[0]


def _check_takes_turns(participant: Participant) -> None:
    if participant.bot.desired_status != DesiredStatus.RUNNING:
        raise Conflict("The bot is not started: start it first.", code="not_started")
    check_may_start(participant.bot)
    if participant.is_paused:
        raise Conflict("The bot is paused: let it go on first.", code="paused")
    standing = standing_halts(participant.bot_id)
    if standing:
        raise Conflict(f"The bot is halted: {standing[0].reason}", code="halted")
