"""Evidence as it is stored and shown: one entry per probe, with its outcome and the instant it speaks of."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from bots.rules.words import DesiredStatus, RuntimeKind
from health.rules.causes import shortage_words
from health.rules.signs import is_fresh, said
from health.rules.words import moment, span
from health.types import (
    BalanceSeen,
    Evidence,
    ExchangeSeen,
    Heartbeat,
    Limits,
    OrdersSeen,
    ProbeOutcome,
    RuntimeSeen,
    TradesOutcome,
)

PROBES = ("trades", "orders", "balance", "heartbeat", "runtime", "exchange", "start", "wish", "cadence")
SOURCES = ("bot", "learned", "settings", "environment")
_PROBE_OF = {"stop": "wish"}
_WHY = {
    "bot": "Its own thresholds hold.",
    "learned": "Learned from its own trades.",
    "settings": "The thresholds of the health settings hold.",
    "environment": "The thresholds of the environment hold.",
}


def evidence_rows(
    evidence: Evidence, *, decided_by: str, now: datetime, limits: Limits | None = None
) -> list[dict[str, Any]]:
    """``[{probe, outcome, observed_at, detail, decided}]``, JSON-ready, in the order of PROBES.

    Trades, orders and balance always have an entry, also when nobody asked; the others where the bot has such a thing.
    Exactly one decided.
    """
    decisive = _PROBE_OF.get(decided_by, decided_by)
    rows = _rows(evidence, now=now, limits=limits)
    return [row | {"decided": row["probe"] == decisive} for row in rows]


def limits_row(limits: Limits) -> dict[str, Any]:
    """``{stale_minutes, stopped_minutes, heartbeat_minutes, source, why}``."""
    return {
        "stale_minutes": _number(limits.stale.total_seconds() / 60),
        "stopped_minutes": _number(limits.stopped.total_seconds() / 60),
        "heartbeat_minutes": _number(limits.heartbeat.total_seconds() / 60),
        "source": limits.source,
        "why": _sentence(limits.why) or _WHY.get(limits.source, ""),
    }


def instant(moment: datetime) -> str:
    """ISO 8601 in UTC with Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _rows(evidence: Evidence, *, now: datetime, limits: Limits | None) -> Iterator[dict[str, Any]]:
    trades, orders, balance, exchange = evidence.trades, evidence.orders, evidence.balance, evidence.exchange
    yield _row("trades", trades.outcome, trades.asked_at or now, _trades_detail(evidence))
    yield _row("orders", orders.outcome, orders.asked_at or now, _orders_detail(orders, now=now))
    yield _row("balance", _balance_outcome(balance), balance.asked_at or now, _balance_detail(balance))
    if evidence.heartbeat:
        heartbeat = evidence.heartbeat
        yield _row("heartbeat", heartbeat.word, heartbeat.received_at, _heartbeat_detail(heartbeat, limits, now))
    yield from _runtime_rows(evidence, now=now)
    if exchange.is_reachable is not None or exchange.is_key_valid is not None:
        yield _row("exchange", _exchange_outcome(exchange), exchange.asked_at or now, _exchange_detail(exchange, now))
    yield from _run_rows(evidence, now=now)
    if limits:
        yield _row("cadence", limits.source, now, _limits_detail(limits))


def _row(probe: str, outcome: str, at: datetime, detail: str) -> dict[str, Any]:
    return {"probe": probe, "outcome": str(outcome), "observed_at": instant(at), "detail": detail[:500]}


def _trades_detail(evidence: Evidence) -> str:
    trades = evidence.trades
    if trades.outcome != TradesOutcome.READ:
        known = evidence.known_trade_at
        earlier = f" An earlier check saw an own trade at {instant(known)}." if known else ""
        return f"{trades.detail or 'Not checked yet.'}{earlier}"
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


def _orders_detail(orders: OrdersSeen, *, now: datetime) -> str:
    if orders.outcome != ProbeOutcome.READ:
        reason = "Not asked: only looked at where trades do not show a bot healthy."
        return orders.detail or (reason if orders.outcome == ProbeOutcome.NOT_ASKED else "They could not be read.")
    if not orders.count:
        return "No open order on its pair."
    placed = f", the newest placed {span(now - orders.newest_at)} ago" if orders.newest_at else ""
    whose = "" if orders.is_own else "; another bot shares account and pair, so whose they are cannot be told"
    return f"{orders.count} open order{'s' if orders.count > 1 else ''} on its pair{placed}{whose}."


