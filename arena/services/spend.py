"""Budgets of models. What a call may cost is set aside before it, in one statement that compares with every budget it
touches, so two workers never spend the same dollar; what it did cost is booked after it, once."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NoReturn
from uuid import UUID

from django.utils import timezone

from arena.models import ClientBudget
from arena.rules.budget import day_of, month_of
from clients.models import Client
from ground.errors import Conflict, InvalidInput, NotFound
from ground.scope import Scope
from ground.sql import fetch_hot, run_hot


class BudgetSpent(Conflict):
    """A budget does not hold what this call may cost: a person raises it, or the next day or month begins."""

    code = "budget_spent"


class PriceUnknown(BudgetSpent):
    """There is a budget, and nobody knows what this call would cost: a person enters the model's price."""

    code = "price_unknown"


# The day and the month, of the client and of the bot; a bot's budget is its participant's.
_WANTED = """
    wanted (place, bot_id, span, start_on, budget) AS (
        SELECT 1, NULL::uuid, 'day', %(day)s::date, (SELECT daily_budget FROM llm_budgets WHERE client_id = %(client)s)
        UNION ALL
        SELECT 2, NULL, 'month', %(month)s::date, (SELECT monthly_budget FROM llm_budgets WHERE client_id = %(client)s)
        UNION ALL
        SELECT 3, %(bot)s::uuid, 'day', %(day)s::date,
               (SELECT daily_budget FROM arena_participants WHERE bot_id = %(bot)s::uuid)
         WHERE %(bot)s::uuid IS NOT NULL
        UNION ALL
        SELECT 4, %(bot)s::uuid, 'month', %(month)s::date,
               (SELECT monthly_budget FROM arena_participants WHERE bot_id = %(bot)s::uuid)
         WHERE %(bot)s::uuid IS NOT NULL
    )
"""
_OF_WANTED = """
    s.client_id = %(client)s AND s.span = w.span AND s.start_on = w.start_on AND s.bot_id IS NOT DISTINCT FROM w.bot_id
"""
# Locked in one order by everybody. A row that somebody else changed meanwhile is read again as it is once the lock is ours.
_RESERVE = f"""
    WITH {_WANTED},
    held AS (
        SELECT s.id, w.place, w.budget, s.reserved + s.spent AS used
          FROM llm_spend s JOIN wanted w ON {_OF_WANTED}
         ORDER BY s.id FOR UPDATE OF s
    ),
    verdict AS (
        SELECT (SELECT count(*) FROM held) = (SELECT count(*) FROM wanted) AS is_whole,
               (SELECT bool_or(budget IS NOT NULL) FROM wanted) AS is_limited,
               (SELECT place FROM held WHERE budget IS NOT NULL AND used + %(estimate)s > budget ORDER BY place LIMIT 1) AS spent
    ),
    changed AS (
        UPDATE llm_spend s SET reserved = s.reserved + %(estimate)s, calls = s.calls + 1
          FROM held, verdict
         WHERE s.id = held.id AND verdict.is_whole AND verdict.spent IS NULL
           AND (%(is_priced)s OR NOT verdict.is_limited)
        RETURNING s.id
    )
    SELECT v.is_whole, v.is_limited, v.spent, (SELECT count(*) FROM changed), h.budget, h.used
      FROM verdict v LEFT JOIN held h ON h.place = v.spent
"""  # noqa: S608 - only parts of this module
_MAKE_ROWS = f"""
    WITH {_WANTED}
    INSERT INTO llm_spend (client_id, bot_id, span, start_on, reserved, spent, calls)
    SELECT %(client)s, bot_id, span, start_on, 0, 0, 0 FROM wanted ORDER BY place
    ON CONFLICT DO NOTHING
"""  # noqa: S608
_SETTLE = f"""
    WITH {_WANTED},
    held AS (SELECT s.id FROM llm_spend s JOIN wanted w ON {_OF_WANTED} ORDER BY s.id FOR UPDATE OF s)
    UPDATE llm_spend s SET reserved = s.reserved - %(estimate)s, spent = s.spent + %(spent)s
      FROM held WHERE s.id = held.id
"""  # noqa: S608
_WHOSE = {
    1: ("the client's budget of a day", True),
    2: ("the client's budget of a month", False),
    3: ("the bot's budget of a day", True),
    4: ("the bot's budget of a month", False),
}


