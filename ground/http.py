"""How bodies are read and answers written: strict JSON in, exact JSON out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from ground.errors import BridgeError

MAX_BODY_BYTES = 1_048_576
MAX_DEPTH = 64


class TooLarge(BridgeError):
    """The body is larger than is read."""

    code = "too_large"


class StrictJSONParser(BaseParser):
    """One JSON object of at most 1 MB and 64 levels, without NUL, NaN or repeated keys; an empty body is ``{}``.

    Numbers with a fraction become Decimal, so that no figure passes through a float.
    """

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        raw = stream.read(MAX_BODY_BYTES + 1)
        if len(raw) > MAX_BODY_BYTES:
            raise TooLarge("The body is larger than 1 MB.")
        if not raw.strip():
            return {}
        return read_object(raw)


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in ``raw``. Raises ParseError with a sentence."""
    try:
        value = json.loads(raw.decode("utf-8"), parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_unique)
    except UnicodeDecodeError:
        raise ParseError("The body must be JSON in UTF-8.") from None
    except RecursionError:
        raise ParseError(f"The body is nested deeper than {MAX_DEPTH} levels.") from None
    except ValueError as error:
        raise ParseError(f"The body is not valid JSON: {_reason(error)}.") from None
    if not isinstance(value, dict):
        raise ParseError("The body must be one JSON object.")
    _check(value, depth=1)
    return value


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not a number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands there twice")
    return made


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.lower()} at line {error.lineno}, column {error.colno}"
    return "a number is too long" if "digits" in str(error) else str(error)


def _check(value: Any, *, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ParseError(f"The body is nested deeper than {MAX_DEPTH} levels.")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check(item, depth=depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth=depth + 1)


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise ParseError("The body holds a NUL character.")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ParseError("The body holds half of a surrogate pair.")


def iso(moment: datetime | None) -> str | None:
    """An instant as the API writes it: ISO 8601 in UTC, ending in Z."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def to_wire(value: Any) -> Any:
    """Make a value JSON can hold: instants with Z, ids as strings, money (Decimal) as exact strings."""
    if isinstance(value, Decimal):
        return format(value.normalize() if value else Decimal(0), "f")
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form here")


def dump(value: Any) -> bytes:
    """Compact JSON bytes of an answer."""
    return json.dumps(value, default=to_wire, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


class ExactJSONRenderer(BaseRenderer):
    """Writes answers with ``dump``; an answer that is text already (JSON built by the database) goes out as it is."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        if data is None:
            return b""
        return data.encode() if isinstance(data, str) else dump(data)


def json_response(body: str | bytes | Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    """An answer whose body is JSON already, or a mapping to write."""
    content = dump(body) if isinstance(body, Mapping) else body
    return HttpResponse(content, status=status, content_type="application/json")


class ExactJSONEncoder(json.JSONEncoder):
    """For JSON columns: Decimals are stored as numbers with all their digits."""

    def encode(self, o: Any) -> str:
        return exact_json(o)


def exact_json(value: Any) -> str:
    """JSON text in which Decimals are plain numbers with every digit, for JSON columns."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(str(k))}:{exact_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(exact_json(item) for item in value) + "]"
    if isinstance(value, Decimal):
        return format(value, "f")
    return json.dumps(value, default=to_wire, allow_nan=False)


class ExactJSONDecoder(json.JSONDecoder):
    """For JSON columns: numbers with a fraction come back as Decimal."""

    def __init__(self, **options: Any) -> None:
        super().__init__(parse_float=Decimal, **options)
