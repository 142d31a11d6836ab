"""POST /v1beta/models/{model}:generateContent, as Google publishes it."""

from __future__ import annotations

import re
from typing import Any

import orjson

from sandbox.http import Call, Reply
from sandbox.model.shapes import (
    Check,
    Path,
    Wrong,
    anything,
    boolean,
    free_object,
    list_of,
    number,
    one_of,
    shape,
    text,
    whole,
)
from sandbox.model.words import Asked, Refused, Said, Tool, joined

SIGNATURE = "c2FuZGJveA=="  # what a call of a tool is signed with; newer models want it back
_WANTS_SIGNATURE = re.compile(r"gemini-([3-9]|\d\d)")
_FREE = {"args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema", "labels"}
_SNAKE = re.compile(r"_([a-z0-9])")


def _enum(*words: str) -> Check:
    return one_of(*words)


_FUNCTION_NAME = text(pattern=r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
_PART_KINDS = {
    "text": text(),
    "inlineData": free_object,
    "fileData": free_object,
    "functionCall": shape({"name": _FUNCTION_NAME}, {"args": free_object, "id": text()}),
    "functionResponse": shape(
        {"name": _FUNCTION_NAME, "response": free_object},
        {"id": text(), "willContinue": boolean, "scheduling": text(), "parts": list_of(free_object)},
    ),
    "executableCode": free_object,
    "codeExecutionResult": free_object,
}
_PART_SHAPE = shape({}, {**_PART_KINDS, "thought": boolean, "thoughtSignature": text(), "partMetadata": free_object})


def _part(value: Any, path: Path) -> None:
    _PART_SHAPE(value, path)
    if sum(1 for kind in _PART_KINDS if kind in value) != 1:
        raise Wrong("value", (*path, "data"), "required oneof field 'data' must have one initialized field", value)


_CONTENT = shape({"parts": list_of(_part, least=1)}, {"role": _enum("user", "model", "function")})
_INSTRUCTION = shape({"parts": list_of(_part, least=1)}, {"role": text()})
_DECLARATION = shape(
    {"name": _FUNCTION_NAME},
    {
        "description": text(),
        "parameters": free_object,
        "parametersJsonSchema": anything,
        "response": free_object,
        "responseJsonSchema": anything,
        "behavior": text(),
    },
)
_TOOL = shape(
    {},
    {
        "functionDeclarations": list_of(_DECLARATION),
        "googleSearch": free_object,
        "codeExecution": free_object,
        "urlContext": free_object,
    },
)
_TOOL_CONFIG = shape(
    {},
    {
        "functionCallingConfig": shape(
            {},
            {
                "mode": _enum("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"),
                "allowedFunctionNames": list_of(text()),
            },
        ),
        "retrievalConfig": free_object,
    },
)
_GENERATION = shape(
    {},
    {
        "candidateCount": whole(least=1, most=8),
        "stopSequences": list_of(text(), most=5),
        "maxOutputTokens": whole(least=1),
        "temperature": number(least=0, most=2),
        "topP": number(least=0, most=1),
        "topK": number(least=0),
        "seed": whole(),
        "presencePenalty": number(least=-2, most=2),
        "frequencyPenalty": number(least=-2, most=2),
        "responseMimeType": text(),
        "responseSchema": free_object,
        "responseJsonSchema": anything,
        "responseModalities": list_of(_enum("MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO")),
        "responseLogprobs": boolean,
        "logprobs": whole(),
        "thinkingConfig": free_object,
        "mediaResolution": text(),
        "speechConfig": free_object,
    },
)
_REQUEST = shape(
    {},
    {
        "contents": list_of(_CONTENT),
        "systemInstruction": _INSTRUCTION,
        "tools": list_of(_TOOL),
        "toolConfig": _TOOL_CONFIG,
        "safetySettings": list_of(shape({"category": text(), "threshold": text()}, {"method": text()})),
        "generationConfig": _GENERATION,
        "cachedContent": text(),
        "serviceTier": text(),
        "store": boolean,
        "model": text(),
    },
)


def error(message: str, *, status: int = 400, kind: str = "INVALID_ARGUMENT", details: Any = None) -> Reply:
    body = {"code": status, "message": message, "status": kind}
    return Reply({"error": body | ({"details": details} if details else {})}, status=status)


def key_of(call: Call) -> str:
    return call.headers.get("x-goog-api-key", "") or call.query.get("key", "")


def bad_key(key: str) -> Reply:
    """A wrong key is a bad argument here, with the reason among the details."""
    if not key:
        words = "Method doesn't allow unregistered callers (callers without established identity)."
        return error(words, status=403, kind="PERMISSION_DENIED")
    reason = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }
    return error("API key not valid. Please pass a valid API key.", details=[reason])


def no_model(model: str) -> Reply:
    words = f"models/{model} is not found for API version v1beta, or is not supported for generateContent."
    return error(words, status=404, kind="NOT_FOUND")


def too_many() -> Reply:
    """There is no Retry-After header of Google's own: the wait stands among the details."""
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "30s"}
    words = "You exceeded your current quota, please check your plan and billing details."
    return error(words, status=429, kind="RESOURCE_EXHAUSTED", details=[retry])


