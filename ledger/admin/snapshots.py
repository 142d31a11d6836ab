"""The pages of snapshots and of the equity buckets that sum them up."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.decorators import display

from clients.admin_base import badge
from ledger.admin.lists import BotChooser, ClientChooser, DaysOfBot, LedgerFacts, of_bot
from ledger.admin.shown import amount, bot_link, client_link, exact, instant, json_document, moment, ratio
from ledger.models import BotStateSnapshot, EquityBucket
from ledger.rules.words import BucketSpan


@admin.register(BotStateSnapshot)
class BotStateSnapshotAdmin(LedgerFacts):
    at = "taken_at"
    ordering_of_bot = ("-taken_at", "-id")
    list_display = (
        moment("taken_at", "taken"),
        bot_link,
        amount("total_value", "equity"),
        amount("balance"),
        amount("realized_pnl", "realised", gain=True),
        amount("unrealized_pnl", "unrealised", gain=True),
        "trade_count",
        ratio("win_rate"),
        amount("fees"),
        "open_positions",
    )
    list_filter = (("bot", BotChooser), ("client", ClientChooser), ("taken_at", DaysOfBot))
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("id", instant("taken_at")),
                    (client_link, bot_link),
                    (exact("total_value", "equity"), exact("balance")),
                    (exact("realized_pnl", "realised profit"), exact("unrealized_pnl", "unrealised profit")),
                    ("trade_count", "closed_trade_count"),
                    (ratio("win_rate"), exact("fees")),
                    ("open_positions", exact("benchmark_price", "price of its pair")),
                    ("source", "left_over"),
                )
            },
        ),
    )

    @display(description="what an import left over")
    def left_over(self, snapshot: BotStateSnapshot) -> SafeString | str:
        return json_document(snapshot.extra)


@admin.register(EquityBucket)
class EquityBucketAdmin(LedgerFacts):
    ordering_of_bot = ("-start_at", "-id")
    list_display = (
        moment("start_at", "begins"),
        bot_link,
        "stretch",
        amount("first_value", "first"),
        amount("last_value", "last"),
        amount("high"),
        amount("low"),
        ratio("max_drawdown", "deepest fall"),
        "snapshots",
    )
    list_filter = (("bot", BotChooser), of_bot("span", BucketSpan), ("start_at", DaysOfBot))
    fieldsets = (
        (
            None,
            {
                "fields": (
                    (bot_link, "span"),
                    (instant("start_at", "begins (UTC)"), "snapshots"),
                    (instant("first_at"), exact("first_value")),
                    (instant("last_at"), exact("last_value")),
                    (exact("high"), exact("low")),
                    ratio("max_drawdown", "deepest fall within it"),
                )
            },
        ),
    )

    @display(description="span")
    def stretch(self, bucket: EquityBucket) -> SafeString:
        return badge(bucket.span, "blue" if bucket.span == BucketSpan.DAY else "grey")
