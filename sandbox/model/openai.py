"""POST /v1/chat/completions, as OpenAI publishes it, and what compatible servers keep of it."""

from __future__ import annotations

import time
from typing import Any

import orjson

from sandbox.http import Call, Reply
from sandbox.model.shapes import (
    Wrong,
    anything,
    boolean,
    by,
    free_object,
    kind_of,
    list_of,
    null_or,
    number,
    one_of,
    shape,
    text,
    text_or,
    whole,
)
from sandbox.model.words import Asked, Refused, Said, Tool, joined

_TEXT_PART = shape({"type": one_of("text"), "text": text()}, {"prompt_cache_breakpoint": anything})
_TEXTS = text_or(list_of(_TEXT_PART, least=1))
_USER_PARTS = by(
    "type",
    {
        "text": _TEXT_PART,
        "image_url": shape({"type": anything, "image_url": free_object}),
        "input_audio": shape({"type": anything, "input_audio": free_object}),
        "file": shape({"type": anything, "file": free_object}),
    },
)
_NAME = text(pattern=r"[a-zA-Z0-9_-]+", most=64)
_TOOL_CALL = shape(
    {"id": text(least=1), "type": one_of("function"), "function": shape({"name": _NAME, "arguments": text()})}
)
_SYSTEM = shape({"role": anything, "content": _TEXTS}, {"name": text()})
_MESSAGE = by(
    "role",
    {
        "developer": _SYSTEM,
        "system": _SYSTEM,
        "user": shape({"role": anything, "content": text_or(list_of(_USER_PARTS, least=1))}, {"name": text()}),
        "assistant": shape(
            {"role": anything},
            {
                "content": null_or(_TEXTS),
                "refusal": null_or(text()),
                "name": text(),
                "audio": null_or(free_object),
                "tool_calls": list_of(_TOOL_CALL, least=1, most=128),
            },
        ),
        "tool": shape({"role": anything, "content": _TEXTS, "tool_call_id": text(least=1)}),
    },
)
_FUNCTION = shape({"name": _NAME}, {"description": text(), "parameters": free_object, "strict": null_or(boolean)})
_TOOL = shape({"type": one_of("function"), "function": _FUNCTION})
_TOOL_CHOICE = text_or(
    shape({"type": one_of("function", "allowed_tools")}, {"function": anything, "allowed_tools": anything})
)
_FORMAT = by(
    "type",
    {
        "text": shape({"type": anything}),
        "json_object": shape({"type": anything}),
        "json_schema": shape({"type": anything, "json_schema": free_object}),
    },
)
_REQUEST = shape(
    {"model": text(), "messages": list_of(_MESSAGE, least=1)},
    {
        "audio": null_or(free_object),
        "frequency_penalty": null_or(number(least=-2, most=2)),
        "logit_bias": null_or(free_object),
        "logprobs": null_or(boolean),
        "max_completion_tokens": null_or(whole(least=1)),
        "max_tokens": null_or(whole(least=1)),
        "metadata": null_or(free_object),
        "modalities": null_or(list_of(one_of("text", "audio"))),
        "n": null_or(whole(least=1, most=128)),
        "parallel_tool_calls": boolean,
        "prediction": null_or(free_object),
        "presence_penalty": null_or(number(least=-2, most=2)),
        "prompt_cache_key": null_or(text()),
        "prompt_cache_options": free_object,
        "prompt_cache_retention": null_or(one_of("in_memory", "24h")),
        "reasoning_effort": null_or(one_of("none", "minimal", "low", "medium", "high", "xhigh", "max")),
        "response_format": _FORMAT,
        "safety_identifier": null_or(text()),
        "seed": null_or(whole()),
        "service_tier": null_or(one_of("auto", "default", "flex", "scale", "priority", "fast")),
        "stop": null_or(text_or(list_of(text(), least=1, most=4))),
        "store": null_or(boolean),
        "stream": null_or(boolean),
        "stream_options": null_or(free_object),
        "temperature": null_or(number(least=0, most=2)),
        "tool_choice": _TOOL_CHOICE,
        "tools": list_of(_TOOL, most=128),
        "top_logprobs": null_or(whole(least=0, most=20)),
        "top_p": null_or(number(least=0, most=1)),
        "user": text(),
        "verbosity": null_or(one_of("low", "medium", "high")),
        "web_search_options": free_object,
    },
)


def error(
    message: str, *, status: int = 400, kind: str = "invalid_request_error", param: Any = None, code: Any = None
) -> Reply:
    return Reply({"error": {"message": message, "type": kind, "param": param, "code": code}}, status=status)


