"""What a participant's own page shows: how it stands, its money, its newest decisions and turns, and what its model costs."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils.safestring import SafeString

from arena.admin.shown import TURN_COLORS, dollars, participant_badge, provider_name
from arena.models import ArenaTurn, ClientBudget, LlmSpend, Participant
from arena.rules.budget import day_of, month_of
from arena.rules.statuses import SpendSpan, TurnStatus
from arena.services.halts import standing_halts
from clients.admin_base import NOTHING, ago, badge
from ledger.admin.bot_section import ledger_of
from ledger.admin.shown import figure, linked, percent, plain
from ledger.admin.trades import action_badge
from ledger.models import BotDecision, Position
from ledger.rules.words import PositionStatus

SHOWN_DECISIONS = 6
SHOWN_TURNS = 10
MOST_POSITIONS = 200
LINKS = (
    ("Turns", "arenaturn"), ("Model calls", "llmcall"), ("Prompts", "promptversion"), ("Summaries", "historysummary"),
    ("Shadow runs", "shadowrun"), ("Spend", "llmspend"),
)  # fmt: skip


def panel_of(row: Participant, *, now: datetime) -> dict[str, Any]:
    """The context of ``admin/bridge/arena_participant.html``: some fifteen queries, each for few rows."""
    halts = standing_halts(row.bot_id)
    turns = ArenaTurn.objects.filter(bot=row.bot_id).defer("briefing").order_by("-created_at", "-id")[:SHOWN_TURNS]
    decisions = BotDecision.objects.filter(bot=row.bot_id).order_by("-decided_at", "-id")
    return {
        "row": row,
        "state": participant_badge(row, is_halted=bool(halts)),
        "halts": [
            {"scope": one.scope, "reason": one.reason, "by": one.halted_by, "at": ago(one.halted_at)} for one in halts
        ],
        "asks": provider_name(row),
        "next_turn": ago(row.next_turn_at) if row.bot.desired_status == "running" else NOTHING,
        "last_turn": ago(row.last_turn_at),
        "forced": ago(row.forced_at) if row.forced_at else "",
        "began": ago(row.began_at),
        "drawdown": percent(row.max_drawdown_ratio),
        "peak": figure(row.peak_equity),
        "prompt": row.prompt,
        "close_page": reverse("admin:arena_participant_positions", args=[row.bot_id]),
        "prompt_page": reverse("admin:arena_participant_prompt", args=[row.bot_id]),
        "costs": _costs(row, now=now),
        "turns": [_turn(turn) for turn in turns],
        "decisions": [_decision(one) for one in decisions.defer("prompt_sent", "extra")[:SHOWN_DECISIONS]],
        "links": [(title, f"{reverse(f'admin:arena_{name}_changelist')}?q={row.bot_id}") for title, name in LINKS],
        "ledger": ledger_of(row.bot),
    }


def positions_of(bot_id: UUID) -> list[dict[str, Any]]:
    """What it holds, the newest first."""
    rows = Position.objects.filter(bot=bot_id, status=PositionStatus.OPEN).order_by("-opened_at", "-id")
    return [
        {"id": row.pk, "symbol": row.symbol, "direction": action_badge(row.position_type), "size": figure(row.size),
         "quantity": figure(row.quantity), "entry": figure(row.entry_price), "mark": figure(row.mark_price),
         "marked": ago(row.marked_at), "gain": figure(row.unrealized_pnl, gain=True), "opened": ago(row.opened_at)}
        for row in rows[:MOST_POSITIONS]
    ]  # fmt: skip


def _costs(row: Participant, *, now: datetime) -> list[tuple[str, str, str]]:
    """``(what, of the bot, of its whole client)``, each with its budget where there is one."""
    spans = {SpendSpan.DAY: day_of(now), SpendSpan.MONTH: month_of(now)}
    found = {
        (one.span, one.bot_id): one
        for one in LlmSpend.objects.filter(client=row.client_id, start_on__in=spans.values())
        if one.bot_id in (None, row.bot_id) and spans[SpendSpan(one.span)] == one.start_on
    }
    whole = ClientBudget.objects.filter(client=row.client_id).first()
    budgets = {
        (SpendSpan.DAY, row.bot_id): row.daily_budget, (SpendSpan.MONTH, row.bot_id): row.monthly_budget,
        (SpendSpan.DAY, None): whole and whole.daily_budget, (SpendSpan.MONTH, None): whole and whole.monthly_budget,
    }  # fmt: skip

    def said(span: SpendSpan, bot_id: UUID | None) -> str:
        return _spent(found.get((span, bot_id)), budgets[(span, bot_id)])

    return [
        ("today (UTC)", said(SpendSpan.DAY, row.bot_id), said(SpendSpan.DAY, None)),
        ("this month", said(SpendSpan.MONTH, row.bot_id), said(SpendSpan.MONTH, None)),
    ]


def _spent(one: LlmSpend | None, budget: Decimal | None) -> str:
    used = one.spent + one.reserved if one else Decimal(0)
    calls = f", {one.calls:,} call{'s' if one.calls != 1 else ''}" if one else ""
    return f"{dollars(used)}{f' of {plain(budget)}' if budget is not None else ''}{calls}"


def _turn(turn: ArenaTurn) -> dict[str, Any]:
    took = (turn.finished_at - turn.created_at).total_seconds() if turn.finished_at else None
    return {
        "number": linked("arena_arenaturn", turn.pk, f"{turn.number:,}"),
        "state": badge(turn.status, TURN_COLORS[TurnStatus(turn.status)], says=turn.message),
        "cause": turn.cause,
        "message": turn.message,
        "when": ago(turn.created_at),
        "took": NOTHING if took is None else f"{took:.1f} s",
        "decision": linked("ledger_botdecision", turn.decision_id, "decision") if turn.decision_id else NOTHING,
    }


def _decision(row: BotDecision) -> dict[str, Any]:
    answers = row.decisions_json if isinstance(row.decisions_json, list) else [row.decisions_json]
    notes = row.notes_json if isinstance(row.notes_json, list) else [row.notes_json]
    return {
        "when": ago(row.decided_at),
        "link": linked("ledger_botdecision", row.pk, f"{row.decided_at:%Y-%m-%d %H:%M:%S}"),
        "outcome": badge("executed", "green") if row.execution_success else badge("not executed", "orange"),
        "answers": [answer_shown(one) for one in answers if isinstance(one, dict)],
        "notes": [_note(one) for one in notes],
    }


def answer_shown(one: dict[str, Any]) -> dict[str, Any]:
    """One decision of a reply: what it asks for, and why it says it does."""
    action, told = str(one.get("action", "")), []
    for name in ("size", "leverage", "stopLoss", "takeProfit", "stop_loss", "take_profit"):
        if one.get(name) not in (None, "", 0):
            told.append(f"{name} {one[name]}")
    reason = one.get("reasoning") or one.get("reason") or ""
    colors = {"LONG": "green", "SHORT": "red", "CLOSE": "blue"}
    shown: SafeString = badge(action or "?", colors.get(action.upper(), "grey"))
    return {"action": shown, "symbol": one.get("symbol", ""), "told": ", ".join(told), "reason": str(reason)}


def _note(one: Any) -> str:
    return str(one.get("text") or one.get("note") or one) if isinstance(one, dict) else str(one)
