"""What workers write: verdicts, the log of checks, transitions, uptime, heartbeats, circuits and rounds."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display

from bots.models import BotHealth
from clients.admin_base import NOTHING, FactsAdmin, ago, badge
from health.admin.badges import health_badge
from health.models import (
    BotCadence,
    BotHealthLog,
    CheckRequest,
    ExchangeCircuit,
    HealthRound,
    HealthState,
    HealthTransition,
    HeartbeatLog,
    TradeGap,
    UptimeDay,
)
from health.rules.words import CircuitState, PingKind, span

PING_COLORS = {PingKind.SUCCESS: "green", PingKind.START: "blue", PingKind.FAIL: "orange", PingKind.LOG: "grey"}
CIRCUIT_COLORS = {CircuitState.CLOSED: "green", CircuitState.OPEN: "red", CircuitState.HALF_OPEN: "yellow"}
CIRCUIT_WORDS = {CircuitState.CLOSED: "asked", CircuitState.OPEN: "not asked", CircuitState.HALF_OPEN: "being tried"}


@admin.register(BotHealth)
class BotHealthAdmin(FactsAdmin):
    list_display = ("bot", "verdict", "message", "since", "traded", "last_heartbeat", "checked")
    list_filter = ("status",)
    list_select_related = ("bot",)
    search_fields = ("bot__name", "message")
    ordering = ("-status_updated_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[BotHealth]:
        rows: QuerySet[BotHealth] = super().get_queryset(request)
        return rows.filter(bot__retired_at=None)

    @display(description="verdict", ordering="status")
    def verdict(self, health: BotHealth) -> SafeString:
        return health_badge(health.status)

    @display(description="since", ordering="status_updated_at")
    def since(self, health: BotHealth) -> SafeString | str:
        return ago(health.status_updated_at)

    @display(description="last trade", ordering="last_trade_at")
    def traded(self, health: BotHealth) -> SafeString | str:
        return ago(health.last_trade_at)

    @display(description="last heartbeat", ordering="last_heartbeat_at")
    def last_heartbeat(self, health: BotHealth) -> SafeString | str:
        return ago(health.last_heartbeat_at)

    @display(description="checked", ordering="checked_at")
    def checked(self, health: BotHealth) -> SafeString | str:
        return ago(health.checked_at)


@admin.register(BotHealthLog)
class BotHealthLogAdmin(FactsAdmin):
    list_display = ("when", "bot", "before", "after", "reason", "actor", "trade_count", "traded")
    list_display_links = ("when",)
    list_filter = ("new_status", "previous_status")
    list_select_related = ("bot",)
    search_fields = ("bot__name",)
    ordering = ("-checked_at", "-id")

    @display(description="when (UTC)", ordering="checked_at")
    def when(self, line: BotHealthLog) -> str:
        return f"{line.checked_at:%Y-%m-%d %H:%M:%S}"

    @display(description="before")
    def before(self, line: BotHealthLog) -> SafeString | str:
        return health_badge(line.previous_status) if line.previous_status else ""

    @display(description="after", ordering="new_status")
    def after(self, line: BotHealthLog) -> SafeString:
        return health_badge(line.new_status)

    @display(description="last trade")
    def traded(self, line: BotHealthLog) -> SafeString | str:
        return ago(line.last_trade_at)


@admin.register(CheckRequest)
class CheckRequestAdmin(FactsAdmin):
    list_display = ("bot", "requested_by", "asked", "done", "error")
    list_select_related = ("bot",)
    ordering = ("-requested_at",)

    @display(description="asked for", ordering="requested_at")
    def asked(self, row: CheckRequest) -> SafeString | str:
        return ago(row.requested_at)

    @display(description="finished", ordering="finished_at")
    def done(self, row: CheckRequest) -> SafeString | str:
        return ago(row.finished_at)


@admin.register(HealthTransition)
class HealthTransitionAdmin(FactsAdmin):
    list_display = ("when", "bot", "before", "after", "planned", "reason", "actor")
    list_display_links = ("when",)
    list_filter = ("to_status", "from_status", "is_planned")
    list_select_related = ("bot",)
    search_fields = ("bot__name",)
    search_help_text = "a bot's name"
    ordering = ("-at", "-id")

    @display(description="when (UTC)", ordering="at")
    def when(self, row: HealthTransition) -> str:
        return f"{row.at:%Y-%m-%d %H:%M:%S}"

    @display(description="before")
    def before(self, row: HealthTransition) -> SafeString | str:
        return health_badge(row.from_status) if row.from_status else NOTHING

    @display(description="after", ordering="to_status")
    def after(self, row: HealthTransition) -> SafeString:
        return health_badge(row.to_status)

    @display(description="on purpose", boolean=True)
    def planned(self, row: HealthTransition) -> bool:
        return row.is_planned


@admin.register(UptimeDay)
class UptimeDayAdmin(FactsAdmin):
    list_display = ("day", "bot", "up", "down", "not_known", "on_purpose")
    list_select_related = ("bot",)
    search_fields = ("bot__name",)
    search_help_text = "a bot's name"
    ordering = ("-day", "bot")

    @display(description="alive")
    def up(self, row: UptimeDay) -> str:
        return _length(row.healthy_s + row.stale_s)

    @display(description="stopped or refused")
    def down(self, row: UptimeDay) -> str:
        return _length(row.stopped_s + row.error_s)

    @display(description="could not be told")
    def not_known(self, row: UptimeDay) -> str:
        return _length(row.unknown_s)

    @display(description="stopped on purpose")
    def on_purpose(self, row: UptimeDay) -> str:
        return _length(row.planned_s)


@admin.register(HeartbeatLog)
class HeartbeatLogAdmin(FactsAdmin):
    list_display = ("when", "bot", "said", "run_id", "exit_code", "took", "actor")
    list_display_links = ("when",)
    list_filter = ("kind",)
    list_select_related = ("bot",)
    search_fields = ("bot__name", "run_id__exact")
    search_help_text = "a bot's name or the id of a run"
    ordering = ("-received_at", "-id")

    @display(description="when (UTC)", ordering="received_at")
    def when(self, row: HeartbeatLog) -> str:
        return f"{row.received_at:%Y-%m-%d %H:%M:%S}"

    @display(description="said", ordering="kind")
    def said(self, row: HeartbeatLog) -> SafeString:
        return badge(row.kind, PING_COLORS[PingKind(row.kind)])

    @display(description="took", ordering="duration_ms")
    def took(self, row: HeartbeatLog) -> str:
        return NOTHING if row.duration_ms is None else f"{row.duration_ms / 1000:.3f} s"


@admin.register(BotCadence)
class BotCadenceAdmin(FactsAdmin):
    list_display = ("bot", "rule", "trades", "longest", "note", "learned")
    list_filter = ("is_enough",)
    list_select_related = ("bot",)
    search_fields = ("bot__name",)
    ordering = ("-learned_at",)

    @display(description="which limits", ordering="is_enough")
    def rule(self, row: BotCadence) -> SafeString:
        return badge("learned", "green") if row.is_enough else badge("fixed", "grey", says=row.note)

    @display(description="longest gap of the week", ordering="longest_gap_s")
    def longest(self, row: BotCadence) -> str:
        return NOTHING if row.longest_gap_s is None else span(timedelta(seconds=row.longest_gap_s))

    @display(description="learned", ordering="learned_at")
    def learned(self, row: BotCadence) -> SafeString | str:
        return ago(row.learned_at)


@admin.register(ExchangeCircuit)
class ExchangeCircuitAdmin(FactsAdmin):
    list_display = (
        "exchange",
        "key",
        "position",
        "reason",
        "failures",
        "tried",
        "answered",
        "calls",
        "errors",
        "clock",
    )
    list_filter = ("state", "exchange")
    search_fields = ("exchange", "fingerprint__exact")
    ordering = ("exchange", "fingerprint")

    @display(description="key", ordering="fingerprint")
    def key(self, row: ExchangeCircuit) -> str:
        return row.fingerprint or "the exchange itself"

    @display(description="state", ordering="state")
    def position(self, row: ExchangeCircuit) -> SafeString:
        state = CircuitState(row.state)
        return badge(CIRCUIT_WORDS[state], CIRCUIT_COLORS[state], says=row.reason)

    @display(description="tried again", ordering="retry_at")
    def tried(self, row: ExchangeCircuit) -> SafeString | str:
        return NOTHING if row.state == CircuitState.CLOSED else ago(row.retry_at)

    @display(description="last answer", ordering="last_ok_at")
    def answered(self, row: ExchangeCircuit) -> SafeString | str:
        return ago(row.last_ok_at)

    @display(description="its clock")
    def clock(self, row: ExchangeCircuit) -> str:
        return NOTHING if row.clock_offset_ms is None else f"{row.clock_offset_ms:+d} ms"


@admin.register(HealthRound)
class HealthRoundAdmin(FactsAdmin):
    list_display = ("when", "exchange", "bots", "written", "took", "late_s")
    list_filter = ("exchange",)
    ordering = ("-finished_at",)

    @display(description="finished (UTC)", ordering="finished_at")
    def when(self, row: HealthRound) -> str:
        return f"{row.finished_at:%Y-%m-%d %H:%M:%S}"

    @display(description="took")
    def took(self, row: HealthRound) -> str:
        return f"{(row.finished_at - row.started_at).total_seconds():.1f} s"


@admin.register(HealthState)
class HealthStateAdmin(FactsAdmin):
    list_display = ("__str__", "ticked", "cycled", "last_cycle_s", "last_cycle_bots", "told", "dead_man_error")

    @display(description="last tick")
    def ticked(self, row: HealthState) -> SafeString | str:
        return ago(row.last_tick_at)

    @display(description="every bot was looked at")
    def cycled(self, row: HealthState) -> SafeString | str:
        return ago(row.last_cycle_at)

    @display(description="dead man's switch told")
    def told(self, row: HealthState) -> SafeString | str:
        return ago(row.dead_man_at)


@admin.register(TradeGap)
class TradeGapAdmin(FactsAdmin):
    list_display = ("bot", "from_at", "to_at", "state", "attempts", "found", "note")
    list_filter = (("closed_at", admin.EmptyFieldListFilter),)
    list_select_related = ("bot",)
    search_fields = ("bot__name",)
    ordering = ("-created_at",)

    @display(description="state", ordering="closed_at")
    def state(self, row: TradeGap) -> SafeString:
        return badge("closed", "green") if row.closed_at else badge("to be read", "blue")


def _length(seconds: int) -> str:
    return span(timedelta(seconds=seconds)) if seconds else NOTHING