def key_of(call: Call) -> str:
    kind, _, key = call.headers.get("authorization", "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else ""


def bad_key(key: str) -> Reply:
    if not key:
        words = (
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
            "(i.e. Authorization: Bearer YOUR_KEY)."
        )
        return error(words, status=401)
    shown = f"{key[:8]}{'*' * 8}{key[-4:]}" if len(key) > 16 else "*" * len(key)
    words = f"Incorrect API key provided: {shown}. You can find your API key at https://platform.openai.com/account/api-keys."
    return error(words, status=401, code="invalid_api_key")


def no_model(model: str) -> Reply:
    words = f"The model `{model}` does not exist or you do not have access to it."
    return error(words, status=404, code="model_not_found")


def too_many() -> Reply:
    words = "Rate limit reached for requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s."
    return error(words, status=429, kind="requests", code="rate_limit_exceeded")


def overloaded() -> Reply:
    words = "The server is currently overloaded with other requests. Please retry your request."
    return error(words, status=503, kind="service_unavailable_error", code="server_is_overloaded")


def no_money() -> Reply:
    words = "You exceeded your current quota, please check your plan and billing details."
    return error(words, status=429, kind="insufficient_quota", code="insufficient_quota")


def too_long(asked: Asked, most: int) -> Reply:
    words = (
        f"This model's maximum context length is {most} tokens. However, your messages resulted in "
        f"{asked.prompt_tokens} tokens. Please reduce the length of the messages."
    )
    return error(words, param="messages", code="context_length_exceeded")


def read(call: Call) -> Asked:
    """Raises Refused."""
    if call.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refused(
            error("Unsupported Content-Type. This API method only accepts 'application/json' requests.", status=415)
        )
    try:
        body = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        raise Refused(error("We could not parse the JSON body of your request.")) from None
    try:
        _REQUEST(body, ())
    except Wrong as wrong:
        raise Refused(_in_words(wrong)) from None
    if body.get("stream"):
        raise Refused(error("The sandbox does not stream.", param="stream", code="unsupported_value"))
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise Refused(error("Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."))
    _check_order(body["messages"])
    return Asked(
        api="openai",
        model=body["model"],
        key=key_of(call),
        turns=[_turn(message) for message in body["messages"]],
        tools=[
            Tool(tool["function"]["name"], tool["function"].get("parameters", {})) for tool in body.get("tools", [])
        ],
        limit=body.get("max_completion_tokens") or body.get("max_tokens"),
        seed=body.get("seed") or 0,
    )


def write(asked: Asked, said: Said, *, number: int) -> Reply:
    read_tokens, written = said.counted(asked)
    message: dict[str, Any] = {"role": "assistant", "content": said.text or None, "refusal": None, "annotations": []}
    finish = {"stop": "stop", "length": "length", "refused": "content_filter"}[said.finish]
    if said.finish == "refused":
        message |= {"content": None, "refusal": said.text or "I'm sorry, I can't help with that."}
    if said.calls:
        finish = "tool_calls"
        message["tool_calls"] = [
            {
                "id": f"call_{number}_{index}",
                "type": "function",
                "function": {"name": one.name, "arguments": orjson.dumps(one.arguments).decode()},
            }
            for index, one in enumerate(said.calls)
        ]
    body = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": said.model or asked.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": read_tokens,
            "completion_tokens": written,
            "total_tokens": read_tokens + written,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": None,
    }
    return Reply(body, headers={"x-request-id": f"req_{number}"})


def _turn(message: dict[str, Any]) -> tuple[str, str]:
    role = "system" if message["role"] == "developer" else message["role"]
    content = message.get("content") or ""
    words = content if isinstance(content, str) else joined(part.get("text", "") for part in content)
    calls = [f"{one['function']['name']} {one['function']['arguments']}" for one in message.get("tool_calls", [])]
    return role, joined([words, *calls])


def _check_order(messages: list[dict[str, Any]]) -> None:
    """Each call of a tool is answered at once, and nothing is answered that was not asked."""
    open_calls: list[str] = []
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                words = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
                raise Refused(error(f"Invalid parameter: {words}", param=f"messages.[{index}].role"))
            open_calls.remove(message["tool_call_id"])
            continue
        _check_answered(open_calls, index)
        if message["role"] == "assistant" and not message.get("tool_calls") and message.get("content") is None:
            words = f"Invalid value for 'content': expected a string, got null (messages[{index}])."
            raise Refused(error(words, param=f"messages.[{index}].content"))
        open_calls = [one["id"] for one in message.get("tool_calls", [])]
    _check_answered(open_calls, len(messages))


def _check_answered(open_calls: list[str], index: int) -> None:
    if open_calls:
        words = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
            f"The following tool_call_ids did not have response messages: {', '.join(open_calls)}"
        )
        raise Refused(error(words, param=f"messages.[{index}].role"))


def _in_words(wrong: Wrong) -> Reply:
    where = ""
    for part in wrong.path:
        where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else part
    if not wrong.path:
        return error("We could not parse the JSON body of your request: it is not an object.")
    if wrong.kind == "missing":
        return error(f"Missing required parameter: '{where}'.", param=where, code="missing_required_parameter")
    if wrong.kind == "unknown" and len(wrong.path) == 1:
        return error(f"Unrecognized request argument supplied: {where}")
    if wrong.kind == "unknown":
        return error(f"Unknown parameter: '{where}'.", param=where, code="unknown_parameter")
    if wrong.kind == "type":
        words = f"Invalid type for '{where}': expected {wrong.expected}, but got {_a(kind_of(wrong.got))} instead."
        return error(words, param=where, code="invalid_type")
    return error(f"Invalid value for '{where}': expected {wrong.expected}.", param=where, code="invalid_value")


def _a(kind: str) -> str:
    return kind if kind == "null" else f"an {kind}" if kind[0] in "aio" else f"a {kind}"
