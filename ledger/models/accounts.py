"""The balance of a bot: a row, not a number in somebody's memory."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from bots.models import Bot
from clients.models import one_of
from ledger.models.columns import money, words
from ledger.rules.words import Mode


class BotAccount(models.Model):
    """A bot's money. Whoever writes trades or positions of a bot locks this row first.

    ``cash_flow`` = balance_adjustment + realized_pnl_adjustment + sum of the trades' pnl - sum over open positions of
    (size + basis_fees). ``balance`` is the capital plus that; equity is the balance plus what the open positions bind and
    have gained. Without an allocated capital both are null.
    """

    bot = models.OneToOneField(Bot, on_delete=models.PROTECT, primary_key=True, related_name="ledger_account")
    client_id = models.UUIDField()
    mode = words(Mode)
    currency = models.CharField(max_length=20, help_text="In which all its money is counted: the pair's quote.")
    allocated_capital = money("What it started with; empty: not known, so no equity and no return.", null=True)
    capital_changed_at = models.DateTimeField(
        null=True, editable=False, help_text="Kept by a trigger. Boards do not compare equity across it."
    )
    cash_flow = money("What left and came back since then.", default=0)
    balance = models.GeneratedField(
        expression=F("allocated_capital") + F("cash_flow"),
        output_field=models.DecimalField(max_digits=38, decimal_places=18, null=True),
        db_persist=True,
    )
    realized_pnl_adjustment = money("Realised profit that an import found booked but in no trade.", default=0)
    balance_adjustment = money("Balance that an import found and no trade explains.", default=0)
    complete_since = models.DateTimeField(null=True, help_text="Since when every trade of it is known; empty: unknown.")
    opened_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "bot_accounts"
        constraints = [
            one_of("mode", Mode, "bot_accounts_mode_known"),
            models.CheckConstraint(
                condition=Q(allocated_capital=None) | Q(allocated_capital__gte=0),
                name="bot_accounts_capital_not_negative",
            ),
            models.UniqueConstraint(fields=["client_id", "bot", "currency"], name="bot_accounts_currency_key"),
        ]

    def __str__(self) -> str:
        return f"account of {self.bot_id} in {self.currency}"
