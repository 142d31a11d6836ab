"""The answers a FastAPI service gives to input it cannot read: status 422 and a list of what is wrong."""

from __future__ import annotations

import re
from typing import Any

import orjson

from sandbox.http import Call, Reply


class Invalid(Exception):
    """Carries the 422."""

    def __init__(self, *problems: dict[str, Any]) -> None:
        super().__init__("invalid input")
        self.reply = Reply({"detail": list(problems)}, status=422)


class PlainCrash(Exception):
    """The original trips over its own error here: a plain-text 500."""


def problem(kind: str, loc: list[Any], msg: str, value: Any, ctx: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": kind, "loc": loc, "msg": msg, "input": value} | ({"ctx": ctx} if ctx else {})


_TYPES: dict[str, tuple[type | tuple[type, ...], str, str]] = {
    "str": (str, "string_type", "Input should be a valid string"),
    "bool": (bool, "bool_type", "Input should be a valid boolean"),
    "number": ((int, float), "float_type", "Input should be a valid number"),
    "list": (list, "list_type", "Input should be a valid list"),
}


def dict_body(call: Call) -> dict[str, Any]:
    """The body as a dict, or a 422."""
    if not call.body:
        raise Invalid(problem("missing", ["body"], "Field required", None))
    try:
        body = call.json()
    except orjson.JSONDecodeError as error:
        ctx = {"error": "Expecting value"}
        raise Invalid(problem("json_invalid", ["body", error.pos], "JSON decode error", {}, ctx)) from error
    if not isinstance(body, dict):
        raise Invalid(problem("dict_type", ["body"], "Input should be a valid dictionary", body))
    return body


def model_body(call: Call, **fields: str) -> dict[str, Any]:
    """The body checked against ``name="str"`` (required), ``"str?"`` (may be absent or null) and so on."""
    body = dict_body(call)
    problems = []
    for name, spec in fields.items():
        expected, kind, msg = _TYPES[spec.rstrip("?")]
        if name not in body:
            if not spec.endswith("?"):
                problems.append(problem("missing", ["body", name], "Field required", body))
        elif not (isinstance(body[name], expected) or (body[name] is None and spec.endswith("?"))):
            problems.append(problem(kind, ["body", name], msg, body[name]))
        elif spec == "list":
            problems += [
                problem("string_type", ["body", name, index], "Input should be a valid string", item)
                for index, item in enumerate(body[name])
                if not isinstance(item, str)
            ]
    if problems:
        raise Invalid(*problems)
    return body


def integer(value: str, loc: list[Any], *, maximum: int | None = None) -> int:
    if not re.fullmatch(r"[+-]?\d+", value):
        text = "Input should be a valid integer, unable to parse string as an integer"
        raise Invalid(problem("int_parsing", loc, text, value))
    if maximum is not None and int(value) > maximum:
        text = f"Input should be less than or equal to {maximum}"
        raise Invalid(problem("less_than_equal", loc, text, value, {"le": maximum}))
    return int(value)


def query_integer(call: Call, name: str, default: int, *, maximum: int | None = None) -> int:
    return integer(call.query[name], ["query", name], maximum=maximum) if name in call.query else default


def query_number(call: Call, name: str, default: float) -> float:
    try:
        return float(call.query.get(name, default))
    except ValueError as error:
        text = "Input should be a valid number, unable to parse string as a number"
        raise Invalid(problem("float_parsing", ["query", name], text, call.query[name])) from error


def query_flag(call: Call, name: str, default: bool) -> bool:
    value = call.query.get(name)
    if value is None:
        return default
    if value.lower() in ("true", "1", "yes", "on", "t", "y"):
        return True
    if value.lower() in ("false", "0", "no", "off", "f", "n"):
        return False
    text = "Input should be a valid boolean, unable to interpret input"
    raise Invalid(problem("bool_parsing", ["query", name], text, value))


def required_query(call: Call, name: str) -> str:
    if name not in call.query:
        raise Invalid(problem("missing", ["query", name], "Field required", None))
    return call.query[name]


def detail(status: int, text: str) -> Reply:
    return Reply({"detail": text}, status=status)
