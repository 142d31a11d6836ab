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
        value = Decimal(str(fields[name])) if fields.get(name) is not None else default
    except InvalidOperation as error:
        raise BadRequest(f"{name} must be a number, best as a string, not {fields[name]!r}.") from error
    if not value.is_finite():
        raise BadRequest(f"{name} must be finite.")
    return value


def number(fields: dict[str, Any], name: str, default: float) -> float:
    return float(decimal(fields, name, Decimal(str(default))))


def above_zero(fields: dict[str, Any], name: str, default: Decimal | float) -> Decimal:
    value = decimal(fields, name, Decimal(str(default)))
    if value <= 0:
        raise BadRequest(f"{name} must be above zero, not {fields.get(name)!r}.")
    return value


def rows(fields: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of JSON objects; empty when it is not there."""
    found = fields.get(name) or []
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise BadRequest(f"{name} must be a list of objects.")
    return found


def mapping(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """A JSON object; empty when it is not there."""
    found = fields.get(name) or {}
    if not isinstance(found, dict):
        raise BadRequest(f"{name} must be an object.")
    return found
