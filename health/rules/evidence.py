"""Evidence as it is stored and shown: one entry per probe, with its outcome and the instant it speaks of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from health.types import Evidence, Limits, TradesOutcome


def evidence_rows(evidence: Evidence, *, decided_by: str, now: datetime) -> list[dict[str, Any]]:
    """``[{probe, outcome, observed_at, detail, decided}]``, JSON-ready."""
    trades, heartbeat, run = evidence.trades, evidence.heartbeat, evidence.run
    rows = [_row("trades", trades.outcome, trades.asked_at or now, _trades_detail(evidence))]
    if heartbeat:
        rows.append(_row("heartbeat", heartbeat.word, heartbeat.received_at, f"Its heartbeat said {heartbeat.word}."))
    if run.confirmed_at:
        rows.append(_row("start", "confirmed", run.confirmed_at, "Its present run was confirmed."))
    if run.desired_at:
        by = f" by {run.desired_by}" if run.desired_by else ""
        rows.append(_row("wish", run.desired, run.desired_at, f"Wanted {run.desired}{by}."))
    if run.seen_running_at:
        rows.append(_row("runtime", "running", run.seen_running_at, "Hummingbot showed it running."))
    return [row | {"decided": row["probe"] == _PROBE_OF.get(decided_by, decided_by)} for row in rows]


_PROBE_OF = {"stop": "wish"}


def limits_row(limits: Limits) -> dict[str, Any]:
    """``{stale_minutes, stopped_minutes, heartbeat_minutes, source}``."""
    return {
        "stale_minutes": _number(limits.stale.total_seconds() / 60),
        "stopped_minutes": _number(limits.stopped.total_seconds() / 60),
        "heartbeat_minutes": _number(limits.heartbeat.total_seconds() / 60),
        "source": limits.source,
    }


def instant(moment: datetime) -> str:
    """ISO 8601 in UTC with Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _row(probe: str, outcome: str, at: datetime, detail: str) -> dict[str, Any]:
    return {"probe": probe, "outcome": str(outcome), "observed_at": instant(at), "detail": detail[:500]}


def _trades_detail(evidence: Evidence) -> str:
    trades = evidence.trades
    if trades.outcome != TradesOutcome.READ:
        return trades.detail or "Not checked yet."
    parts = [f"{trades.count or 0} own trades read on {trades.where}"]
    if trades.newest_at:
        parts.append(f"the newest at {instant(trades.newest_at)}")
    if trades.shared_at:
        parts.append(f"one at {instant(trades.shared_at)} may be this bot's or that of {', '.join(trades.rivals)}")
    if trades.future_at:
        parts.append(f"one with a time in the future, {instant(trades.future_at)}")
    if evidence.known_trade_at and evidence.known_trade_at > (trades.newest_at or datetime.min.replace(tzinfo=UTC)):
        parts.append(f"an earlier check saw one at {instant(evidence.known_trade_at)}")
    return "; ".join(parts) + "."


def _number(value: float) -> float | int:
    rounded = round(value, 4)
    return int(rounded) if rounded == int(rounded) else rounded
