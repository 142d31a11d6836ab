"""POST /v1/messages, as Anthropic publishes it."""

from __future__ import annotations

from typing import Any

import orjson

from sandbox.http import Call, Reply
from sandbox.model.shapes import (
    Wrong,
    anything,
    boolean,
    by,
    free_object,
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

VERSIONS = ("2023-06-01", "2026-10-21")

_CACHE = {"cache_control": null_or(free_object)}
_TEXT_BLOCK = shape({"type": anything, "text": text(least=1)}, {**_CACHE, "citations": null_or(list_of(free_object))})
_RESULT_BLOCK = by("type", {"text": _TEXT_BLOCK, "image": shape({"type": anything, "source": free_object}, _CACHE)})
_NAME = text(pattern=r"[a-zA-Z0-9_-]{1,128}")
_BLOCK = by(
    "type",
    {
        "text": _TEXT_BLOCK,
        "image": shape({"type": anything, "source": free_object}, _CACHE),
        "document": shape(
            {"type": anything, "source": free_object}, {**_CACHE, "title": anything, "context": anything}
        ),
        "thinking": shape({"type": anything, "thinking": text(), "signature": text()}),
        "redacted_thinking": shape({"type": anything, "data": text()}),
        "tool_use": shape(
            {"type": anything, "id": text(pattern=r"[a-zA-Z0-9_-]+"), "name": _NAME, "input": free_object},
            {**_CACHE, "caller": free_object},
        ),
        "tool_result": shape(
            {"type": anything, "tool_use_id": text(pattern=r"[a-zA-Z0-9_-]+")},
            {**_CACHE, "content": text_or(list_of(_RESULT_BLOCK)), "is_error": boolean},
        ),
    },
)
_CONTENT = text_or(list_of(_BLOCK, least=1), least=1)
_MESSAGE = by(
    "role",
    {role: shape({"role": anything, "content": _CONTENT}) for role in ("user", "assistant", "system")},
)
_TOOL = shape(
    {"name": _NAME, "input_schema": free_object},
    {**_CACHE, "type": null_or(one_of("custom")), "description": text(), "strict": boolean},
)
_PARALLEL = {"disable_parallel_tool_use": boolean}
_REQUEST = shape(
    {"model": text(least=1, most=256), "messages": list_of(_MESSAGE, least=1), "max_tokens": whole(least=1)},
    {
        **_CACHE,
        "container": null_or(anything),
        "inference_geo": null_or(text()),
        "metadata": shape({}, {"user_id": null_or(text(most=256))}),
        "output_config": free_object,
        "service_tier": one_of("auto", "standard_only"),
        "stop_sequences": list_of(text(least=1)),
        "stream": boolean,
        "system": text_or(list_of(_TEXT_BLOCK)),
        "temperature": number(least=0, most=1),
        "thinking": by(
            "type",
            {
                "enabled": shape({"type": anything, "budget_tokens": whole(least=1024)}, {"display": anything}),
                "disabled": shape({"type": anything}),
                "adaptive": shape({"type": anything}, {"display": anything}),
            },
        ),
        "tool_choice": by(
            "type",
            {
                "auto": shape({"type": anything}, _PARALLEL),
                "any": shape({"type": anything}, _PARALLEL),
                "tool": shape({"type": anything, "name": text()}, _PARALLEL),
                "none": shape({"type": anything}),
            },
        ),
        "tools": list_of(_TOOL),
        "top_k": whole(least=0),
        "top_p": number(least=0, most=1),
    },
)


def error(message: str, *, status: int = 400, kind: str = "invalid_request_error") -> Reply:
    return Reply(
        {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_sandbox"}, status=status
    )


def key_of(call: Call) -> str:
    """In the header of old, or as a bearer as newer clients send it."""
    kind, _, bearer = call.headers.get("authorization", "").partition(" ")
    return call.headers.get("x-api-key", "") or (bearer.strip() if kind.lower() == "bearer" else "")


def bad_key(key: str) -> Reply:
    return error(
        "invalid x-api-key" if key else "x-api-key header is required", status=401, kind="authentication_error"
    )


def no_model(model: str) -> Reply:
    return error(f"model: {model}", status=404, kind="not_found_error")


def too_many() -> Reply:
    words = (
        "This request would exceed your organization's rate limit. Please reduce the prompt length or try again later."
    )
    return error(words, status=429, kind="rate_limit_error")


def overloaded() -> Reply:
    return error("Overloaded", status=529, kind="overloaded_error")


def no_money() -> Reply:
    return error("Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.")


def too_long(asked: Asked, most: int) -> Reply:
    return error(f"prompt is too long: {asked.prompt_tokens} tokens > {most} maximum")


def read(call: Call) -> Asked:
    """Raises Refused."""
    version = call.headers.get("anthropic-version")
    if version is None:
        raise Refused(error("anthropic-version: header is required"))
    if version not in VERSIONS:
        raise Refused(error(f'anthropic-version: "{version}" is not a valid version'))
    try:
        body = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        raise Refused(error("The request body is not valid JSON")) from None
    try:
        _REQUEST(body, ())
    except Wrong as wrong:
        raise Refused(_in_words(wrong)) from None
    if body.get("stream"):
        raise Refused(error("stream: the sandbox does not stream"))
    _check_order(body["messages"])
    system = body.get("system", "")
    opening = system if isinstance(system, str) else joined(block["text"] for block in system)
    return Asked(
        api="anthropic",
        model=body["model"],
        key=key_of(call),
        turns=([("system", opening)] if opening else []) + [turn for one in body["messages"] for turn in _turns(one)],
        tools=[Tool(tool["name"], tool["input_schema"]) for tool in body.get("tools", [])],
        limit=body["max_tokens"],
    )


def write(asked: Asked, said: Said, *, number: int) -> Reply:
    read_tokens, written = said.counted(asked)
    content: list[dict[str, Any]] = [{"type": "text", "text": said.text}] if said.text else []
    content += [
        {"type": "tool_use", "id": f"toolu_{number}_{index}", "name": one.name, "input": one.arguments}
        for index, one in enumerate(said.calls)
    ]
    finish = {"stop": "end_turn", "length": "max_tokens", "refused": "refusal"}[said.finish]
    body = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": said.model or asked.model,
        "content": content,
        "stop_reason": "tool_use" if said.calls else finish,
        "stop_sequence": None,
        "usage": {
            "input_tokens": read_tokens,
            "output_tokens": written,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "service_tier": "standard",
        },
    }
    return Reply(body, headers={"request-id": f"req_{number}"})


def _turns(message: dict[str, Any]) -> list[tuple[str, str]]:
    content = message["content"]
    if isinstance(content, str):
        return [(message["role"], content)]
    turns = []
    for block in content:
        if block["type"] == "tool_result":
            said = block.get("content", "")
            turns.append(("tool", said if isinstance(said, str) else joined(part.get("text", "") for part in said)))
        elif block["type"] == "tool_use":
            turns.append(("assistant", f"{block['name']} {orjson.dumps(block['input']).decode()}"))
        else:
            turns.append((message["role"], block.get("text", "")))
    return turns


def _check_order(messages: list[dict[str, Any]]) -> None:
    """Each use of a tool is answered in the very next message, and nothing is answered that was not asked."""
    if messages[0]["role"] == "assistant":
        raise Refused(error('messages: first message must use the "user" role'))
    asked: set[str] = set()
    for index, message in enumerate(messages):
        blocks = message["content"] if isinstance(message["content"], list) else []
        results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if message["role"] != "user" and results:
            raise Refused(error(f"messages.{index}: `tool_result` blocks can only be in `user` messages"))
        if results - asked:
            words = f"unexpected `tool_use_id` found in `tool_result` blocks: {', '.join(sorted(results - asked))}"
            raise Refused(error(f"messages.{index}.content: {words}"))
        _check_answered(asked - results, index)
        asked = {block["id"] for block in blocks if block["type"] == "tool_use"}
        if asked and message["role"] != "assistant":
            raise Refused(error(f"messages.{index}: `tool_use` blocks can only be in `assistant` messages"))
    _check_answered(asked, len(messages))


def _check_answered(missing: set[str], index: int) -> None:
    if missing:
        words = (
            f"`tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(sorted(missing))}"
        )
        raise Refused(error(f"messages.{index - 1}: {words}"))


def _in_words(wrong: Wrong) -> Reply:
    where = ".".join(str(part) for part in wrong.path) or "body"
    if wrong.kind == "missing":
        return error(f"{where}: Field required")
    if wrong.kind == "unknown":
        return error(f"{where}: Extra inputs are not permitted")
    if wrong.kind == "type":
        return error(f"{where}: Input should be {wrong.expected.replace('a string', 'a valid string')}")
    return error(f"{where}: Input should be {wrong.expected}")
