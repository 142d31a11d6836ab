"""What the API of the ledger accepts and shows: facts and accounts. Amounts are texts that hold exact decimals."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from bots.serializers import BotShown, StatsShown
from clients.serializers import StrictSerializer
from exchanges.types import MarketType, Side
from ledger.rules.words import Action, Cause, Mode, PositionStatus, TradeType


def amount(help_text: str = "", *, null: bool = False) -> serializers.CharField:
    return serializers.CharField(help_text=help_text or None, allow_null=null)


def word(kind: Any, **options: Any) -> serializers.ChoiceField:
    return serializers.ChoiceField(choices=[str(one) for one in kind], **options)


class FactsPagination(serializers.Serializer[Any]):
    total = serializers.IntegerField(
        allow_null=True,
        help_text="All that match, counted exactly; null where that takes counting and no offset asks for it.",
    )
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()
    hasMore = serializers.BooleanField()


class OldId(serializers.Serializer[Any]):
    source = serializers.CharField(allow_null=True, help_text="The old system that an import took this row from.")
    source_id = serializers.CharField(allow_null=True, help_text="Its id there.")
    note = serializers.CharField(allow_null=True, help_text="What could not be told, in a sentence.")


class LedgerTradeShown(OldId):
    id = serializers.UUIDField()
    client_id = serializers.UUIDField()
    bot_id = serializers.UUIDField()
    position_id = serializers.UUIDField(allow_null=True)
    decision_id = serializers.UUIDField(allow_null=True)
    symbol = serializers.CharField(help_text="As the request wrote it where it named one, else BASE/QUOTE.")
    trade_type = word(TradeType, help_text="Whether it opened or grew a position, or closed some of it.")
    action = word(Action, help_text="Direction of the position it touched: a spot sell is an exit of a LONG.")
    side = word(Side)
    entry_price = amount("Average price at which what it touched was entered.", null=True)
    exit_price = amount("Price at which it closed; null on entries.", null=True)
    price = amount("Of this execution, quote per base.")
    quantity = amount("Base currency.")
    closed_quantity = amount("Of it, what closed something.")
    size = amount("Margin in `currency` that it bound or freed.")
    leverage = serializers.FloatField()
    pnl = amount("Realised by it after fees; null on entries and where the cost is not known.", null=True)
    currency = serializers.CharField(help_text="Of size, pnl and fee_quote.")
    fee = amount("Positive was paid; null: not told.", null=True)
    fee_currency = serializers.CharField(allow_null=True)
    fee_quote = amount("The fee's worth in `currency`; null: cannot be told.", null=True)
    cause = word(Cause)
    mode = word(Mode)
    market_type = word(MarketType)
    connector_id = serializers.UUIDField(allow_null=True)
    exchange = serializers.CharField(allow_null=True)
    exchange_trade_id = serializers.CharField(allow_null=True)
    exchange_order_id = serializers.CharField(allow_null=True)
    executed_at = serializers.DateTimeField()
    recorded_at = serializers.DateTimeField()


class TradeFiltersShown(serializers.Serializer[Any]):
    symbol = serializers.CharField(allow_null=True)
    action = serializers.CharField(allow_null=True)
    startDate = serializers.CharField(allow_null=True)
    endDate = serializers.CharField(allow_null=True)


class LedgerTradesShown(serializers.Serializer[Any]):
    trades = LedgerTradeShown(many=True)
    pagination = FactsPagination()
    next = serializers.CharField(allow_null=True)
    filters = TradeFiltersShown()


class PositionShown(OldId):
    id = serializers.UUIDField()
    client_id = serializers.UUIDField()
    bot_id = serializers.UUIDField()
    symbol = serializers.CharField()
    position_type = word(Action)
    status = word(PositionStatus)
    entry_price = amount("Average price of what is held; of a closed one, of what it held last.")
    exit_price = amount("Average price of what was closed.", null=True)
    size = amount("Margin in `currency`: bound now, or at most while it was open.")
    leverage = serializers.FloatField()
    stop_loss = amount(null=True)
    take_profit = amount(null=True)
    liquidation_price = amount(null=True)
    unrealized_pnl = amount("At mark_price, before the fees of closing; null: no mark.", null=True)
    realized_pnl = amount("Of what was closed, after fees.")
    currency = serializers.CharField()
    quantity = amount("Base currency held now.")
    opened_quantity = amount()
    closed_quantity = amount()
    entry_fees = amount("Of what is held now.")
    peak_size = amount("The most margin it ever bound.")
    mark_price = amount(null=True)
    marked_at = serializers.DateTimeField(allow_null=True)
    mode = word(Mode)
    market_type = word(MarketType)
    connector_id = serializers.UUIDField(allow_null=True)
    close_cause = word(Cause, allow_null=True)
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)


class PositionFiltersShown(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["all", "open", "closed"])


class PositionsShown(serializers.Serializer[Any]):
    positions = PositionShown(many=True)
    pagination = FactsPagination()
    next = serializers.CharField(allow_null=True)
    filters = PositionFiltersShown()


class DecisionShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    client_id = serializers.UUIDField()
    bot_id = serializers.UUIDField()
    prompt_sent = serializers.CharField(required=False, help_text="Only with include=prompt, or of a single decision.")
    decisions_json = serializers.JSONField(help_text="What was decided, a list.")
    notes_json = serializers.JSONField(help_text="What came of it, in words, a list.")
    execution_success = serializers.BooleanField(
        help_text="Something was executed or rightly held, and nothing refused."
    )
    timestamp = serializers.DateTimeField()
    source = serializers.CharField(allow_null=True)
    source_id = serializers.CharField(allow_null=True)


class OneDecisionShown(DecisionShown):
    prompt_sent = serializers.CharField(help_text="The whole prompt with its context.")
    trades = LedgerTradeShown(many=True, help_text="What was executed for it.")


class DecisionFiltersShown(serializers.Serializer[Any]):
    success_only = serializers.BooleanField()


class DecisionsShown(serializers.Serializer[Any]):
    decisions = DecisionShown(many=True)
    pagination = FactsPagination()
    next = serializers.CharField(allow_null=True)
    filters = DecisionFiltersShown()


class StatisticsShown(serializers.Serializer[Any]):
    totalTrades = serializers.IntegerField(help_text="Executions.")
    totalPositions = serializers.IntegerField()
    openPositions = serializers.IntegerField()
    closedPositions = serializers.IntegerField()
    totalDecisions = serializers.IntegerField()
    successfulDecisions = serializers.IntegerField()


class AccountShown(serializers.Serializer[Any]):
    currency = serializers.CharField(help_text="In which all the bot's money is counted: its pair's quote.")
    mode = word(Mode)
    allocated_capital = amount("What it started with; null: not known, so no balance, equity and return.", null=True)
    balance = amount("Capital and what flowed since; what positions bind is not in it.", null=True)
    in_positions = amount("Margin that the open positions bind.")
    unrealized_pnl = amount("Of the open positions; null: one of them has no mark.", null=True)
    equity = amount("balance + in_positions + unrealized_pnl; null where one of them is.", null=True)
    realized_pnl = amount("Sum of the trades' pnl.")
    cash_flow = amount()
    realized_pnl_adjustment = amount("Profit that an import found booked but in no trade.")
    balance_adjustment = amount("Balance that an import found and no trade explains.")
    complete_since = serializers.DateTimeField(allow_null=True, help_text="Since when every trade of it is known.")
    opened_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class LedgerBotShown(BotShown):
    statistics = StatisticsShown()
    money = AccountShown(
        allow_null=True, help_text="null while it has no account: it never traded and was given no capital."
    )


class CapitalInput(StrictSerializer):
    allocated_capital = serializers.DecimalField(
        max_digits=38,
        decimal_places=18,
        min_value=0,
        allow_null=True,
        help_text="In the account's currency, a text or a number; null: not known.",
    )


class FeeOfCurrency(serializers.Serializer[Any]):
    currency = serializers.CharField()
    amount = serializers.CharField(help_text="Positive was paid.")
    unpriced = serializers.CharField(help_text="Of that, what has no worth in the account's currency and is in no pnl.")


class BotFiguresShown(StatsShown):
    bot_id = serializers.UUIDField()
    pnl = amount("Realised by all its trades, after fees; null: nothing was closed.", null=True)
    currency = serializers.CharField(allow_null=True, help_text="Of every amount; null: no account yet.")
    mode = word(Mode, allow_null=True)
    trades = serializers.IntegerField(help_text="Executions.")
    closed_trades = serializers.IntegerField(help_text="Exits whose result is known.")
    wins = serializers.IntegerField()
    losses = serializers.IntegerField()
    win_rate = serializers.FloatField(allow_null=True, help_text="wins of closed_trades, 0 to 1.")
    volume = amount("Sum of price x quantity.")
    gross_profit = amount("Sum of the winners.")
    gross_loss = amount("Sum of the losers, a positive number.")
    profit_factor = serializers.FloatField(allow_null=True, help_text="gross_profit for each unit of gross_loss.")
    expectancy = amount("Mean result of a closed trade.", null=True)
    fees = amount("As far as their worth in `currency` is known.")
    fees_by_currency = FeeOfCurrency(many=True)
    realized_pnl_adjustment = amount("Profit that an import found booked but in no trade; not in pnl.", null=True)
    unrealized_pnl = amount(null=True)
    balance = amount(null=True)
    equity = amount(null=True)
    positions_open = serializers.IntegerField()
    positions_closed = serializers.IntegerField()
    first_trade_at = serializers.DateTimeField(allow_null=True)
    last_trade_at = serializers.DateTimeField(allow_null=True)
    updated_at = serializers.DateTimeField(allow_null=True)


class ExecutionShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    exchange_trade_id = serializers.CharField(allow_null=True)
    order_id = serializers.CharField(allow_null=True, help_text="The exchange's.")
    client_order_id = serializers.CharField(allow_null=True, help_text="Always null: not kept.")
    symbol = serializers.CharField()
    side = word(Side)
    price = amount()
    quantity = amount("Base currency.")
    notional = amount("price x quantity.")
    fee = amount(null=True)
    fee_currency = serializers.CharField(allow_null=True)
    executed_at = serializers.DateTimeField()
    trade_type = word(TradeType)
    action = word(Action)
    pnl = amount(null=True)
    currency = serializers.CharField(help_text="Of pnl.")
    cause = word(Cause)


class ExecutionsShown(serializers.Serializer[Any]):
    bot_id = serializers.UUIDField()
    trades = ExecutionShown(many=True)
    next = serializers.CharField(allow_null=True)
    checked_at = serializers.DateTimeField(allow_null=True, help_text="When the exchange was last asked.")
