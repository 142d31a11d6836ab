"""Hours of trades added up to days and months, so that a long range is few rows."""

from __future__ import annotations

from django.db import models

from bots.models import Bot
from clients.models import one_of
from ledger.models.columns import words
from ledger.models.figures import TradeSums
from ledger.rules.words import TradeSpan


class BotTradeSpan(TradeSums):
    """What a bot traded of one symbol in one day or month of UTC. Kept by the trigger on ``bot_trade_hours``; unaudited."""

    id = models.BigAutoField(primary_key=True)
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="+", db_index=False)
    client_id = models.UUIDField()
    span = words(TradeSpan)
    start_at = models.DateTimeField(help_text="When the day or month begins.")
    symbol = models.CharField(max_length=41)

    class Meta:
        db_table = "bot_trade_spans"
        constraints = [
            one_of("span", TradeSpan, "bot_trade_spans_span_known"),
            models.UniqueConstraint(fields=["bot", "span", "start_at", "symbol"], name="bot_trade_spans_key"),
        ]
        indexes = [models.Index(fields=["span", "start_at"], name="bot_trade_spans_recent")]

    def __str__(self) -> str:
        return f"{self.symbol} in the {self.span} of {self.start_at}"
