"""The verdict where no list of trades could be had: why, and what would change that. Pure and total."""

from __future__ import annotations

from datetime import datetime

from bots.rules.words import HealthStatus
from health.rules.words import Cause, span
from health.types import Evidence, ExchangeSeen, TradesOutcome, TradesSeen, Verdict

_FAILED = {
    TradesOutcome.NO_CREDENTIALS: HealthStatus.UNKNOWN,
    TradesOutcome.NOT_READABLE: HealthStatus.UNKNOWN,
    TradesOutcome.REFUSED: HealthStatus.ERROR,
    TradesOutcome.UNREADABLE: HealthStatus.UNKNOWN,
    TradesOutcome.RATE_LIMITED: HealthStatus.UNKNOWN,
    TradesOutcome.BROKE: HealthStatus.ERROR,
    TradesOutcome.NOT_ASKED: HealthStatus.UNKNOWN,
}
_NEW_KEY = "Give its connector a key that the exchange accepts and that may read trades."
_CHANGES = {
    TradesOutcome.NO_CREDENTIALS: "Credentials that may read its trades; until then heartbeats of its own.",
    TradesOutcome.NOT_READABLE: "Heartbeats of its own, or another exchange.",
    TradesOutcome.REFUSED: "Correct what the message names: the pair, the market or a permission.",
    TradesOutcome.UNREADABLE: "The exchange's next readable answer decides.",
    TradesOutcome.RATE_LIMITED: "The exchange's next answer decides; it is asked when it allows it.",
    TradesOutcome.BROKE: "The next check that works decides; who runs this bridge must look.",
    TradesOutcome.NOT_ASKED: "The first check decides.",
}
_CAUSES = {
    TradesOutcome.UNREADABLE: Cause.EXCHANGE,
    TradesOutcome.RATE_LIMITED: Cause.EXCHANGE,
    TradesOutcome.BROKE: Cause.BRIDGE,
}


def without_trades(evidence: Evidence, *, now: datetime) -> Verdict:
    """Why there is no list of trades. An exchange or key that is known to fail is not asked, and decides in its place."""
    trades, exchange = evidence.trades, evidence.exchange
    if trades.outcome == TradesOutcome.NOT_ASKED and exchange.is_key_valid is False:
        reason = exchange.detail or "The exchange refused its API key."
        return Verdict(HealthStatus.ERROR, reason, "exchange", _NEW_KEY, Cause.KEY)
    if trades.outcome == TradesOutcome.NOT_ASKED and exchange.is_reachable is False:
        reason = f"{exchange.detail or 'The exchange does not answer.'}{_for_how_long(exchange, now)}"
        return Verdict(HealthStatus.UNKNOWN, reason, "exchange", _CHANGES[TradesOutcome.UNREADABLE], Cause.EXCHANGE)
    return _failed(trades, exchange=exchange, now=now)


def _failed(trades: TradesSeen, *, exchange: ExchangeSeen, now: datetime) -> Verdict:
    status, reason = _FAILED[trades.outcome], trades.detail or "Not checked yet."
    if trades.outcome == TradesOutcome.REFUSED and exchange.is_key_valid is False:
        return Verdict(status, reason, "trades", _NEW_KEY, Cause.KEY)
    if trades.outcome == TradesOutcome.UNREADABLE and exchange.is_reachable is False:
        reason += _for_how_long(exchange, now)
    cause, changes_when = _CAUSES.get(trades.outcome, ""), _CHANGES[trades.outcome]
    if (
        trades.outcome == TradesOutcome.NOT_ASKED and trades.detail
    ):  # a circuit is open, or somebody else's turn comes first
        cause, changes_when = Cause.EXCHANGE, _CHANGES[TradesOutcome.UNREADABLE]
    return Verdict(status, reason, "trades", changes_when, cause)


def _for_how_long(exchange: ExchangeSeen, now: datetime) -> str:
    return f" It has not answered for {span(now - exchange.since)}." if exchange.since else ""
