"""From Hummingbot's JSON to typed values. Unknown and missing keys are tolerated; a wrong shape is a ShapeError."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from bots.rules.log_lines import MOST_CHARACTERS, without_secrets
from bots.types import (
    ArchivedSummary,
    BotRun,
    Container,
    ControllerReport,
    HeldPosition,
    InstanceStatus,
    InstanceTrade,
    LogLine,
    MessageBroker,
    NamedConfig,
    Performance,
    PerformanceSnapshot,
    TemplateField,
)

_LOG_LINES = 5


class ShapeError(ValueError):
    """The answer is JSON, and not what this call answers."""


def mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ShapeError("an object was expected")
    return value


def sequence(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ShapeError("a list was expected")
    return value


def text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ShapeError("a text was expected")
    return value


def texts(value: object) -> tuple[str, ...]:
    return tuple(text(item) for item in sequence(value))


def enveloped(body: object, key: str = "data") -> Any:
    """``data`` (or ``response``) of the envelope {"status": "success", ...}."""
    envelope = mapping(body)
    if envelope.get("status") != "success" or key not in envelope:
        raise ShapeError("its envelope does not say success")
    return envelope[key]


def instance_status(name: str, value: object) -> InstanceStatus:
    fields = mapping(value)
    reports = mapping(fields.get("performance") or {})
    active = fields.get("recently_active")
    return InstanceStatus(
        name=name,
        word=text(fields.get("status")),
        reports=tuple(controller_report(controller, report) for controller, report in sorted(reports.items())),
        recently_active=active if isinstance(active, bool) else None,
        source=_optional_text(fields.get("source")),
        error=_optional_text(fields.get("error")),
        error_logs=_log_lines(fields.get("error_logs")),
    )


def controller_report(controller: str, value: object) -> ControllerReport:
    fields = mapping(value)
    numbers = mapping(fields.get("performance") or {})
    canonical = json.dumps([fields.get("performance"), fields.get("custom_info")], sort_keys=True, default=str)
    return ControllerReport(
        controller=controller,
        word=_optional_text(fields.get("status")) or "",
        performance=_performance(numbers) if numbers else None,
        digest=hashlib.sha256(canonical.encode()).hexdigest()[:16],
    )


def _performance(fields: Mapping[str, Any]) -> Performance:
    return Performance(
        realized_pnl=amount(fields.get("realized_pnl_quote")),
        unrealized_pnl=amount(fields.get("unrealized_pnl_quote")),
        global_pnl=amount(fields.get("global_pnl_quote")),
        volume=amount(fields.get("volume_traded")),
        positions=tuple(_held_position(item) for item in sequence(fields.get("positions_summary") or [])),
        close_counts={
            key.removeprefix("CloseType."): count
            for key, count in mapping(fields.get("close_type_counts") or {}).items()
            if isinstance(count, int)
        },
    )


def _held_position(value: object) -> HeldPosition:
    fields = mapping(value)
    quantity = amount(fields.get("amount"))
    if quantity is None:
        raise ShapeError("a position without an amount")
    return HeldPosition(
        connector=text(fields.get("connector_name")),
        symbol=text(fields.get("trading_pair")),
        side=_side(fields.get("side")),
        quantity=quantity,
        breakeven_price=amount(fields.get("breakeven_price")),
        unrealized_pnl=amount(fields.get("unrealized_pnl_quote")),
        realized_pnl=amount(fields.get("realized_pnl_quote")),
        fees=amount(fields.get("cum_fees_quote")),
    )


def amount(value: object) -> Decimal | None:
    """A finite Decimal of a number or a numeric text; None for a missing one."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise ShapeError("a number was expected")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ShapeError("a number was expected") from None
    if not number.is_finite():
        raise ShapeError("a finite number was expected")
    return number


def container(value: object) -> Container:
    fields = mapping(value)
    return Container(
        name=text(fields.get("name")).removeprefix("/"),
        status=_optional_text(fields.get("status")) or "",
        image=_optional_text(fields.get("image")) or "",
    )


def message_broker(value: object) -> MessageBroker:
    fields = mapping(value)
    connected = fields.get("mqtt_connected")
    if not isinstance(connected, bool):
        raise ShapeError("mqtt_connected is missing")
    return MessageBroker(
        is_connected=connected,
        heard=texts(fields.get("discovered_bots") or []),
        listed=texts(fields.get("active_bots") or []),
        client_state=_optional_text(fields.get("client_state")),
    )


