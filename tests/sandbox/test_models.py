"""The model server as anybody outside speaks to it: strict about requests and keys, and the same each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.testing import Sandbox, start

KEY = "sk-of-a-test-0123456789"
PROMPT = "## Open positions\nETH/USDT SHORT 0.5\n\n## Market data\nBTC/USDT 61,000.5 (+1.20%)\nETH/USDT 3050 (-0.4%)\n"
USER = [{"role": "user", "content": PROMPT}]
SCHEMA = {
    "type": "object",
    "properties": {"symbol": {"type": "string"}, "period": {"type": "integer"}},
    "required": ["symbol"],
}


@pytest.fixture
def models(sandbox: Sandbox) -> Sandbox:
    sandbox.add_model_key(KEY, "acme")
    return sandbox


def ask(
    sandbox: Sandbox, api: str, body: Any, *, key: str = KEY, model: str = "gemini-2.5-flash", **headers: str
) -> Any:
    path, secret = {
        "openai": ("openai/v1/chat/completions", {"Authorization": f"Bearer {key}"}),
        "anthropic": ("anthropic/v1/messages", {"x-api-key": key, "anthropic-version": "2023-06-01"}),
        "google": (f"google/v1beta/models/{model}:generateContent", {"x-goog-api-key": key}),
    }[api]
    return requests.post(f"{sandbox.model_base}/{path}", json=body, headers=secret | headers, timeout=10)


def whole(api: str, **more: Any) -> dict[str, Any]:
    """A request that each API takes."""
    return {
        "openai": {"model": "gpt-4o-mini", "messages": USER},
        "anthropic": {"model": "claude-sonnet-4-5", "max_tokens": 2000, "messages": USER},
        "google": {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]},
    }[api] | more


def said(api: str, body: Any) -> str:
    if api == "openai":
        return str(body["choices"][0]["message"]["content"])
    if api == "anthropic":
        return "".join(block["text"] for block in body["content"] if block["type"] == "text")
    return str(body["candidates"][0]["content"]["parts"][0]["text"])


@pytest.mark.parametrize("api", ["openai", "anthropic", "google"])
def test_decides_the_same_each_time_about_what_the_prompt_shows(models: Sandbox, api: str) -> None:
    first, again = ask(models, api, whole(api)), ask(models, api, whole(api))
    assert first.status_code == 200, first.text
    decisions = json.loads(said(api, first.json()))
    assert said(api, again.json()) == said(api, first.json())
    assert {one["symbol"] for one in decisions} <= {"BTC/USDT", "ETH/USDT"}
    assert all(one["action"] in ("CLOSE", "HOLD") for one in decisions if one["symbol"] == "ETH/USDT")
    models.set_model(seed=77, style="fenced")
    assert said(api, ask(models, api, whole(api)).json()).startswith("```json\n[")


def test_reads_the_blocks_of_data_that_the_arena_writes(models: Sandbox) -> None:
    told = (
        'For example: [{"action": "LONG", "symbol": "XRP/USDT", "size": 100}]\n\n'
        'Your open positions:\n<data name="positions">\n{"symbol": "ETH/USDT", "position": "SHORT", "margin": "50"}\n</data>\n\n'
        'Markets: symbol, price:\n<data name="markets">\n["ETH/USDT", "3050.1", "-0.40 %", "99"]\n'
        '["SOL/USDT", "148.2", "unknown", "unknown"]\n</data>\n\nYour newest decisions: You have decided nothing yet.'
    )
    seen: dict[str, set[str]] = {}
    for seed in range(12):
        body = whole("openai", messages=[{"role": "user", "content": told}], seed=seed)
        for one in json.loads(said("openai", ask(models, "openai", body).json())):
            seen.setdefault(one["symbol"], set()).add(one["action"])
    assert set(seen) == {"ETH/USDT", "SOL/USDT"}
    assert seen["ETH/USDT"] <= {"CLOSE", "HOLD"}
    assert seen["SOL/USDT"] & {"LONG", "SHORT"}


def test_looks_back_with_claims_that_cite_what_it_was_shown(models: Sandbox) -> None:
    rows = '{"id": "1f0c2a9b", "decided": [{"symbol": "BTC/USDT"}]}\n{"id": "77ab03de", "decided": []}'
    shown = f'<data name="decisions">\n{rows}\n</data>'
    messages = [{"role": "system", "content": 'Answer {"claims": [...]}.'}, {"role": "user", "content": shown}]
    claims = json.loads(said("openai", ask(models, "openai", whole("openai", messages=messages)).json()))["claims"]
    assert [(one["decisions"], "BTC/USDT" in one["text"]) for one in claims] == [(["1f0c2a9b"], True)]


@pytest.mark.parametrize(
    ("api", "sent", "status", "words"),
    [
        ("openai", {"model": "gpt-4o-mini"}, 400, "Missing required parameter: 'messages'."),
        ("openai", whole("openai", prompt="x"), 400, "Unrecognized request argument supplied: prompt"),
        ("openai", whole("openai", temperature="hot"), 400, "Invalid type for 'temperature': expected a number"),
        ("openai", whole("openai", messages=[{"role": "robot", "content": ""}]), 400, "Invalid value for 'messages[0].role'"),
        ("openai", whole("openai", model="claude-3"), 404, "does not exist or you do not have access"),
        ("anthropic", {"model": "claude-3", "messages": USER}, 400, "max_tokens: Field required"),
        ("anthropic", whole("anthropic", seed=1), 400, "seed: Extra inputs are not permitted"),
        ("anthropic", whole("anthropic", temperature=1.5), 400, "temperature: Input should be a value <= 1"),
        ("anthropic", whole("anthropic", model="gpt-4o"), 404, "model: gpt-4o"),
        ("google", {}, 400, "contents is not specified"),
        ("google", whole("google", prompt="x"), 400, 'Unknown name "prompt": Cannot find field.'),
        ("google", whole("google", generationConfig={"max_tokens": 5}), 400, "Unknown name \"maxTokens\" at 'generationConfig'"),
    ],
)  # fmt: skip
def test_refuses_what_the_published_api_would_in_its_own_shape(
    models: Sandbox, api: str, sent: Any, status: int, words: str
) -> None:
    answer = ask(models, api, sent)
    error = answer.json()["error"]
    assert (answer.status_code, words in error["message"]) == (status, True), answer.text
    assert set(error) == {"openai": {"message", "type", "param", "code"}, "anthropic": {"type", "message"}}.get(
        api, {"code", "message", "status"}
    )


@pytest.mark.parametrize(("api", "status"), [("openai", 401), ("anthropic", 401), ("google", 400)])
def test_knows_keys_and_refuses_revoked_ones(models: Sandbox, api: str, status: int) -> None:
    assert ask(models, api, whole(api), key="sk-of-somebody-else").status_code == status
    models.fault(f"key:{KEY}", "revoked")
    assert ask(models, api, whole(api)).status_code == status


def test_speaks_a_script_word_for_word_to_whom_it_is_meant_for(models: Sandbox) -> None:
    models.script_model("[]", {"body": "<html>", "status": 502, "content_type": "text/html", "api": "anthropic"})
    models.script_model({"text": "cut", "finish": "length", "usage": [7, 9], "contains": "BTC/USDT"})
    broken = ask(models, "anthropic", whole("anthropic"))  # "[]" is first in the row and fits too
    assert said("anthropic", broken.json()) == "[]"
    cut = ask(models, "google", whole("google")).json()
    assert (said("google", cut), cut["candidates"][0]["finishReason"]) == ("cut", "MAX_TOKENS")
    assert cut["usageMetadata"]["totalTokenCount"] == 16
    broken = ask(models, "anthropic", whole("anthropic"))
    assert (broken.status_code, broken.text) == (502, "<html>")
    assert [call["reply"] for call in models.model_calls(account="acme")] == ["[]", "cut", "<html>"]


def test_keeps_the_limit_of_output_tokens_and_of_the_prompt(models: Sandbox) -> None:
    short = ask(models, "openai", whole("openai", max_completion_tokens=5)).json()
    assert short["choices"][0]["finish_reason"] == "length"
    assert short["usage"]["completion_tokens"] == 5
    models.set_model(context_tokens=20)
    assert ask(models, "openai", whole("openai")).json()["error"]["code"] == "context_length_exceeded"


def test_wants_every_call_of_a_tool_answered_before_it_goes_on(models: Sandbox) -> None:
    tool = {"type": "function", "function": {"name": "rsi", "parameters": SCHEMA}}
    message = ask(models, "openai", whole("openai", tools=[tool])).json()["choices"][0]["message"]
    [call] = message["tool_calls"]
    assert json.loads(call["function"]["arguments"])["symbol"] in ("BTC/USDT", "ETH/USDT")
    history = [*USER, {"role": "assistant", "content": message["content"], "tool_calls": [call]}]
    refused = ask(models, "openai", whole("openai", messages=history, tools=[tool]))
    assert "did not have response messages" in refused.json()["error"]["message"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "41.2"}
    assert ask(models, "openai", whole("openai", messages=[*history, result], tools=[tool])).status_code == 200


def test_keys_outlive_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with start(state_file=file) as sandbox:
        sandbox.add_model_key(KEY)
    with start(state_file=file) as sandbox:
        assert ask(sandbox, "openai", whole("openai")).status_code == 200
