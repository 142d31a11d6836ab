"""Where a long book can be booked again from."""

from __future__ import annotations

from django.db import models

from bots.models import Bot
from ledger.models.columns import exact, money
from ledger.models.facts import Position


class PositionDay(models.Model):
    """A live position as it stood when a day of UTC began on which it traded, the day it was opened on aside.

    An execution that comes late has its book booked again from here, and not from where the position was opened, which
    for a bot that always holds something is its first day. Follows from the trades; unaudited.
    """

    id = models.BigAutoField(primary_key=True)
    position = models.ForeignKey(
        Position, on_delete=models.CASCADE, related_name="days", db_index=False, db_constraint=False
    )
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    client_id = models.UUIDField()
    day_at = models.DateTimeField(help_text="When the day began.")
    opened_quantity = money("Base currency, all that had been entered.")
    closed_quantity = money("Base currency, all that had been closed.")
    basis_quantity = money("Base currency held after the last entry.")
    basis_cost = exact("What that cost, before fees.")
    basis_entry_fees = exact("The fees of entering that.")
    realized_exact = exact("Realised until then, before rounding.")
    exit_notional = exact("Sum of exit price x quantity of what had been closed.")
    peak_size = money("The most margin it had ever bound.")

    class Meta:
        db_table = "position_days"
        constraints = [models.UniqueConstraint(fields=["position", "day_at"], name="position_days_key")]

    def __str__(self) -> str:
        return f"{self.position_id} on {self.day_at:%Y-%m-%d}"