def bot_run(value: object) -> BotRun:
    fields = mapping(value)
    run_id = fields.get("id")
    if not isinstance(run_id, int) or isinstance(run_id, bool):
        raise ShapeError("a bot run without an id")
    name = text(fields.get("instance_name") or fields.get("bot_name"))
    config = _inner_json(fields.get("deployment_config"))
    controllers = config.get("controllers_config")
    final = _inner_json(fields.get("final_status"))
    return BotRun(
        id=run_id,
        instance_name=name,
        account=_optional_text(fields.get("account_name")),
        run_status=text(fields.get("run_status")),
        deployment_status=text(fields.get("deployment_status")),
        deployed_at=iso_instant(fields.get("deployed_at")),
        stopped_at=iso_instant(fields.get("stopped_at")),
        controllers=tuple(item for item in controllers if isinstance(item, str))
        if isinstance(controllers, list)
        else (),
        script=_optional_text(config.get("script")),
        script_config=_optional_text(config.get("script_config")) if config.get("script") else None,
        error=_optional_text(fields.get("error_message")),
        final=instance_status(name, final) if "status" in final else None,
    )


def archived_summary(value: object) -> ArchivedSummary:
    fields = mapping(value)
    trades = fields.get("total_trades")
    return ArchivedSummary(
        pairs=texts(fields.get("trading_pairs") or []),
        connectors=texts(fields.get("exchanges") or []),
        trades=trades if isinstance(trades, int) else 0,
    )


def _inner_json(value: object) -> dict[str, Any]:
    """An object that Hummingbot stores as a JSON text; {} when there is none or it cannot be read."""
    if not isinstance(value, str):
        return {}
    try:
        parsed = json.loads(value, parse_float=Decimal)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def named_config(value: object, *, name: str | None = None, name_key: str = "id") -> NamedConfig:
    fields = mapping(value)
    return NamedConfig(
        name=name or text(fields.get(name_key)),
        content={key: item for key, item in fields.items() if name is not None or key != name_key},
        error=_optional_text(fields.get("error")) if fields.get("controller_type") == "error" else None,
    )


def template_field(name: str, value: object) -> TemplateField:
    fields = mapping(value)
    default = fields.get("default")
    # "required" is always false; a field without a default says so by pydantic's own word.
    is_required = default == "PydanticUndefined"
    return TemplateField(
        name=name,
        type_text=_optional_text(fields.get("type")) or "",
        default=None if is_required else default,
        is_required=is_required,
    )


def instance_trade(value: object) -> InstanceTrade:
    fields = mapping(value)
    price, quantity, stamp = amount(fields.get("price")), amount(fields.get("quantity")), fields.get("trade_timestamp")
    if price is None or quantity is None or not isinstance(stamp, int) or isinstance(stamp, bool):
        raise ShapeError("a trade without price, quantity or time")
    return InstanceTrade(
        trade_id=text(fields.get("trade_id")),
        connector=text(fields.get("market")),
        symbol=text(fields.get("symbol")),
        side=_side(fields.get("trade_type")),
        price=price,
        quantity=quantity,
        traded_at=_epoch(Decimal(stamp) / 1000),
        fees=_flat_fees(fields.get("raw_json")),
    )


def _flat_fees(value: object) -> tuple[tuple[str, Decimal], ...]:
    trade_fee = value.get("trade_fee") if isinstance(value, dict) else None
    flat_fees = trade_fee.get("flat_fees") if isinstance(trade_fee, dict) else None
    if not isinstance(flat_fees, list):
        return ()
    pairs = ((text(mapping(fee).get("token")), amount(mapping(fee).get("amount"))) for fee in flat_fees)
    return tuple((token, paid) for token, paid in pairs if paid is not None)


def performance_snapshot(value: object) -> PerformanceSnapshot:
    fields = mapping(value)
    recorded_at = iso_instant(fields.get("timestamp"))
    if recorded_at is None:
        raise ShapeError("a snapshot without a time")
    return PerformanceSnapshot(
        instance_name=text(fields.get("bot_name")),
        recorded_at=recorded_at,
        report=controller_report(text(fields.get("controller_id")), fields),
    )


def iso_instant(value: object) -> datetime | None:
    """An aware UTC instant. Hummingbot's times without an offset are UTC."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        raise ShapeError("a time that cannot be read") from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def _log_lines(value: object) -> tuple[LogLine, ...]:
    """The newest few, oldest first, without secrets; Hummingbot keeps a hundred."""
    lines = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    return tuple(
        LogLine(
            level=str(line.get("level_name", "")),
            text=without_secrets(str(line.get("msg", "")))[:MOST_CHARACTERS],
            at=_epoch(line["timestamp"]) if isinstance(line.get("timestamp"), Decimal | int) else None,
        )
        for line in lines[-_LOG_LINES:]
    )


def _epoch(seconds: Decimal | int) -> datetime:
    try:
        return datetime.fromtimestamp(float(seconds), tz=UTC)
    except (OverflowError, OSError, ValueError):
        raise ShapeError("a time that cannot be read") from None


def _side(value: object) -> str:
    side = text(value).removeprefix("TradeType.").lower()
    if side not in ("buy", "sell"):
        raise ShapeError("neither buy nor sell")
    return side


def _optional_text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
