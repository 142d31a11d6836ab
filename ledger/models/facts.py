"""What bots did: trades, positions, decisions, and their state every ten minutes."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from bots.models import Bot
from clients.models import Client, Connector, one_of
from exchanges.types import MarketType, Side
from ground.fields import ExactJSONField
from ledger.models.columns import exact, money, old_id, ratio, words
from ledger.rules.words import Action, Cause, Mode, PositionStatus, TradeType


class Position(models.Model):
    """What a bot holds or held of one symbol in one direction, at average cost.

    Live bots have one open position per market and symbol, in which executions are netted; on paper each position stands
    by itself. The basis columns are what its average cost is computed from, with every digit.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    bot = models.ForeignKey(
        Bot, on_delete=models.PROTECT, related_name="positions", db_index=False, db_constraint=False
    )
    connector = models.ForeignKey(
        Connector, on_delete=models.PROTECT, null=True, related_name="+", db_index=False, db_constraint=False
    )
    mode = words(Mode)
    market_type = words(MarketType)
    symbol = models.CharField(max_length=41, help_text="BASE/QUOTE")
    currency = models.CharField(max_length=20, help_text="Of every amount in this row.")
    position_type = words(Action)
    status = words(PositionStatus, default=PositionStatus.OPEN)
    entry_price = money("Average price of what is held; of a closed one, of what it held last.")
    exit_price = money("Average price of what was closed.", null=True)
    size = money("Margin in the account's currency: bound now, or at most while it was open.")
    leverage = models.DecimalField(max_digits=10, decimal_places=4, default=1)
    opened_quantity = money("Base currency, all that was entered.")
    closed_quantity = money("Base currency, all that was closed.", default=0)
    quantity = money("Base currency held now.")
    basis_quantity = money("Base currency held after the last entry.")
    basis_cost = exact("What that cost, before fees.")
    basis_entry_fees = exact("The fees of entering that; what is closed takes its share out.", default=0)
    basis_fees = money("Entry fees of what is held now, as they stand in cash_flow.", default=0)
    realized_pnl = money("Sum of the pnl of its exits.", default=0)
    realized_exact = exact("The same before rounding.", default=0)
    exit_notional = exact("Sum of exit price x quantity of what was closed.", default=0)
    peak_size = money("The most margin it ever bound.", default=0)
    mark_price = money("The price it was last valued at.", null=True)
    marked_at = models.DateTimeField(null=True)
    unrealized_pnl = money("At the mark, before the fees of closing; empty: no mark.", null=True)
    stop_loss = money(null=True)
    take_profit = money(null=True)
    liquidation_price = money(null=True)
    opened_at = models.DateTimeField()
    traded_at = models.DateTimeField(null=True, help_text="Of its last execution; empty: imported.")
    closed_at = models.DateTimeField(null=True)
    close_cause = words(Cause, blank=True, default="")
    source, source_id = old_id().values()
    source_rank = models.BigIntegerField(null=True, help_text="Its place in the old system's list.")
    note = models.CharField(max_length=300, blank=True, default="")
    extra = ExactJSONField(null=True, help_text="What an import found and no column holds in that form.")
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "positions"
        ordering = ["-opened_at", "-id"]
        constraints = [
            one_of("mode", Mode, "positions_mode_known"),
            one_of("market_type", MarketType, "positions_market_type_known"),
            one_of("position_type", Action, "positions_type_known"),
            one_of("status", PositionStatus, "positions_status_known"),
            models.CheckConstraint(
                condition=Q(close_cause="") | Q(close_cause__in=[str(c) for c in Cause]),
                name="positions_close_cause_known",
            ),
            models.CheckConstraint(
                condition=Q(status="open", closed_at=None, quantity__gt=0)
                | Q(status="closed", closed_at__isnull=False, quantity=0),
                name="positions_closed_holds_nothing",
            ),
            models.CheckConstraint(
                condition=Q(quantity=F("opened_quantity") - F("closed_quantity")), name="positions_quantity_adds_up"
            ),
            models.CheckConstraint(
                condition=Q(closed_quantity__gte=0, opened_quantity__gt=0, basis_quantity__gte=0, size__gte=0),
                name="positions_quantities_not_negative",
            ),
            models.CheckConstraint(condition=Q(entry_price__gt=0, leverage__gt=0), name="positions_price_positive"),
            models.UniqueConstraint(fields=["bot", "id"], name="positions_bot_id_key"),
            models.UniqueConstraint(
                fields=["bot", "market_type", "symbol"],
                condition=Q(mode="live", status="open"),
                name="positions_one_open_live",
            ),
            models.UniqueConstraint(
                fields=["bot", "source", "source_id"], condition=~Q(source_id=""), name="positions_source_id_key"
            ),
        ]
        indexes = [
            models.Index(fields=["bot", "-opened_at", "-id"], name="positions_of_bot"),
            models.Index(fields=["bot", "-opened_at", "-id"], condition=Q(status="open"), name="positions_open"),
            models.Index(fields=["bot", "-closed_at"], condition=Q(status="closed"), name="positions_closed"),
        ]

    def __str__(self) -> str:
        return f"{self.position_type} {self.symbol}"


