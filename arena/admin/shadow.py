"""Replays in shadow: what each asked, how far it is, and what would have come of it beside what did."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from arena.admin.participant_panel import answer_shown
from arena.admin.shown import SHADOW_COLORS, ArenaFacts, cents, dollars, participant_link, percent_gain, uuid_of
from arena.models import LlmCall, ShadowRun, ShadowTurn
from arena.rules.statuses import CallPurpose, ShadowKind, ShadowStatus
from arena.rules.words import ReplyAction
from arena.services.want_shadow import OPEN, continue_shadow, stop_shadow
from clients.admin_base import NOTHING, ago, badge, confirmation
from ledger.admin.bot_section import HEIGHT, WIDTH
from ledger.admin.lists import BotChooser
from ledger.admin.shown import figure, instant, linked, percent, plain

ROWS = 100  # turns on a page of a run
_RUN = (instant("created_at"), instant("finished_at"))
_ASKED = ShadowTurn.objects.filter(run=OuterRef("pk"), finished_at__isnull=False).order_by().values("run")
RULE_NAMES = {"fee_rate": "fee", "stop_loss_ratio": "stop-loss", "take_profit_ratio": "take-profit"}


def shown_count(value: Any) -> str:
    return NOTHING if value is None else f"{value:,}"


def _gain(value: Decimal | None) -> SafeString | str:
    return NOTHING if value is None else figure(round(value, 2), gain=True)


FIGURES = (
    ("equity at the beginning", "start_equity", cents), ("equity at the end", "equity", cents),
    ("profit", "profit", _gain), ("return", "return_ratio", percent_gain),
    ("deepest fall", "max_drawdown_ratio", percent), ("fills", "trades", shown_count),
    ("positions closed", "closed", shown_count), ("fees", "fees", cents),
)  # fmt: skip


@admin.register(ShadowRun)
class ShadowRunAdmin(ArenaFacts):
    list_display = ("when", participant_link, "kind", "state", "progress", "agreement", "gain", "real_gain", "against",
                    "its_turns", "requested_by", "why")  # fmt: skip
    list_display_links = ("when",)
    list_filter = ("status", "kind", ("bot", BotChooser))
    list_select_related = ("bot", "provider", "prompt")
    ordering = ("-created_at", "-id")
    actions_row = ("stop_it",)
    actions_detail = ("stop_it", "go_on")
    change_form_outer_before_template = "admin/bridge/arena_shadow_run.html"
    fieldsets = (
        (None, {"fields": ((participant_link, "kind"), ("against", "its_turns"), ("requested_by", "why"), _RUN)}),
    )
    readonly_fields = (participant_link, "against", "its_turns", "why", *_RUN)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ShadowRun]:
        rows: QuerySet[ShadowRun] = super().get_queryset(request)
        return rows.annotate(asked_n=Subquery(_ASKED.annotate(n=Count("pk")).values("n")))

    def has_handle_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("arena.change_shadowrun"))

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        """Only what does something now."""
        shown: list[UnfoldAction] = super().get_actions_detail(request, object_id)
        row = ShadowRun.objects.filter(pk=uuid_of(str(object_id))).first()
        if row is None:
            return shown
        hidden = {"stop_it": row.status not in OPEN, "go_on": row.status != ShadowStatus.STOPPED}
        gone = {f"arena_shadowrun_{name}" for name, is_hidden in hidden.items() if is_hidden}
        return [item for item in shown if item.action_name not in gone]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        panel = {"shadow": panel_of(row, page=_page(request))} if row else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **panel})

    @action(
        description="Stop", icon="stop", permissions=["handle"], variant=ActionVariant.DANGER,
        dialog=confirmation("Stop this replay?", "No further turn is asked; what was answered stays, and it can go on later.",
                            "Stop"),
    )  # fmt: skip
    def stop_it(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            stop_shadow(scope=self.scope(request), run_id=uuid_of(object_id), now=timezone.now())
            return "The replay is stopped."

        return self.act(request, call)

    @action(
        description="Go on", icon="play_arrow", permissions=["handle"], variant=ActionVariant.SUCCESS,
        dialog=confirmation("Let this replay go on?", "The turns that were not asked yet are asked now.", "Go on"),
    )  # fmt: skip
    def go_on(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            continue_shadow(scope=self.scope(request), run_id=uuid_of(object_id))
            return "The replay goes on."

        return self.act(request, call)

    @display(description="asked for")
    def when(self, row: ShadowRun) -> SafeString | str:
        return ago(row.created_at)

    @display(description="status")
    def state(self, row: ShadowRun) -> SafeString:
        return state_badge(row)

    @display(description="replayed")
    def progress(self, row: Any) -> str:
        return f"{row.asked_n or 0:,}"

    @display(description="agrees")
    def agreement(self, row: ShadowRun) -> str:
        return percent(row.result.get("agreement_ratio"))

    @display(description="simulated")
    def gain(self, row: ShadowRun) -> SafeString | str:
        return percent_gain(numbers(row.result.get("simulated")).get("return_ratio"))

    @display(description="really")
    def real_gain(self, row: ShadowRun) -> SafeString | str:
        return percent_gain(numbers(row.result.get("real")).get("return_ratio"))

    @display(description="otherwise")
    def against(self, row: ShadowRun) -> str:
        return against(row)

    @display(description="turns")
    def its_turns(self, row: ShadowRun) -> str:
        return f"{row.first_turn:,} to {row.last_turn:,}"

    @display(description="why")
    def why(self, row: ShadowRun) -> str:
        return row.message or NOTHING


def state_badge(row: ShadowRun) -> SafeString:
    return badge(row.status, SHADOW_COLORS[ShadowStatus(row.status)], says=row.message)


def against(row: ShadowRun) -> str:
    """What is otherwise than it was."""
    if row.kind == ShadowKind.RULES:
        return ", ".join(_rule(name, value) for name, value in row.rules.items()) or "the same rules"
    told = [row.provider.name if row.provider else "", row.model or (row.provider.model if row.provider else "")]
    told.append(f"prompt {row.prompt.number}" if row.prompt else "a prompt of its own" if row.prompt_text else "")
    return ", ".join(one for one in told if one) or NOTHING


def numbers(figures: dict[str, Any] | None) -> dict[str, Any]:
    """Of a stored result: a number without a fraction comes back from JSON as an int."""
    whole = ("trades", "closed")
    return {
        name: value if value is None or name in whole else Decimal(str(value))
        for name, value in (figures or {}).items()
    }


def panel_of(row: ShadowRun, *, page: int) -> dict[str, Any]:
    """The context of ``admin/bridge/arena_shadow_run.html``: a handful of queries."""
    rows = ShadowTurn.objects.filter(run=row)
    is_model = row.kind == ShadowKind.MODEL
    counted = rows.aggregate(
        asked=Count("pk", filter=Q(finished_at__isnull=False)), agree=Count("pk", filter=Q(agrees=True)),
        readable=Count("pk", filter=Q(agrees__isnull=False)),
    )  # fmt: skip
    result = row.result or {}
    mine, real = numbers(result.get("simulated")), numbers(result.get("real"))
    cost = result.get("cost") or {}
    shown = rows.select_related("turn__decision").defer("turn__decision__prompt_sent").order_by("turn__number")
    points = rows.filter(equity__isnull=False, real_equity__isnull=False).order_by("turn__number")
    address = reverse("admin:arena_shadowrun_change", args=[row.pk])
    return {
        "row": row, "state": state_badge(row), "against": against(row), "is_model": is_model, **counted,
        "is_open": row.status in OPEN, "goes_on": ago(row.next_at) if row.status in OPEN and row.next_at else "",
        "agreement": percent(result.get("agreement_ratio")) if result.get("agreement_ratio") is not None
        else percent(Decimal(counted["agree"]) / counted["readable"]) if counted["readable"] else NOTHING,
        "figures": [(name, show(mine.get(key)), show(real.get(key))) for name, key, show in FIGURES] if mine else [],
        "costs": _costs(cost.get("shadow") or _so_far(row), cost.get("real") or {}) if is_model else [],
        "curves": curves([(a, b) for a, b in points.values_list("equity", "real_equity") if a is not None and b is not None]),
        "turns": [_turn(one, is_model=is_model) for one in shown[(page - 1) * ROWS : page * ROWS]],
        "newer": f"{address}?p={page - 1}" if page > 1 else "",
        "older": f"{address}?p={page + 1}" if counted["asked"] > page * ROWS else "",
        "participant": reverse("admin:arena_participant_change", args=[row.bot_id]),
        "replay": reverse("admin:arena_participant_replay", args=[row.bot_id]),
    }  # fmt: skip


def curves(points: list[tuple[Decimal, Decimal]]) -> SafeString | str:
    """Both equities as lines, drawn here."""
    if len(points) < 2:
        return ""
    low, high = min(min(pair) for pair in points), max(max(pair) for pair in points)
    step, span = WIDTH / (len(points) - 1), float(high - low) or 1.0

    def line(place: int) -> str:
        return " ".join(
            f"{n * step:.1f},{HEIGHT - 5 - float(pair[place] - low) / span * (HEIGHT - 10):.1f}"
            for n, pair in enumerate(points)
        )

    stroke = 'fill="none" stroke="currentColor" stroke-width="2" vector-effect="non-scaling-stroke"'
    return format_html(
        '<svg class="bridge-curve" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="equity, simulated and '
        'real"><polyline class="bridge-real" points="{}" {}/><polyline class="bridge-shadow" points="{}" {}/></svg>'
        '<p class="bridge-quiet"><span class="bridge-shadow">━</span> simulated <span class="bridge-real">╍</span> real, '
        "turn by turn, between {} and {}</p>",
        WIDTH, HEIGHT, line(1), SafeString(stroke + ' stroke-dasharray="6 4"'), line(0), SafeString(stroke),
        plain(round(low, 2)), plain(round(high, 2)),
    )  # fmt: skip


def _turn(one: ShadowTurn, *, is_model: bool) -> dict[str, Any]:
    decision = one.turn.decision
    real = decision.decisions_json if decision and isinstance(decision.decisions_json, list) else []
    agrees = {True: badge("agrees", "green"), False: badge("differs", "orange")}
    unread = badge("being asked", "blue") if one.finished_at is None else badge("unreadable", "grey")
    return {
        "number": linked("arena_arenaturn", one.turn_id, f"{one.turn.number:,}"),
        "call": linked("arena_llmcall", one.call_id, "its answer") if one.call_id else "",
        "real": _answers(real),
        "mine": _answers(one.decisions_json),
        "agrees": (unread if one.agrees is None else agrees[one.agrees]) if is_model else "",
        "notes": [*one.notes_json, *one.simulated_json],
        "equity": cents(one.equity), "real_equity": cents(one.real_equity),
    }  # fmt: skip


def _answers(decisions: list[Any]) -> list[dict[str, Any]]:
    """What an answer asks for; all that it leaves as it is stands in one line."""
    known = [one for one in decisions if isinstance(one, dict)]
    holds = [one for one in known if one.get("action") == ReplyAction.HOLD]
    shown = [answer_shown(one) for one in known if one not in holds]
    if holds:
        symbols = ", ".join(str(one["symbol"]) for one in holds if one.get("symbol"))
        shown.append(answer_shown({**holds[0], "symbol": symbols}))
    return shown


def _costs(mine: dict[str, Any], real: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        ("cost", dollars(mine.get("usd")), dollars(real.get("usd"))),
        ("questions", shown_count(mine.get("calls")), shown_count(real.get("calls"))),
        ("tokens read", shown_count(mine.get("input_tokens")), shown_count(real.get("input_tokens"))),
        ("tokens written", shown_count(mine.get("output_tokens")), shown_count(real.get("output_tokens"))),
    ]


def _so_far(row: ShadowRun) -> dict[str, Any]:
    """While it is under way."""
    calls = LlmCall.objects.filter(
        pk__in=ShadowTurn.objects.filter(run=row).values("call"), purpose=CallPurpose.SHADOW
    ).values_list("cost", "estimated_cost", "input_tokens", "output_tokens")
    found = list(calls)
    return {
        "usd": sum((estimated if cost is None else cost for cost, estimated, _, _ in found), Decimal(0)),
        "calls": len(found), "input_tokens": sum(one[2] or 0 for one in found),
        "output_tokens": sum(one[3] or 0 for one in found),
    }  # fmt: skip


def _rule(name: str, value: Any) -> str:
    number = Decimal(str(value))
    if name == "slippage_bps":
        return f"slippage {plain(number)} bps"
    return f"{RULE_NAMES[name]} {'none' if not number and name != 'fee_rate' else percent_text(number)}"


def percent_text(ratio: Decimal) -> str:
    return f"{plain(ratio * 100)} %"


def _page(request: HttpRequest) -> int:
    given = request.GET.get("p", "")
    return max(int(given), 1) if given.isdecimal() and len(given) < 6 else 1
