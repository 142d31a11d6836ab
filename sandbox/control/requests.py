"""Reading what somebody sends to the control endpoint; whatever is wrong is said in a sentence."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from sandbox.http import Call, Reply


class BadRequest(Exception):
    """Becomes a 400 with the sentence in ``error``."""

    def reply(self, status: int = 400) -> Reply:
        return Reply({"error": str(self)}, status=status)


def body(call: Call) -> dict[str, Any]:
    try:
        fields = call.json() if call.body else {}
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise BadRequest("The body must be a JSON object.")
    return fields


def required(fields: dict[str, Any], *names: str) -> list[str]:
    missing = [name for name in names if fields.get(name) in (None, "")]
    if missing:
        raise BadRequest(f"Missing: {', '.join(missing)}.")
    return [str(fields[name]) for name in names]


def decimal(fields: dict[str, Any], name: str, default: Decimal) -> Decimal:
    try:
        return Decimal(str(fields[name])) if fields.get(name) is not None else default
    except InvalidOperation as error:
        raise BadRequest(f"{name} must be a number, best as a string, not {fields[name]!r}.") from error


def number(fields: dict[str, Any], name: str, default: float) -> float:
    try:
        return float(fields[name]) if fields.get(name) is not None else default
    except (TypeError, ValueError) as error:
        raise BadRequest(f"{name} must be a number, not {fields[name]!r}.") from error