class BotDecision(models.Model):
    """One cycle of a bot that decides: what it was shown, what it answered, what came of it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    bot = models.ForeignKey(
        Bot, on_delete=models.PROTECT, related_name="decisions", db_index=False, db_constraint=False
    )
    decided_at = models.DateTimeField()
    prompt_sent = models.TextField(help_text="The whole prompt with its context. Left out of lists.")
    decisions_json = ExactJSONField(default=list, help_text="What was decided, a list.")
    notes_json = ExactJSONField(default=list, help_text="What came of it, in words.")
    execution_success = models.BooleanField(help_text="Something was executed or rightly held, and nothing refused.")
    source, source_id = old_id().values()
    source_rank = models.BigIntegerField(null=True, help_text="Its place in the old system's list.")
    extra = ExactJSONField(null=True, help_text="What an import found and no column holds in that form.")
    recorded_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "bot_decisions"
        ordering = ["-decided_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["bot", "id"], name="bot_decisions_bot_id_key"),
            models.UniqueConstraint(
                fields=["bot", "source", "source_id"], condition=~Q(source_id=""), name="bot_decisions_source_id_key"
            ),
        ]
        indexes = [
            models.Index(fields=["bot", "-decided_at", "-id"], name="bot_decisions_of_bot"),
            models.Index(
                fields=["bot", "-decided_at", "-id"], condition=Q(execution_success=True), name="bot_decisions_executed"
            ),
        ]

    def __str__(self) -> str:
        return f"decision at {self.decided_at}"


class Trade(models.Model):
    """One execution. ``docs/ledger.md`` says how to read it.

    A buy enters LONG or exits SHORT, a sell exits LONG or enters SHORT. ``pnl`` stands on exits alone: the profit of what
    was closed, after its share of the entry's and the exit's fees. So realised profit is the sum of ``pnl``.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False)
    bot = models.ForeignKey(
        Bot, on_delete=models.PROTECT, null=True, related_name="trades", db_index=False, db_constraint=False
    )
    connector = models.ForeignKey(
        Connector, on_delete=models.PROTECT, null=True, related_name="+", db_index=False, db_constraint=False
    )
    position = models.ForeignKey(
        Position, on_delete=models.PROTECT, null=True, related_name="trades", db_index=False, db_constraint=False
    )
    decision = models.ForeignKey(
        BotDecision, on_delete=models.PROTECT, null=True, related_name="trades", db_index=False, db_constraint=False
    )
    mode = words(Mode)
    exchange = models.CharField(max_length=64, blank=True, default="", help_text="Whose execution; empty on paper.")
    market_type = words(MarketType)
    symbol = models.CharField(max_length=41, help_text="BASE/QUOTE")
    currency = models.CharField(max_length=20, help_text="Of size, pnl and fee_quote: the account's.")
    side = words(Side)
    trade_type = words(TradeType)
    action = words(Action)
    price = money("Quote per base.")
    quantity = money("Base currency.")
    closed_quantity = money("Base currency of it that closed what was held.", default=0)
    size = money("Margin in the account's currency that it bound or freed.")
    leverage = models.DecimalField(max_digits=10, decimal_places=4, default=1)
    entry_price = money("Average price at which what it touched was entered.", null=True)
    exit_price = money("Price at which it closed; empty on entries.", null=True)
    pnl = money("Realised by it, after fees; empty on entries and where the cost is not known.", null=True)
    fee = money("Positive was paid, negative was received; empty: not told.", null=True)
    fee_currency = models.CharField(max_length=20, blank=True, default="")
    fee_quote = money("The fee's worth in the account's currency; empty: cannot be told.", null=True)
    cause = words(Cause)
    executed_at = models.DateTimeField()
    recorded_at = models.DateTimeField(db_default=Now())
    exchange_trade_id = models.CharField(max_length=100, blank=True, default="")
    exchange_order_id = models.CharField(max_length=100, blank=True, default="")
    source, source_id = old_id().values()
    source_rank = models.BigIntegerField(null=True, help_text="Its place in the old system's list.")
    note = models.CharField(max_length=300, blank=True, default="")
    extra = ExactJSONField(null=True, help_text="What an import found and no column holds in that form.")

    class Meta:
        db_table = "trades"
        ordering = ["-executed_at", "-id"]
        constraints = [
            one_of("mode", Mode, "trades_mode_known"),
            one_of("market_type", MarketType, "trades_market_type_known"),
            one_of("side", Side, "trades_side_known"),
            one_of("trade_type", TradeType, "trades_type_known"),
            one_of("action", Action, "trades_action_known"),
            one_of("cause", Cause, "trades_cause_known"),
            models.CheckConstraint(
                condition=Q(side="buy", trade_type="entry", action="LONG")
                | Q(side="sell", trade_type="exit", action="LONG")
                | Q(side="sell", trade_type="entry", action="SHORT")
                | Q(side="buy", trade_type="exit", action="SHORT"),
                name="trades_side_fits_action",
            ),
            models.CheckConstraint(
                condition=Q(price__gt=0, quantity__gt=0, size__gte=0, leverage__gt=0, closed_quantity__gte=0)
                & Q(closed_quantity__lte=F("quantity")),
                name="trades_amounts_in_order",
            ),
            models.CheckConstraint(
                condition=Q(trade_type="exit") | Q(trade_type="entry", closed_quantity=0, pnl=None, exit_price=None),
                name="trades_entries_realize_nothing",
            ),
            models.CheckConstraint(
                condition=Q(bot__isnull=False) | Q(position=None, decision=None, pnl=None),
                name="trades_of_no_bot_move_nothing",
            ),
            models.UniqueConstraint(
                fields=["connector", "market_type", "symbol", "exchange_trade_id"],
                condition=~Q(exchange_trade_id="") & Q(connector__isnull=False),
                name="trades_exchange_trade_id_key",
            ),
            models.UniqueConstraint(
                fields=["bot", "source", "source_id"], condition=~Q(source_id=""), name="trades_source_id_key"
            ),
        ]
        indexes = [
            models.Index(fields=["bot", "-executed_at", "-id"], name="trades_of_bot"),
            models.Index(fields=["bot", "-executed_at", "-id"], condition=Q(action="SHORT"), name="trades_short"),
            models.Index(fields=["position"], condition=Q(position__isnull=False), name="trades_of_position"),
            models.Index(fields=["bot", "decision"], condition=Q(decision__isnull=False), name="trades_of_decision"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity.normalize():f} {self.symbol} at {self.price.normalize():f}"


class BotStateSnapshot(models.Model):
    """A bot's state at one moment: every ten minutes for a week, then every hour for a month, then every day for ever."""

    id = models.BigAutoField(primary_key=True)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    bot = models.ForeignKey(
        Bot, on_delete=models.PROTECT, related_name="snapshots", db_index=False, db_constraint=False
    )
    taken_at = models.DateTimeField()
    balance = money("Empty: no capital is allocated.", null=True)
    realized_pnl = money("All that was realised until then.", default=0)
    unrealized_pnl = money("Of the open positions; empty: one of them has no mark.", null=True)
    total_value = money("Equity; empty: cannot be told.", null=True)
    trade_count = models.BigIntegerField(default=0)
    closed_trade_count = models.BigIntegerField(default=0)
    win_rate = ratio("Of the closed trades with a known result.")
    fees = money("All fees until then, as far as their worth is known.", default=0)
    open_positions = models.PositiveIntegerField(default=0)
    benchmark_price = money("Of the bot's pair then, for buying and holding; empty: not known.", null=True)
    source = models.CharField(max_length=50, blank=True, default="", help_text="The old system of this row.")
    extra = ExactJSONField(null=True, help_text="What an import found and no column holds in that form.")

    class Meta:
        db_table = "bot_state_snapshots"
        ordering = ["-taken_at"]
        constraints = [models.UniqueConstraint(fields=["bot", "taken_at"], name="bot_state_snapshots_key")]

    def __str__(self) -> str:
        return f"{self.bot_id} at {self.taken_at}"