def reserve_spend(*, client_id: UUID, bot_id: UUID | None, estimate: Decimal | None, now: datetime) -> Decimal:
    """Set ``estimate`` aside in every budget that the call touches, or in none. Returns what was set aside.

    ``estimate`` None means that the model's price is not known: allowed only where no budget limits the call. Within an
    open transaction of the system's. Raises BudgetSpent, PriceUnknown.
    """
    values = _values(client_id, bot_id, now) | {"estimate": estimate or Decimal(0), "is_priced": estimate is not None}
    row = fetch_hot(_RESERVE, values)
    if row is not None and not row[0]:  # the first call of the day
        run_hot(_MAKE_ROWS, values)
        row = fetch_hot(_RESERVE, values)
    if row is None:
        raise RuntimeError("The budgets' verdict is always one row.")
    _, is_limited, place, changed, budget, used = row
    if not changed:
        _raise_refusal(estimate, is_limited=bool(is_limited), place=place, budget=budget, used=used, now=now)
    return estimate or Decimal(0)


def settle_spend(
    *, client_id: UUID, bot_id: UUID | None, estimate: Decimal, spent: Decimal, reserved_at: datetime
) -> None:
    """Book what a call cost in place of what was set aside for it. ``reserved_at`` says in which day and month that was.

    To be called once a call, in the transaction that ends it.
    """
    run_hot(_SETTLE, _values(client_id, bot_id, reserved_at) | {"estimate": estimate, "spent": spent})


def set_client_budget(
    *, scope: Scope, client_id: UUID, daily_budget: Decimal | None, monthly_budget: Decimal | None
) -> None:
    """What the client's bots may spend together; None is no limit. Raises InvalidInput, NotFound."""
    for name, budget in (("daily_budget", daily_budget), ("monthly_budget", monthly_budget)):
        if budget is not None and not (budget.is_finite() and 0 <= budget < Decimal("1e9")):
            raise _bad(name, "A budget is a number of US dollars, 0 or more.")
    if daily_budget is not None and monthly_budget is not None and monthly_budget < daily_budget:
        raise _bad("monthly_budget", "A month's budget is not below a day's.")
    with scope.transaction(reason="model budget changed"):
        if not Client.objects.filter(id=client_id, retired_at=None).exists():
            raise NotFound("There is no such client.")
        ClientBudget.objects.update_or_create(
            client_id=client_id,
            defaults={
                "daily_budget": daily_budget,
                "monthly_budget": monthly_budget,
                "updated_at": timezone.now(),
            },
        )


def _values(client_id: UUID, bot_id: UUID | None, moment: datetime) -> dict[str, Any]:
    return {"client": client_id, "bot": bot_id, "day": day_of(moment), "month": month_of(moment)}


def _raise_refusal(
    estimate: Decimal | None,
    *,
    is_limited: bool,
    place: int | None,
    budget: Decimal | None,
    used: Decimal | None,
    now: datetime,
) -> NoReturn:
    if estimate is None and is_limited:
        raise PriceUnknown(
            "There is a budget, and the price of this model is not known: enter it in the provider's price table."
        )
    whose, is_day = _WHOSE[place or 1]
    anew = day_of(now) + timedelta(days=1) if is_day else (month_of(now) + timedelta(days=32)).replace(day=1)
    raise BudgetSpent(
        f"This call may cost {_dollars(estimate)}, and of {whose}, {_dollars(budget)}, {_dollars(used)} are spent or set "
        f"aside; it begins anew on {anew.isoformat()} at 00:00 UTC."
    )


def _dollars(amount: Decimal | None) -> str:
    return f"{(amount or Decimal(0)).quantize(Decimal('0.0001')):f} USD"


def _bad(field: str, sentence: str) -> InvalidInput:
    return InvalidInput(sentence, fields={field: [sentence]})
