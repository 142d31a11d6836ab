"""What an answer cost in tokens, and whether it declines: read from its JSON directly, so that the figures are there even
where the rest cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from arena.rules.statuses import ProviderKind
from arena.types_models import Finish, ModelAnswer

_MOST = 2_000_000_000  # more than any column holds, and than any model ever counts
_BLOCKED = {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "IMAGE_SAFETY"}


@dataclass(frozen=True, slots=True)
class Counted:
    model: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None


NOTHING = Counted()


def counted(kind: ProviderKind, body: Mapping[str, Any]) -> Counted:
    """Input with what was read from and written to a cache, output with thoughts."""
    if kind == ProviderKind.GOOGLE:
        used = _mapping(body.get("usageMetadata"))
        read = _sum(used, "promptTokenCount", "toolUsePromptTokenCount")
        return Counted(_name(body.get("modelVersion")), read, _sum(used, "candidatesTokenCount", "thoughtsTokenCount"))
    used = _mapping(body.get("usage"))
    if kind == ProviderKind.ANTHROPIC:
        read = _sum(used, "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        return Counted(_name(body.get("model")), read, _sum(used, "output_tokens"))
    return Counted(_name(body.get("model")), _sum(used, "prompt_tokens"), _sum(used, "completion_tokens"))


def refusal_of(known: ModelAnswer, body: Mapping[str, Any]) -> ModelAnswer | None:
    """An answer in which the provider declined, which libraries take for a broken one; None for any other."""
    candidates = body.get("candidates")
    first = _mapping(candidates[0]) if isinstance(candidates, list) and candidates else {}
    choices = body.get("choices")
    choice = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
    is_blocked = first.get("finishReason") in _BLOCKED or "blockReason" in _mapping(body.get("promptFeedback"))
    if is_blocked or choice.get("finish_reason") == "content_filter" or body.get("stop_reason") == "refusal":
        return replace(known, finish=Finish.REFUSED)
    return None


def _sum(used: Mapping[str, Any], *names: str) -> int | None:
    """None where the first, the main one, is not told."""
    figures = [used.get(name) for name in names]
    whole = [figure if isinstance(figure, int) and not isinstance(figure, bool) else None for figure in figures]
    if whole[0] is None:
        return None
    total = sum(max(0, figure) for figure in whole if figure is not None)
    return total if total <= _MOST else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _name(value: Any) -> str:
    return "".join(sign for sign in value if sign.isprintable())[:200] if isinstance(value, str) else ""
