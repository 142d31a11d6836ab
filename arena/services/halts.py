"""Kill switches: pulled by people, or by rules that have seen enough. A halted bot opens nothing and takes no turns; the
stops, profits and liquidations of what it holds go on."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid4

from django.db.models import Q, QuerySet

from alerts.rules.words import Severity
from alerts.services.incidents import raise_incident, resolve_incidents
from arena.models import ArenaSettings, Halt, Participant
from arena.rules.statuses import HaltKind, HaltScope
from arena.services.claim_turns import SCOPE
from arena.services.events import tell
from arena.services.lock_participant import check_may_change, in_the_name_of, state_event
from clients.models import Client
from ground.errors import Conflict, Forbidden, InvalidInput, NotFound
from ground.scope import Scope
from ground.sql import fetch_all, run

INCIDENT = "arena_halted"

_STANDING = """
    SELECT h.id FROM arena_participants p JOIN arena_halts h ON h.lifted_at IS NULL
       AND (h.scope = 'all' OR (h.scope = 'client' AND h.client_id = p.client_id) OR h.bot_id = p.bot_id)
     WHERE p.bot_id = %s
"""
# Before a halt, as a turn that is halted locks them.
_LOCK = "SELECT 1 FROM arena_participants WHERE bot_id = %s FOR UPDATE"
_OPEN = """
    INSERT INTO arena_halts (id, scope, kind, client_id, bot_id, reason, halted_at, halted_by, is_operators, lifted_by)
    VALUES (%(id)s, %(scope)s, %(kind)s, %(client)s, %(bot)s, %(reason)s, %(now)s, %(by)s, %(operators)s, '')
    ON CONFLICT (scope, client_id, bot_id) WHERE lifted_at IS NULL DO NOTHING
"""
# Everybody whom a switch holds is told, in one statement.
_TELL = """
    INSERT INTO arena_events (client_id, bot_id, kind, payload, happened_at)
    SELECT p.client_id, p.bot_id, 'state_update', jsonb_build_object('halted', %(halted)s::boolean), %(now)s
      FROM arena_participants p JOIN bots b ON b.id = p.bot_id AND b.retired_at IS NULL
     WHERE (%(client)s::uuid IS NULL OR p.client_id = %(client)s) AND (%(bot)s::uuid IS NULL OR p.bot_id = %(bot)s)
     ORDER BY p.bot_id
"""
# Whoever lifts a halt has seen why: the count begins anew, and a fall is measured from where the bot stands now.
_BEGIN_ANEW = """
    UPDATE arena_participants p SET unreadable_in_row = 0, refused_in_row = 0, (peak_equity, peak_capital) = (
           SELECT CASE WHEN %(kind)s = 'drawdown' THEN a.balance + coalesce(sum(o.size + o.unrealized_pnl), 0)
                       ELSE p.peak_equity END,
                  CASE WHEN %(kind)s = 'drawdown' THEN a.allocated_capital ELSE p.peak_capital END
             FROM bot_accounts a LEFT JOIN positions o ON o.bot_id = a.bot_id AND o.status = 'open'
            WHERE a.bot_id = p.bot_id GROUP BY a.bot_id)
     WHERE p.bot_id = %(bot)s
"""


def halt(
    *, scope: Scope, halt_scope: HaltScope, reason: str, now: datetime, client_id: UUID | None = None,
    bot_id: UUID | None = None,
) -> UUID:  # fmt: skip
    """Pull a switch and give its id; the one that stands already where there is one.

    Clients may halt themselves and their bots. An operator's takes the place of what a client or a rule had pulled, for
    these a client lifts. Raises Forbidden, NotFound, InvalidInput.
    """
    check_may_change(scope)
    if not reason.strip():
        raise InvalidInput("Say why, in a few words.", fields={"reason": ["required"]})
    if halt_scope is HaltScope.ALL and not scope.is_operator:
        raise Forbidden("Only an operator halts everybody.")
    with in_the_name_of(scope).transaction(reason=reason):
        owner, bot = _held(scope, halt_scope, client_id=client_id, bot_id=bot_id)
        found = None
        while found is None or (scope.is_operator and not found.is_operators):
            if scope.is_operator:
                _lift_lesser(halt_scope, owner, bot, by=scope, now=now)
            _open(HaltKind.SWITCH, halt_scope, owner, bot, reason=reason.strip(), by=scope.actor, now=now,
                  is_operators=scope.is_operator)  # fmt: skip
            found = _standing(halt_scope, owner, bot).first()
        run(_TELL, {"halted": True, "client": owner, "bot": bot, "now": now})
    return found.id


def lift_halt(*, scope: Scope, halt_id: UUID, now: datetime) -> None:
    """Bots go on with their next turn. What an operator halted only an operator lifts; what a rule halted, its client too.

    Raises NotFound, Forbidden, Conflict when it is lifted already.
    """
    check_may_change(scope)
    with in_the_name_of(scope).transaction(reason="halt lifted"):
        found = Halt.objects.filter(id=halt_id).first()
        if found is None or (scope.client_id is not None and found.client_id not in (scope.client_id, None)):
            raise NotFound("There is no such halt.")
        if not scope.is_operator and (found.client_id is None or found.is_operators):
            raise Forbidden("An operator halted this, and only an operator lifts it.")
        if not _lift(Halt.objects.filter(id=halt_id), found.bot_id, by=scope, now=now):
            raise Conflict("This halt is lifted already.", code="lifted_already")
        run(_TELL, {"halted": False, "client": found.client_id, "bot": found.bot_id, "now": now})


def _lift_lesser(
    halt_scope: HaltScope, client_id: UUID | None, bot_id: UUID | None, *, by: Scope, now: datetime
) -> None:
    """What stands there and is no operator's."""
    _lift(_standing(halt_scope, client_id, bot_id).filter(is_operators=False), bot_id, by=by, now=now)


