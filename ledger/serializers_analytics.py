"""What the analytics show. Everything is a JSON number here, as the pages that read it do arithmetic."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ledger.rules.words import Action, Cause, Mode


def number(help_text: str = "", *, null: bool = True) -> serializers.FloatField:
    return serializers.FloatField(help_text=help_text or None, allow_null=null)


class Looked(serializers.Serializer[Any]):
    timeRange = serializers.ChoiceField(choices=["24h", "7d", "30d", "all"])
    since = serializers.DateTimeField(
        allow_null=True, help_text="The full hour at which the range begins; null: all time."
    )
    mode = serializers.ChoiceField(choices=[str(mode) for mode in Mode], help_text="Paper and live are never added up.")
    currency = serializers.CharField(allow_null=True, help_text="Of every amount; null: no bot was found.")
    currencies = serializers.ListField(
        child=serializers.CharField(), help_text="In which the bots found count; ask for each with `currency`."
    )
    bots = serializers.IntegerField(help_text="Whose trades are in the figures.")


class PerformanceFigures(serializers.Serializer[Any]):
    totalPnL = number("Realised in the range, after fees; over all time with pnlAdjustment.", null=False)
    totalPnLPercent = number("Of the capital allocated to the bots; null: of one it is not known.")
    totalTrades = serializers.IntegerField(help_text="Executions.")
    closedTrades = serializers.IntegerField(help_text="Exits whose result is known.")
    winRate = number("Winners among the closed trades, in percent.")
    avgWin = number()
    avgLoss = number("A negative number.")
    profitFactor = number("What was won for each unit lost.")
    fees = number("As far as their worth in `currency` is known.", null=False)
    volume = number("Sum of price x quantity.", null=False)
    returnPercent = number("Change of the equity, realised or not, in percent.")
    sharpeRatio = number("Annualised; null with fewer than 10 returns.")
    maxDrawdown = number("Deepest fall of the equity from its running peak, 0 to 1.")
    equityBots = serializers.IntegerField(
        help_text="Bots whose equity is known in the range; the others are in no ratio."
    )
    equitySince = serializers.DateTimeField(
        allow_null=True,
        help_text="From when on the equity of all of them is known and comparable; null: never, or for all time.",
    )
    pnlAdjustment = number(
        "Profit that imports found booked but in no trade; part of totalPnL. 0 but for all time.", null=False
    )


class PerformanceShown(Looked, PerformanceFigures):
    pass


class BotPerformanceShown(PerformanceShown):
    botId = serializers.UUIDField()
    botName = serializers.CharField()


class ComparisonShown(serializers.Serializer[Any]):
    timeRange = serializers.CharField()
    bots = BotPerformanceShown(many=True)


class RiskFigures(serializers.Serializer[Any]):
    sharpe_ratio = number()
    sortino_ratio = number()
    max_drawdown = number("0 to 1.")
    volatility = number("Annualised sample deviation of the returns, a ratio.")
    average_return = number("Mean return of an interval, a ratio.")
    total_return = number("Over the range, a ratio.")
    returns = serializers.IntegerField(help_text="How many intervals the ratios are made of.")


class RiskShown(Looked):
    metrics = RiskFigures()
    interval = serializers.ChoiceField(choices=["hour", "day"], help_text="Of the returns.")
    intervals_per_year = serializers.IntegerField(help_text="With which they are annualised: 8760 or 365.")
    equity_bots = serializers.IntegerField(help_text="Bots whose equity is known in the range.")
    equity_since = serializers.DateTimeField(allow_null=True, help_text="From when on it is known and comparable.")


class ClosedTradeShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    bot_id = serializers.UUIDField()
    bot_name = serializers.CharField()
    position_id = serializers.UUIDField(allow_null=True)
    symbol = serializers.CharField()
    action = serializers.ChoiceField(choices=[str(word) for word in Action])
    side = serializers.CharField()
    entry_price = number()
    exit_price = number()
    size = number(null=False)
    quantity = number(null=False)
    leverage = number(null=False)
    pnl = number(null=False)
    fee = number("Its worth in `currency`.")
    cause = serializers.ChoiceField(choices=[str(word) for word in Cause])
    executed_at = serializers.DateTimeField()


class BestWorstShown(Looked):
    best_trades = ClosedTradeShown(many=True)
    worst_trades = ClosedTradeShown(many=True)


class TradedFigures(serializers.Serializer[Any]):
    total_pnl = number(null=False)
    total_trades = serializers.IntegerField()
    closed_trades = serializers.IntegerField()
    winning_trades = serializers.IntegerField()
    losing_trades = serializers.IntegerField()
    win_rate = number("In percent.")
    avg_win = number()
    avg_loss = number("A negative number.")
    gross_profit = number(null=False)
    gross_loss = number("A positive number.", null=False)
    profit_factor = number()
    expectancy = number("Mean result of a closed trade.")
    fees = number(null=False)
    volume = number(null=False)


class SymbolShown(TradedFigures):
    symbol = serializers.CharField()
    best_pnl = number("Of one trade.")
    worst_pnl = number("Of one trade.")


class BySymbolShown(Looked):
    symbols = SymbolShown(many=True)
    total_symbols = serializers.IntegerField()


class SummaryFigures(TradedFigures):
    total_bots = serializers.IntegerField()
    pnl_adjustment = number(
        "Profit that imports found booked but in no trade; part of total_pnl. 0 but for all time.", null=False
    )
    return_percent = number()
    sharpe_ratio = number()
    max_drawdown = number()


class SummaryShown(Looked):
    summary = SummaryFigures()