def _balance_outcome(balance: BalanceSeen) -> str:
    if balance.outcome != ProbeOutcome.READ or not balance.shortages:
        return balance.outcome
    return "out" if any(shortage.is_out for shortage in balance.shortages) else "short"


def _balance_detail(balance: BalanceSeen) -> str:
    if balance.outcome != ProbeOutcome.READ:
        return balance.detail or (
            "Not asked." if balance.outcome == ProbeOutcome.NOT_ASKED else "It could not be read."
        )
    if not balance.shortages:
        return balance.detail or "Its account has what its next order needs."
    return f"Its account is {'; '.join(shortage_words(shortage) for shortage in balance.shortages)}."


def _heartbeat_detail(heartbeat: Heartbeat, limits: Limits | None, now: datetime) -> str:
    says = f"Its {said(heartbeat, now=now)}."
    if heartbeat.expires_at and heartbeat.expires_at < now:
        return f"{says} The next one is overdue for {span(now - heartbeat.expires_at)}."
    if heartbeat.expires_at:
        return f"{says} The next one is expected by {moment(heartbeat.expires_at, now=now)}."
    if limits and not is_fresh(heartbeat.received_at, limits=limits, now=now):
        return f"{says} That is older than {span(limits.heartbeat)}, so it says nothing any more."
    return says


def _runtime_rows(evidence: Evidence, *, now: datetime) -> Iterator[dict[str, Any]]:
    runtime, seen_at = evidence.runtime, evidence.run.seen_running_at
    if runtime:
        yield _row("runtime", runtime.status, runtime.observed_at, _runtime_detail(runtime, now=now))
    elif seen_at:
        yield _row("runtime", "running", seen_at, "Hummingbot showed it running.")


def _runtime_detail(runtime: RuntimeSeen, *, now: datetime) -> str:
    parts = [runtime.explanation or f"Hummingbot shows it {runtime.status}."]
    if runtime.changed_at:
        parts.append(f"So since {moment(runtime.changed_at, now=now)}.")
    if runtime.figures_changed_at:
        parts.append(f"Its figures last changed {span(now - runtime.figures_changed_at)} ago.")
    if runtime.errors:
        parts.append(f"Its log says: {' '.join(runtime.errors[0].split())[:200]}")
    return " ".join(parts)


def _exchange_outcome(exchange: ExchangeSeen) -> str:
    if exchange.is_reachable is False:
        return "unreachable"
    return "key_refused" if exchange.is_key_valid is False else "reachable"


def _exchange_detail(exchange: ExchangeSeen, now: datetime) -> str:
    if exchange.is_reachable is not False and exchange.is_key_valid is not False:
        return "It answers." if exchange.is_key_valid is None else "It answers and accepts the key."
    why = exchange.detail or ("It does not answer." if exchange.is_reachable is False else "It refuses the key.")
    return f"{why} So since {moment(exchange.since, now=now)}." if exchange.since else why


def _run_rows(evidence: Evidence, *, now: datetime) -> Iterator[dict[str, Any]]:
    run = evidence.run
    if run.confirmed_at:
        yield _row("start", "confirmed", run.confirmed_at, "Its present run was confirmed.")
    elif run.kind == RuntimeKind.HUMMINGBOT and run.desired == DesiredStatus.RUNNING and run.desired_at:
        yield _row("start", "unconfirmed", run.desired_at, "It was asked to start, which was not confirmed yet.")
    elif run.desired == DesiredStatus.CREATED:
        yield _row("start", "never", run.desired_at or now, "It was never started here.")
    if run.desired != DesiredStatus.CREATED:
        by = f" by {run.desired_by}" if run.desired_by else ""
        yield _row("wish", run.desired, run.desired_at or now, f"Wanted {run.desired}{by}.")


def _limits_detail(limits: Limits) -> str:
    row = limits_row(limits)
    return f"Stale after {span(limits.stale)} without a trade, stopped after {span(limits.stopped)}. {row['why']}"


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:].rstrip('.')}." if words else ""


def _number(value: float) -> float | int:
    rounded = round(value, 4)
    return int(rounded) if rounded == int(rounded) else rounded
