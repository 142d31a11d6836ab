"""How the arena's words and amounts look, and what its lists have in common."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from arena.models import Halt, Participant
from arena.rules.statuses import CallStatus, HaltScope, ShadowStatus, SummaryStatus, TurnStatus
from bots.rules.words import DesiredStatus
from clients.admin_base import NOTHING, FactsAdmin, badge
from ledger.admin.lists import as_uuid
from ledger.admin.shown import figure, linked, plain, short

TURN_COLORS = {
    TurnStatus.CLAIMED: "blue", TurnStatus.ASKED: "blue", TurnStatus.ANSWERED: "blue", TurnStatus.DONE: "green",
    TurnStatus.FAILED: "orange", TurnStatus.SKIPPED: "yellow",
}  # fmt: skip
CALL_COLORS = {
    CallStatus.RESERVED: "blue", CallStatus.ANSWERED: "green", CallStatus.FAILED: "orange", CallStatus.LOST: "red",
}  # fmt: skip
SUMMARY_COLORS = {
    SummaryStatus.WANTED: "grey", SummaryStatus.RUNNING: "blue", SummaryStatus.DONE: "green", SummaryStatus.FAILED: "orange",
}  # fmt: skip
SHADOW_COLORS = {
    ShadowStatus.WANTED: "grey", ShadowStatus.RUNNING: "blue", ShadowStatus.DONE: "green", ShadowStatus.STOPPED: "yellow",
}  # fmt: skip

IS_HALTED = Exists(
    Halt.objects.filter(lifted_at=None).filter(
        Q(scope=HaltScope.ALL)
        | Q(scope=HaltScope.CLIENT, client_id=OuterRef("client_id"))
        | Q(scope=HaltScope.BOT, bot_id=OuterRef("bot_id"))
    )
)
"""To annotate participants with: whether any switch holds them."""


class ArenaFacts(FactsAdmin):
    """Rows that the arena's workers write, the newest first, found by id or by a bot's name."""

    list_filter_submit = True
    list_fullwidth = True
    sortable_by: tuple[str, ...] = ()
    search_fields = ("bot__name", "bot__client__account_identifier")
    search_help_text = "a bot's name, an account, or an id"

    def get_search_results(self, request: Any, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Words are looked for in names; an id is a row's or its bot's."""
        wanted = as_uuid(search_term)
        if wanted is None:
            return super().get_search_results(request, queryset, search_term)
        return queryset.filter(Q(pk=wanted) | Q(bot=wanted)), False


def participant_badge(row: Participant, *, is_halted: bool) -> SafeString:
    """What the bot does: the first of these that holds."""
    if row.bot.desired_status != DesiredStatus.RUNNING:
        return badge("not started", "grey", says="It takes no turns until somebody starts it.")
    if is_halted:
        return badge("halted", "red", says="A switch holds it: no turns, nothing opened. Stops still work.")
    if row.is_paused:
        return badge("paused", "yellow", says=f"By {row.paused_by}. What it holds is still guarded.")
    if row.prompt_id is None or row.provider_id is None:
        return badge("not ready", "orange", says="It needs a prompt and a provider.")
    return badge("plays", "green")


def dollars(value: Decimal | None) -> str:
    """US dollars to a hundredth of a cent; less than that with its digits."""
    if value is None:
        return NOTHING
    shown = short(value) if 0 < value < Decimal("0.0001") else plain(round(value, 4))
    return f"{shown} USD"


def cents(value: Decimal | None) -> SafeString | str:
    """An amount to the cent, with all its digits when pointed at."""
    if value is None:
        return NOTHING
    return format_html('<span class="bridge-figure" title="{}">{}</span>', plain(value), plain(round(value, 2)))


def percent_gain(ratio: Decimal | None) -> SafeString | str:
    """A ratio as a percentage, green above zero and red below."""
    return NOTHING if ratio is None else format_html("{}&nbsp;%", figure(round(ratio * 100, 2), gain=True))


@display(description="bot")
def participant_link(row: Any) -> SafeString | str:
    """The bot's page in the arena; one that was reset or deleted has none any more."""
    if row.bot_id is None:
        return NOTHING
    return row.bot.name if row.bot.retired_at else linked("arena_participant", row.bot_id, row.bot.name)


def provider_name(row: Any) -> str:
    """Whom it asks, and for which model."""
    if row.provider is None:
        return NOTHING
    return f"{row.provider.name}, {row.model or row.provider.model}"


def uuid_of(text: str) -> UUID:
    """The id in an address; one that nothing has where it is none."""
    return as_uuid(text) or UUID(int=0)
