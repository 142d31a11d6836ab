"""The one place that knows pydantic-ai: it writes a request as each provider wants it, and reads what came back."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

import httpx2
from pydantic_ai.direct import model_request
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.messages import ModelRequest as LibraryRequest
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from arena.gateways.wire import Captured, Exchange, Relay, current
from arena.rules.statuses import ProviderKind
from arena.types_models import Finish, ModelRequest, ProviderAccess, ToolCall

_NO_KEY = "none"  # the clients insist on one; it does not leave (wire.py)
_FINISHES = {
    "stop": Finish.STOP,
    "length": Finish.LENGTH,
    "tool_call": Finish.TOOLS,
    "content_filter": Finish.REFUSED,
}


def prepare(provider: ProviderAccess, base_url: str) -> None:
    """Load the provider's client, which takes seconds in a fresh process and shall not be taken from a call's time."""
    _model(provider.kind, provider.model, base_url, provider.api_key or _NO_KEY)


def send(provider: ProviderAccess, base_url: str, request: ModelRequest, exchange: Exchange) -> None:
    """Carry the request out on this exchange. Raises what the library raises when it cannot even write it."""
    with suppress(Captured):
        _run(provider, base_url, request, exchange)


def read(provider: ProviderAccess, base_url: str, request: ModelRequest, raw: bytes) -> ModelResponse:
    """The stored answer as the library reads it. Raises what the library raises when it cannot.

    It reads an answer only where it has just written a request: a short one, since what it reads does not depend on the words.
    """
    short = replace(request, system="", user=".", steps=())
    return _run(provider, base_url, short, Exchange(stored=raw))


def text_of(response: ModelResponse) -> str:
    """Without what no database holds: NUL and halves of surrogate pairs, which JSON can spell."""
    return _storable("".join(part.content for part in response.parts if isinstance(part, TextPart)))


def calls_of(response: ModelResponse) -> tuple[ToolCall, ...]:
    parts = [part for part in response.parts if isinstance(part, ToolCallPart)]
    return tuple(
        ToolCall(_storable(part.tool_call_id), _storable(part.tool_name), _storable(part.args_as_json_str()))
        for part in parts
    )


def finish_of(response: ModelResponse) -> Finish:
    if any(isinstance(part, ToolCallPart) for part in response.parts):
        return Finish.TOOLS
    return _FINISHES.get(response.finish_reason or "", Finish.OTHER)


def said_of(response: ModelResponse) -> str:
    """All of the answer, signatures and thoughts included: providers want it back as it was."""
    return ModelMessagesTypeAdapter.dump_json([response]).decode()


def _storable(text: str) -> str:
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


class _Loops(threading.local):
    """An event loop for each thread that asks, kept: making one, with the threads that some clients start on it, takes as long
    as writing the request."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()


_loops = _Loops()


def _run(provider: ProviderAccess, base_url: str, request: ModelRequest, exchange: Exchange) -> ModelResponse:
    return _loops.runner.run(_request(provider, base_url, request, exchange))


async def _request(provider: ProviderAccess, base_url: str, request: ModelRequest, exchange: Exchange) -> ModelResponse:
    current.set(exchange)
    settings = ModelSettings(max_tokens=request.max_output_tokens, max_retries=0)
    if request.temperature is not None:
        settings["temperature"] = float(request.temperature)
    tools = [
        ToolDefinition(name=tool.name, description=tool.description, parameters_json_schema=dict(tool.schema))
        for tool in request.tools
    ]
    return await model_request(
        _model(provider.kind, provider.model, base_url, provider.api_key or _NO_KEY),
        _messages(request),
        model_settings=settings,
        model_request_parameters=ModelRequestParameters(function_tools=tools),
    )


def _messages(request: ModelRequest) -> list[ModelMessage]:
    opening: list[Any] = [SystemPromptPart(request.system)] if request.system else []
    messages: list[ModelMessage] = [LibraryRequest(parts=[*opening, UserPromptPart(request.user)])]
    for step in request.steps:
        messages += ModelMessagesTypeAdapter.validate_json(step.said)
        messages.append(
            LibraryRequest(
                parts=[
                    ToolReturnPart(tool_name=result.name, content=result.content, tool_call_id=result.call_id)
                    for result in step.results
                ]
            )
        )
    return messages


@lru_cache(maxsize=128)
def _model(kind: ProviderKind, name: str, base_url: str, api_key: str) -> Model:
    """Making a client takes up to a tenth of a second, so it is kept; it holds no connection (``Relay``)."""
    client = httpx2.AsyncClient(transport=Relay(), follow_redirects=False, trust_env=False, timeout=httpx2.Timeout(600))
    if kind == ProviderKind.ANTHROPIC:
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        return AnthropicModel(name, provider=AnthropicProvider(api_key=api_key, base_url=base_url, http_client=client))
    if kind == ProviderKind.GOOGLE:
        from pydantic_ai.models.google import GoogleModel
        from pydantic_ai.providers.google import GoogleProvider

        return GoogleModel(name, provider=GoogleProvider(api_key=api_key, base_url=base_url, http_client=client))
    return _chat_model(kind, name, base_url, api_key, client)


def _chat_model(kind: ProviderKind, name: str, base_url: str, api_key: str, client: httpx2.AsyncClient) -> Model:
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.profiles.openai import OpenAIModelProfile
    from pydantic_ai.providers.openai import OpenAIProvider

    if kind == ProviderKind.OPENAI:
        own = OpenAIProvider(base_url=base_url, api_key=api_key, http_client=client)
        return OpenAIChatModel(name, provider=own)
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    # The newer name of this limit is known to OpenAI alone; every compatible server knows the older one.
    older = OpenAIModelProfile(openai_chat_supports_max_completion_tokens=False)
    other = OpenAICompatibleProvider(name="compatible", base_url=base_url, api_key=api_key, http_client=client)
    return OpenAIChatModel(name, provider=other, profile=older)
