"""How the arena is run."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.utils.safestring import mark_safe

from arena.admin.forms import ServiceForm
from arena.models import ArenaSettings
from arena.services.participants import CURRENCY
from clients.admin_base import SettingsAdmin
from exchanges.names import resolve
from exchanges.symbols import base_quote
from ground.errors import InvalidInput

MOST_PAIRS = 500

PUBLIC = mark_safe(
    'The public pages are at <a class="bridge-link" href="/arena/">/arena/</a>: names, figures and decisions of bots that '
    "are marked as public, never prompts, keys, budgets or clients."
)


class SettingsForm(ServiceForm):
    """With an exchange or a pair that nobody can read, nobody's prices would be read again."""

    def clean_exchange(self) -> str:
        venue = resolve(self.cleaned_data["exchange"])
        if not venue.carried:
            raise ValidationError(venue.note)
        return venue.name

    def clean_symbols(self) -> list[str]:
        given = self.cleaned_data["symbols"] or []
        if not isinstance(given, list) or len(given) > MOST_PAIRS:
            raise ValidationError(f"A list of pairs, at most {MOST_PAIRS}, or [].")
        return [self._pair(one) for one in given]

    def _pair(self, given: Any) -> str:
        try:
            base, quote = base_quote(given)
        except InvalidInput as error:
            raise ValidationError(f"{given}: {error.message}") from None
        if quote != CURRENCY:
            raise ValidationError(f"{given}: the bots' money is {CURRENCY}, so they trade pairs against it.")
        return f"{base}/{quote}"

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or {}
        stale, refresh = data.get("stale_after_s"), data.get("refresh_s")
        if stale and refresh and stale < refresh:
            self.add_error("stale_after_s", "Not less than the time between two readings: every price would be stale.")
        return data


@admin.register(ArenaSettings)
class ArenaSettingsAdmin(SettingsAdmin):
    form = SettingsForm
    fieldsets = (
        ("Markets", {"fields": ("exchange", "symbols", ("most_symbols",), ("refresh_s", "stale_after_s"))}),
        ("Turns", {"fields": (("turn_interval_s", "turn_timeout_s"), "most_steps")}),
        (
            "What trading costs",
            {"fields": (("fee_rate", "slippage_bps"), ("maintenance_margin_ratio", "funding_rate_8h"))},
        ),
        ("Summaries", {"fields": (("summary_tokens", "summary_keep"), "summary_again_after")}),
        ("Bots halt by themselves", {"fields": (("halt_after_unreadable", "halt_after_refused"),)}),
        (
            "Watching",
            {
                "fields": ("is_public", ("keep_events_hours", "keep_bars_days")),
                "description": PUBLIC,
            },
        ),
    )