def _lift(rows: QuerySet[Halt], bot_id: UUID | None, *, by: Scope, now: datetime) -> bool:
    """Whether one of these stood."""
    fetch_all(_LOCK, [bot_id])
    found = rows.filter(lifted_at=None).select_for_update().first()
    if found is None:
        return False
    found.lifted_at, found.lifted_by = now, by.actor
    found.save(update_fields=["lifted_at", "lifted_by"])
    end_halt_of_rule(found, by=in_the_name_of(by), now=now)
    return True


def _standing(halt_scope: HaltScope, client_id: UUID | None, bot_id: UUID | None) -> QuerySet[Halt]:
    return Halt.objects.filter(Q(client_id=client_id, bot_id=bot_id), scope=halt_scope, lifted_at=None)


def end_halt_of_rule(found: Halt, *, by: Scope, now: datetime) -> None:
    """After a halt was lifted: where a rule had pulled it, its count begins anew and its incident is over."""
    if found.kind == HaltKind.SWITCH:
        return
    run(_BEGIN_ANEW, {"bot": found.bot_id, "kind": found.kind})
    resolve_incidents(scope=by, kind=INCIDENT, key=str(found.bot_id), now=now, resolution=f"lifted by {by.actor}")


def standing_halts(bot_id: UUID) -> list[Halt]:
    """The switches that hold a bot, the widest first; within the open transaction."""
    order = {HaltScope.ALL: 0, HaltScope.CLIENT: 1, HaltScope.BOT: 2}
    rows = Halt.objects.filter(id__in=[row[0] for row in fetch_all(_STANDING, [bot_id])])
    return sorted(rows, key=lambda row: order[HaltScope(row.scope)])


def due_halt(participant: Participant, chosen: ArenaSettings, *, equity: Decimal | None) -> tuple[HaltKind, str] | None:
    """Whether a rule has seen enough of a bot, and what it says of it; ``equity`` None: not known now."""
    if participant.unreadable_in_row >= chosen.halt_after_unreadable:
        return HaltKind.UNREADABLE, f"{participant.unreadable_in_row} answers in a row that nobody could read."
    if participant.refused_in_row >= chosen.halt_after_refused:
        return HaltKind.REFUSED, f"{participant.refused_in_row} turns in a row in which what it wanted was refused."
    peak = participant.peak_equity
    if equity is not None and peak is not None and peak > 0 and equity <= peak * (1 - participant.max_drawdown_ratio):
        fallen = (1 - equity / peak) * 100
        return HaltKind.DRAWDOWN, f"Its equity fell {fallen:.1f} % from its peak of {peak:.2f}."
    return None


def halt_by_rule(
    participant: Participant, chosen: ArenaSettings, *, equity: Decimal | None, now: datetime
) -> HaltKind | None:
    """Halt a bot of which a rule has seen enough, with an incident, in the open transaction of the arena's scope that holds
    its row with the newest counts. Gives which rule it was; None: none, or it was halted already."""
    found = due_halt(participant, chosen, equity=equity)
    if found is None:
        return None
    kind, reason = found
    client_id, bot_id = participant.client_id, participant.bot_id
    if not _open(kind, HaltScope.BOT, client_id, bot_id, reason=reason, by=SCOPE.actor, now=now):
        return None
    raise_incident(
        scope=SCOPE, kind=INCIDENT, key=str(bot_id), title=f"Halted: {reason}", now=now, severity=Severity.WARNING,
        client_id=client_id, bot_id=bot_id, details={"rule": str(kind), "reason": reason},
    )  # fmt: skip
    tell([state_event(participant, halted=True, reason=reason)], now=now)
    return kind


def _held(
    scope: Scope, halt_scope: HaltScope, *, client_id: UUID | None, bot_id: UUID | None
) -> tuple[UUID | None, UUID | None]:
    """Whose row it is. Raises NotFound for what is not the caller's."""
    if halt_scope is HaltScope.ALL:
        return None, None
    if halt_scope is HaltScope.CLIENT:
        owner = client_id or scope.client_id
        is_own = scope.client_id in (None, owner)
        if owner is None or not is_own or not Client.objects.filter(id=owner, retired_at=None).exists():
            raise NotFound("There is no such client.")
        return owner, None
    rows = Participant.objects.filter(Q(bot_id=bot_id), bot__retired_at=None)
    rows = rows.filter(client_id=scope.client_id) if scope.client_id else rows
    participant = rows.first()
    if participant is None:
        raise NotFound("There is no such bot in the arena.")
    return participant.client_id, participant.bot_id


def _open(
    kind: HaltKind, halt_scope: HaltScope, client_id: UUID | None, bot_id: UUID | None, *, reason: str, by: str,
    now: datetime, is_operators: bool = False,
) -> bool:  # fmt: skip
    """Whether it is a new one."""
    values = {"id": uuid4(), "scope": str(halt_scope), "kind": str(kind), "client": client_id, "bot": bot_id,
              "operators": is_operators}  # fmt: skip
    return bool(run(_OPEN, values | {"reason": reason[:300], "now": now, "by": by}))
