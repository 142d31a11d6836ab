"""From a strategy label and a bot's config to what Hummingbot runs, checked here since Hummingbot accepts anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError

from bots.types import Template
from ground.errors import InvalidInput

PLACEHOLDER = re.compile(r"\{([A-Za-z0-9_.]+)\}")
_INTERVAL = re.compile(r"([1-9][0-9]{0,3})([smhdw])", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_INTERVAL_SECONDS = "interval.seconds"
_CREDENTIAL = re.compile(
    r"(api|secret|private|access)[_-]?key|((api|client)[_-]?)?secret|pass(phrase|word)|mnemonic|seed[_-]?phrase",
    re.IGNORECASE,
)
_MAX_DEPTH = 32
_MOST_DIGITS = 60


def validate_config(template: Template | None, config: object) -> None:
    """Raise InvalidInput, naming each field as config.<key>, unless the config is storable and fits the template.

    Keys that the template does not know are kept as they are. Without a template any JSON object will do.
    """
    if not isinstance(config, dict):
        raise InvalidInput("config must be a JSON object.", fields={"config": ["This must be a JSON object."]})
    refusals: dict[str, list[str]] = {}
    for path, refusal in _unstorable(config, "config", 0):
        refusals.setdefault(path, []).append(refusal)
    if not refusals and template is not None:
        for error in Draft202012Validator(dict(template.schema)).iter_errors(applied(template, config)):
            refusals.setdefault(_path_of(error), []).append(_sentence(error))
    if refusals:
        raise InvalidInput(f"The config is not valid: {_first(refusals)}", fields=refusals)


def validate_template(template: Template) -> None:
    """Raise InvalidInput unless the schema is one, the defaults fit it and the mapping names only what it can fill."""
    try:
        Draft202012Validator.check_schema(dict(template.schema))
    except SchemaError as error:
        raise InvalidInput("The schema is not a JSON schema.", fields={"schema": [error.message[:200]]}) from None
    known = {*template.defaults, *dict(template.schema.get("properties") or {}), *_BOT_PLACEHOLDERS}
    known |= {_INTERVAL_SECONDS} if "interval" in known else set()
    unknown = sorted({name for name in _placeholders(dict(template.mapping)) if name not in known})
    if unknown:
        raise InvalidInput(
            f"The mapping names {unknown[0]}, which neither the schema nor the defaults know.",
            fields={"mapping": [f"{{{name}}} is unknown." for name in unknown]},
        )


def applied(template: Template, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with the template's defaults where it says nothing."""
    return {**template.defaults, **config}


def render(
    template: Template, config: Mapping[str, Any], *, connector: str, symbol: str, config_name: str
) -> dict[str, Any]:
    """The controller's or script's config for Hummingbot. Raises InvalidInput when it does not fit the template."""
    validate_config(template, dict(config))
    values = applied(template, config)
    values |= {"bot.connector": connector, "bot.pair": symbol.replace("/", "-"), "bot.config_name": config_name}
    if (interval_s := _seconds(values.get("interval"))) is not None:
        values[_INTERVAL_SECONDS] = interval_s
    rendered: dict[str, Any] = _filled(dict(template.mapping), values)
    return rendered


_BOT_PLACEHOLDERS = ("bot.connector", "bot.pair", "bot.config_name")


def _seconds(interval: object) -> int | None:
    """60 for "1m"; None for what is no interval."""
    match = _INTERVAL.fullmatch(interval) if isinstance(interval, str) else None
    return int(match[1]) * _UNIT_S[match[2]] if match else None


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    match = PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    if match[1] not in values:
        needed = "interval" if match[1] == _INTERVAL_SECONDS else match[1]
        raise InvalidInput(f"The template needs {needed}.", fields={f"config.{needed}": ["This is needed."]})
    return values[match[1]]


def _placeholders(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _placeholders(item)
    elif isinstance(value, str) and (match := PLACEHOLDER.fullmatch(value)):
        yield match[1]


def _unstorable(value: object, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """What PostgreSQL or JSON cannot hold, and what must not stand in a config: it is shown, and its history kept."""
    if depth > _MAX_DEPTH:
        yield path, f"This is nested more than {_MAX_DEPTH} levels deep."
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not _is_storable_text(key):
                yield path, "A key holds a character that cannot be stored."
            elif _CREDENTIAL.fullmatch(key):
                yield f"{path}.{key}", "A credential does not belong here: give it to the client's connector."
            else:
                yield from _unstorable(item, f"{path}.{key}", depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unstorable(item, f"{path}.{index}", depth + 1)
    elif isinstance(value, str) and not _is_storable_text(value):
        yield path, "This holds a character that cannot be stored."
    elif isinstance(value, float | Decimal) and not _is_storable_number(value):
        yield path, "This number is out of range."


def _is_storable_text(value: str) -> bool:
    return "\x00" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def _is_storable_number(value: float | Decimal) -> bool:
    number = Decimal(value)
    return number.is_finite() and abs(number.adjusted()) <= _MOST_DIGITS


def _path_of(error: ValidationError) -> str:
    parts = [str(part) for part in error.absolute_path]
    if error.validator == "required":
        # The schema's own error names the object; the field that is missing stands in its message only.
        missing = [name for name in error.validator_value if name not in error.instance]
        parts += missing[:1]
    return ".".join(["config", *parts])


def _sentence(error: ValidationError) -> str:
    description = error.schema.get("description") if isinstance(error.schema, dict) else None
    if isinstance(description, str):
        return f"This must be {description}."
    if error.validator == "required":
        return "This is needed."
    if error.validator == "type":
        wanted = error.validator_value
        words = [str(word) for word in (wanted if isinstance(wanted, list) else [wanted])]
        return f"This must be {' or '.join({'integer': 'a whole number'}.get(word, word) for word in words)}."
    if error.validator in ("minimum", "exclusiveMinimum"):
        return f"This must be {'at least' if error.validator == 'minimum' else 'more than'} {error.validator_value}."
    if error.validator in ("maximum", "exclusiveMaximum"):
        return f"This must be {'at most' if error.validator == 'maximum' else 'less than'} {error.validator_value}."
    return "This is not valid."


def _first(refusals: Mapping[str, list[str]]) -> str:
    path, sentences = next(iter(refusals.items()))
    return f"{path}: {sentences[0]}"
