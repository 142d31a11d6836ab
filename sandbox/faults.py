"""Faults that can be switched on, each for one target: an exchange, a key, a model, or the Hummingbot API."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.http import Call, Reply, plain

# What each fault does to one HTTP call. docs/sandbox.md says the same in longer words.
HTTP_FAULTS = {
    "latency": "wait `seconds` (default 5) before answering",
    "rate_limit": "429 with Retry-After `retry_after_s` (default 30) and the exchange's own words",
    "server_error": "`status` (default 503) with a plain text body",
    "html": "an HTML page with status `status` (default 200)",
    "empty": "status 200 and no body",
    "garbage": "status 200, content type JSON, and bytes that are not JSON",
    "cut": "the real answer, cut in the middle, with a matching length",
    "cut_connection": "the real answer, and the connection is cut in the middle of it",
    "drop": "the connection is closed without an answer, and nothing was done",
    "lost_answer": "the request is carried out, then the connection is closed without an answer",
    "drip": "the real answer, a few bytes every `seconds` (default 1)",
    "redirect": "302 to `location` (default http://127.0.0.1:9/)",
}
EXCHANGE_FAULTS = {
    "clock_skew": "the exchange's clock runs `skew_ms` (default 60000) ahead of ours, also in what it says of trades"
}
MODEL_FAULTS = {
    "overloaded": "the API's own words for being overloaded (503, Anthropic 529)",
    "no_money": "the API's own words for an account without money",
    "refuses": "the model declines to answer",
    "fenced": "its decisions stand in a code fence",
    "chatty": "its decisions stand among sentences",
    "object": "its decisions are an object around a list",
    "truncated": "its words end in the middle, as when the limit of tokens is reached",
    "giant": "some 5 MB of decisions",
}
KEY_FAULTS = {"revoked": "the exchange or model API refuses the key, and bots that use it stop trading"}
HUMMINGBOT_FAULTS = {
    "broker_down": "no MQTT message arrives any more; the API still says connected",
    "docker_down": "the Docker engine is unreachable; the list of bots freezes",
    "docker_error": "the Docker engine answers with errors: lists of containers are a string, with status 200",
    "api_restart": "the API forgets its cache at once (done when switched on; nothing to switch off)",
    "down": "every connection is closed",
}
BOT_FAULTS = {
    "dead": "the container exits; switched off, it starts again",
    "vanished": "the container is removed; cannot be switched off",
    "silent": "lives and trades, but no MQTT message leaves it",
    "stop_trading": "the strategy ends by itself: reports are empty, the container stays up",
    "stall": "the strategy ticks and reports, but no order is taken any more",
    "slow": "trades `factor` times more rarely (default 10)",
    "untagged": "its image lost its tag, so the API no longer recognises the container",
}

_HTML = "<!DOCTYPE html><html><head><title>Attention Required!</title></head><body><h1>One moment</h1></body></html>"


@dataclass
class Fault:
    """``path`` (a part of it) and ``method`` narrow it down; ``remaining`` counts the calls it still hits."""

    id: int
    target: str
    name: str
    path: str = ""
    method: str = ""
    remaining: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    hits: int = 0

    def concerns(self, call: Call) -> bool:
        return self.path in call.path and self.method in ("", call.method) and self.remaining != 0

    def number(self, option: str, default: float) -> float:
        return float(self.options.get(option, default))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Faults:
    """Targets read ``exchange:kucoin``, ``key:API_KEY``, ``model:openai``, ``hummingbot`` and ``bot:NAME``."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self.active: list[Fault] = []

    def switch_on(self, target: str, name: str, **narrowing: Any) -> Fault:
        """The same fault on the same target, path and method replaces the one before."""
        self.switch_off(target, name, path=narrowing.get("path"))
        fault = Fault(next(self._ids), target, name, **narrowing)
        self.active.append(fault)
        return fault

    def switch_off(self, target: str | None = None, name: str | None = None, path: str | None = None) -> int:
        """What is not said matches everything. Returns how many were on."""
        before = len(self.active)
        self.active = [
            fault
            for fault in self.active
            if not (target in (None, fault.target) and name in (None, fault.name) and path in (None, fault.path))
        ]
        return before - len(self.active)

    def find(self, target: str, name: str) -> Fault | None:
        return next((f for f in self.active if f.target == target and f.name == name and f.remaining != 0), None)

    def hit(self, targets: list[str], call: Call) -> list[Fault]:
        """The HTTP faults this call runs into, counted."""
        return self._count(targets, call, among=HTTP_FAULTS)

    def hit_models(self, targets: list[str], call: Call) -> list[Fault]:
        """The faults of models that this call runs into, counted."""
        return self._count(targets, call, among=MODEL_FAULTS)

    def _count(self, targets: list[str], call: Call, *, among: dict[str, str]) -> list[Fault]:
        struck = [f for f in self.active if f.target in targets and f.name in among and f.concerns(call)]
        for fault in struck:
            fault.hits += 1
            if fault.remaining is not None:
                fault.remaining -= 1
        return struck


def faulty_reply(fault: Fault, *, too_many: Reply) -> Reply | None:
    """The answer instead of the real one, when this fault gives one without the request being carried out."""
    if fault.name == "rate_limit":
        too_many.headers["Retry-After"] = str(int(fault.number("retry_after_s", 30)))
        return too_many
    if fault.name == "server_error":
        return plain("upstream connect error or disconnect/reset before headers", int(fault.number("status", 503)))
    if fault.name == "html":
        return Reply(status=int(fault.number("status", 200)), text=_HTML, content_type="text/html; charset=UTF-8")
    if fault.name == "redirect":
        return Reply(
            status=302, text="", headers={"Location": str(fault.options.get("location", "http://127.0.0.1:9/"))}
        )
    if fault.name == "empty":
        return Reply(text="")
    if fault.name == "garbage":
        return Reply(text='{"code":"200000","data":\x00\x01 not json')
    return None
