"""The recorded contract of Hummingbot: its examples, its OpenAPI document, and what "the same shape" means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CONTRACT = Path(__file__).resolve().parents[2].parent / "shared" / "contracts" / "hummingbot-api"
ABSENT = "The recorded contract (../shared/contracts/hummingbot-api) is not beside this checkout."
# Keys below these are data (enum names of what happened), not shape.
_FREE_KEYS = {"close_type_counts"}
# Whether there is anything in these lists is chance.
_FREE_LISTS = {"error_logs", "general_logs", "discovered_bots", "active_bots", "trades"}


def example(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((CONTRACT / "examples" / f"{name}.json").read_text())
    return loaded


def names() -> list[str]:
    """All examples, or none where the contract is absent."""
    return sorted(path.name.removesuffix(".json") for path in (CONTRACT / "examples").glob("*.json"))


def openapi() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((CONTRACT / "openapi.json").read_text())
    return document


def differences(expected: Any, actual: Any, where: str = "body") -> list[str]:
    """Where the shapes part: keys, kinds of values, empty against full lists. Values themselves may differ."""
    key = where.rpartition(".")[2]
    if isinstance(expected, dict) and isinstance(actual, dict):
        if set(expected) != set(actual) and key not in _FREE_KEYS:
            return [f"{where}: keys {sorted(expected)} were recorded, {sorted(actual)} came"]
        return [line for k in expected if k in actual for line in differences(expected[k], actual[k], f"{where}.{k}")]
    if isinstance(expected, list) and isinstance(actual, list):
        if bool(expected) != bool(actual) and key not in _FREE_LISTS:
            return [f"{where}: {len(expected)} items were recorded, {len(actual)} came"]
        return differences(expected[0], actual[0], f"{where}[0]") if expected and actual else []
    if _kind(expected) != _kind(actual):
        return [f"{where}: {expected!r} was recorded, {actual!r} came"]
    return []


def _kind(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(type(value))
    return "number" if isinstance(value, int | float) else type(value).__name__
