"""The steps of a bot that thought in several, in words that a person can read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from arena.types_models import Step


@dataclass(frozen=True, slots=True)
class Lookup:
    """One call of a tool, and what it was answered."""

    name: str
    arguments: str
    result: str


@dataclass(frozen=True, slots=True)
class StepWords:
    """What a model said before it decided, and what it looked up."""

    text: str
    lookups: tuple[Lookup, ...]
    called: tuple[str, ...] = ()  # each call as "name arguments", answered or not


def step_words(step: Step) -> StepWords:
    """Read from what is sent back to the provider; what of that cannot be read is left out, the results never are."""
    parts = _parts(step.said)
    calls = {str(part.get("tool_call_id")): part for part in parts if part.get("part_kind") == "tool-call"}
    text = "\n".join(str(part.get("content", "")) for part in parts if part.get("part_kind") == "text")
    lookups = tuple(
        Lookup(result.name, _arguments(calls.get(result.call_id, {}).get("args")), result.content)
        for result in step.results
    )
    called = tuple(f"{call.get('tool_name', '')} {_arguments(call.get('args'))}".strip() for call in calls.values())
    return StepWords(text.strip(), lookups, called)


def steps_text(steps: Sequence[Step]) -> str:
    """All steps behind each other, for the record of a decision; empty without any."""
    return "".join(_text(number, step_words(step)) for number, step in enumerate(steps, start=1))


def _text(number: int, words: StepWords) -> str:
    lines = [f"{one.name} {one.arguments}\n{one.result}" for one in words.lookups]
    return "\n\n".join([f"\n\nStep {number}: {words.text}".rstrip(" :"), *lines])


def _parts(said: str) -> list[dict[str, Any]]:
    try:
        messages = json.loads(said)
    except (ValueError, RecursionError):
        return []
    found = [one.get("parts") for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []
    return [part for parts in found if isinstance(parts, list) for part in parts if isinstance(part, dict)]


def _arguments(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
