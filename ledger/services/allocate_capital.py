"""Saying how much money a bot was given: without that it has no equity, no return and no rank."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from ground.errors import Forbidden, InvalidInput, NotFound
from ground.scope import Scope
from ground.sql import run

MOST = Decimal("1e20")  # what the column holds
# One statement that makes the account or locks it, so that it can meet no other writer half-way.
_ALLOCATE = """
    INSERT INTO bot_accounts AS a (bot_id, client_id, mode, currency, allocated_capital, cash_flow,
                                   realized_pnl_adjustment, balance_adjustment)
    SELECT b.id, b.client_id, CASE b.runtime_kind WHEN 'arena' THEN 'paper' ELSE 'live' END, split_part(b.pair, '/', 2),
           %(capital)s, 0, 0, 0
      FROM bots b WHERE b.id = %(bot)s AND b.retired_at IS NULL AND (%(tenant)s::uuid IS NULL OR b.client_id = %(tenant)s)
    ON CONFLICT (bot_id) DO UPDATE SET allocated_capital = excluded.allocated_capital, updated_at = now()
"""


def allocate_capital(*, scope: Scope, bot_id: UUID, capital: Decimal | None, reason: str = "") -> None:
    """Set what a bot started with, in its account's currency (the pair's quote where it has no account yet); None: it is
    not known. What it gained or lost since is not touched. Raises NotFound, Forbidden, InvalidInput.
    """
    if not scope.can_manage:
        raise Forbidden("This key may only read.")
    if capital is not None and not (capital.is_finite() and 0 <= capital < MOST):
        raise InvalidInput(
            "allocated_capital must be an amount from 0 to 1e20.", fields={"allocated_capital": ["0 to 1e20"]}
        )
    with scope.transaction(reason=reason or "capital allocated"):
        changed = run(_ALLOCATE, {"bot": bot_id, "capital": capital, "tenant": scope.client_id})
    if not changed:
        raise NotFound("There is no such bot.")