def overloaded() -> Reply:
    return error("The model is overloaded. Please try again later.", status=503, kind="UNAVAILABLE")


def no_money() -> Reply:
    return error("Your prepayment credits are depleted.", status=429, kind="RESOURCE_EXHAUSTED")


def too_long(asked: Asked, most: int) -> Reply:
    words = f"The input token count ({asked.prompt_tokens}) exceeds the maximum number of tokens allowed ({most})."
    return error(words)


def read(call: Call) -> Asked:
    """Raises Refused."""
    try:
        sent = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        raise Refused(error("Invalid JSON payload received. Unexpected token.")) from None
    body = _camel(sent)
    try:
        _REQUEST(body, ())
    except Wrong as wrong:
        raise Refused(_in_words(wrong)) from None
    if not body.get("contents"):
        raise Refused(error("* GenerateContentRequest.contents: contents is not specified\n"))
    model = call.params["model"]
    _check_order(body["contents"], model)
    generation = body.get("generationConfig", {})
    declared = [one for tool in body.get("tools", []) for one in tool.get("functionDeclarations", [])]
    opening = [("system", _words(body["systemInstruction"]))] if "systemInstruction" in body else []
    return Asked(
        api="google",
        model=model,
        key=key_of(call),
        turns=opening + [turn for content in body["contents"] for turn in _turns(content)],
        tools=[Tool(one["name"], one.get("parametersJsonSchema") or one.get("parameters") or {}) for one in declared],
        limit=generation.get("maxOutputTokens"),
        seed=generation.get("seed", 0),
    )


def write(asked: Asked, said: Said, *, number: int) -> Reply:
    read_tokens, written = said.counted(asked)
    parts: list[dict[str, Any]] = [{"text": said.text}] if said.text else []
    for index, one in enumerate(said.calls):
        signed = {"thoughtSignature": SIGNATURE} if index == 0 else {}
        parts.append({"functionCall": {"name": one.name, "args": one.arguments, "id": f"fc-{number}-{index}"}} | signed)
    finish = {"stop": "STOP", "length": "MAX_TOKENS", "refused": "SAFETY"}[said.finish]
    candidate: dict[str, Any] = {"finishReason": finish, "index": 0}
    if parts and said.finish != "refused":
        candidate["content"] = {"parts": parts, "role": "model"}
    body = {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": read_tokens,
            "candidatesTokenCount": written,
            "totalTokenCount": read_tokens + written,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": read_tokens}],
        },
        "modelVersion": said.model or asked.model,
        "responseId": f"resp-{number}",
    }
    return Reply(body)


def _camel(value: Any) -> Any:
    """Names as the JSON form has them; the other spelling is understood too, as with any of Google's APIs."""
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    named = {_SNAKE.sub(lambda match: match[1].upper(), name): item for name, item in value.items()}
    return {name: item if name in _FREE else _camel(item) for name, item in named.items()}


def _words(content: dict[str, Any]) -> str:
    return joined(part.get("text", "") for part in content["parts"])


def _turns(content: dict[str, Any]) -> list[tuple[str, str]]:
    role = "assistant" if content.get("role") == "model" else "user"
    turns = []
    for part in content["parts"]:
        if "functionResponse" in part:
            turns.append(("tool", orjson.dumps(part["functionResponse"]["response"]).decode()))
        elif "functionCall" in part:
            called = part["functionCall"]
            turns.append(("assistant", f"{called['name']} {orjson.dumps(called.get('args', {})).decode()}"))
        else:
            turns.append((role, part.get("text", "")))
    return turns


def _check_order(contents: list[dict[str, Any]], model: str) -> None:
    asked: list[str] = []
    for content in contents:
        answered = [part["functionResponse"]["name"] for part in content["parts"] if "functionResponse" in part]
        if sorted(answered) != sorted(asked):
            words = (
                "Please ensure that the number of function response parts is equal to the number of function call parts "
                "of the function call turn, and that it comes immediately after it."
            )
            raise Refused(error(words))
        calls = [part for part in content["parts"] if "functionCall" in part]
        if calls and _WANTS_SIGNATURE.match(model) and calls[0].get("thoughtSignature") != SIGNATURE:
            raise Refused(error("Function call is missing a thought_signature in functionCall parts."))
        asked = [part["functionCall"]["name"] for part in calls]
    if asked:
        raise Refused(error("Please ensure that function call turn is followed by a function response turn."))


def _in_words(wrong: Wrong) -> Reply:
    where = ""
    for part in wrong.path:
        where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else part
    above, _, name = where.rpartition(".")
    if wrong.kind == "unknown":
        at = f" at '{above}'" if above else ""
        return error(f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.')
    if wrong.kind == "type":
        return error(f"Invalid value at '{where}' ({wrong.expected}), {orjson.dumps(wrong.got).decode()[:80]}")
    words = "must not be empty" if wrong.kind == "missing" or wrong.got == [] else f"must be {wrong.expected}"
    return error(f"* GenerateContentRequest.{where}: {where} {words}\n")
