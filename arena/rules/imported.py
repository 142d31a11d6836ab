"""What an old arena's documents say of its bots and model providers, in our words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from arena.rules.provider_addresses import check_base_url
from arena.rules.statuses import ProviderKind

_WORDS = {
    ProviderKind.ANTHROPIC: ("anthropic", "claude"),
    ProviderKind.GOOGLE: ("generativelanguage", "gemini", "google"),
    ProviderKind.OPENAI: ("api.openai.com", "openai", "gpt", "chatgpt"),
}
_COMPATIBLE = {
    "grok": "https://api.x.ai/v1", "x.ai": "https://api.x.ai/v1", "deepseek": "https://api.deepseek.com/v1",
    "openrouter": "https://openrouter.ai/api/v1", "mistral": "https://api.mistral.ai/v1",
    "groq": "https://api.groq.com/openai/v1",
}  # fmt: skip
_HOSTS = {
    "api.openai.com": ProviderKind.OPENAI, "api.anthropic.com": ProviderKind.ANTHROPIC,
    "generativelanguage.googleapis.com": ProviderKind.GOOGLE,
}  # fmt: skip
_TAILS = ("/chat/completions", "/completions", "/responses", "/messages")
_MODELS = {ProviderKind.OPENAI: "gpt-4o-mini", ProviderKind.ANTHROPIC: "claude-3-5-haiku-latest",
           ProviderKind.GOOGLE: "gemini-2.0-flash"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ImportedProvider:
    """An old provider as a row of ours; without its key."""

    name: str
    kind: ProviderKind
    base_url: str  # empty: the provider's own
    model: str


@dataclass(frozen=True, slots=True)
class ImportedBot:
    """What an old bot was told and whom it asked, as far as its documents say."""

    prompt: str = ""
    provider: str = ""  # the old id of one
    model: str = ""
    is_paused: bool = False


def read_provider(body: Mapping[str, Any], *, key: str, is_trusted: bool) -> ImportedProvider:
    """Raises ValueError with a sentence where it cannot be told whom to ask."""
    name = (_text(body, "name") or key or "imported")[:100]
    model = _text(body, "model", "modelName", "model_name")[:200]
    endpoint = _text(body, "endpoint", "baseUrl", "base_url", "url", "apiUrl")
    told = " ".join((_text(body, "type", "provider", "kind"), key, name, model)).lower()
    host = (urlsplit(endpoint).hostname or "") if endpoint else ""
    kind = _HOSTS.get(host)
    if kind is None and endpoint:
        return ImportedProvider(
            name, ProviderKind.OPENAI_COMPATIBLE, _address(endpoint, is_trusted), _model(model, None)
        )
    if kind is None:
        known = next((address for word, address in _COMPATIBLE.items() if word in told), "")
        if known:
            return ImportedProvider(name, ProviderKind.OPENAI_COMPATIBLE, known, _model(model, None))
        kind = next((kind for kind, words in _WORDS.items() if any(word in told for word in words)), None)
    if kind is None:
        raise ValueError("it says neither an address nor whose models they are")
    return ImportedProvider(name, kind, "", _model(model, kind))


def read_bot(fields: Mapping[str, Any]) -> ImportedBot:
    """From the bot's keys in the state, or its row's columns."""
    return ImportedBot(
        prompt=_text(fields, "prompt").strip(),
        provider=_text(fields, "provider", "provider_id", "providerId"),
        model=_text(fields, "model")[:200],
        is_paused=fields.get("isPaused", fields.get("is_paused")) in (True, "1", "true"),
    )


def _address(endpoint: str, is_trusted: bool) -> str:
    parts = urlsplit(endpoint)
    path = parts.path.rstrip("/")
    for tail in _TAILS:
        path = path.removesuffix(tail)
    return check_base_url(f"{parts.scheme}://{parts.netloc}{path}", is_trusted=is_trusted)


def _model(model: str, kind: ProviderKind | None) -> str:
    if not model and kind is None:
        raise ValueError("it names no model")
    return model or _MODELS[kind] if kind is not None else model


def _text(fields: Mapping[str, Any], *names: str) -> str:
    """The first of these that is a text with something in it."""
    found = (fields.get(name) for name in names)
    return next((str(value) for value in found if isinstance(value, str) and value.strip()), "")
