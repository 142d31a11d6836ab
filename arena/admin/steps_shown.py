"""How the steps of a bot that looked at figures before it decided are shown: each tool it called, and what it was told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from arena.rules.steps import Lookup, step_words
from arena.types_models import Step
from clients.admin_base import NOTHING
from ledger.admin.shown import document, report

_CANDLE = ("began", "open", "high", "low", "close")
_LONGEST_ARGUMENTS = 500


def steps_shown(steps: Sequence[Step]) -> SafeString | str:
    """All steps in order; a dash where it decided at once."""
    return format_html_join("", "{}", ((step_shown(step, number),) for number, step in enumerate(steps, 1))) or NOTHING


def step_shown(step: Step, number: int) -> SafeString:
    """What it said, then each call with its answer."""
    words = step_words(step)
    title = format_html("<strong>Step {}</strong>{}", number, f": {words.text}" if words.text else "")
    calls = format_html_join("", "<li><strong>{}</strong> {}{}</li>", (_call(one) for one in words.lookups))
    return format_html('<div class="bridge-step"><p>{}</p><ul>{}</ul></div>', title, calls)


def result_shown(content: str) -> SafeString:
    """A tool's answer as a table, with our words to the model behind it."""
    written, _, said = content.partition("\n")
    try:
        value = json.loads(written)
    except (ValueError, RecursionError):
        return document(content)
    if not isinstance(value, dict):
        return document(content)
    if isinstance(value.get("candles"), list):
        value["candles"] = [dict(zip(_CANDLE, map(str, row), strict=False)) for row in value["candles"]]
    words = format_html('<p class="bridge-quiet">{}</p>', said.strip()) if said.strip() else ""
    return format_html("{}{}", report(value), words)


def _call(one: Lookup) -> tuple[str, str, SafeString]:
    return one.name, _arguments(one.arguments), result_shown(one.result)


def _arguments(written: str) -> str:
    """``symbol BTC/USDT, span 5m``; what is no object as it was written."""
    try:
        given: Any = json.loads(written)
    except (ValueError, RecursionError):
        given = None
    words = ", ".join(f"{name} {value}" for name, value in given.items()) if isinstance(given, dict) else written
    return words[:_LONGEST_ARGUMENTS]
