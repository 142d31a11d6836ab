"""Evidence in few words, for tables of verdicts: every age is in minutes, and what is not named is not there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bots.rules.words import DesiredStatus, ReportedStatus, RuntimeKind, RuntimeStatus
from health.rules.verdict import judge
from health.types import (
    BalanceSeen,
    Evidence,
    ExchangeSeen,
    Heartbeat,
    Limits,
    OrdersSeen,
    ProbeOutcome,
    Run,
    RuntimeSeen,
    Shortage,
    TradesOutcome,
    TradesSeen,
    Verdict,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LIMITS = Limits(stale=timedelta(minutes=30), stopped=timedelta(minutes=120), heartbeat=timedelta(minutes=15))
EXTERNAL, HUMMINGBOT = RuntimeKind.EXTERNAL, RuntimeKind.HUMMINGBOT
RUNNING, STOPPED, CREATED = DesiredStatus.RUNNING, DesiredStatus.STOPPED, DesiredStatus.CREATED
READ = TradesOutcome.READ

REFUSED = {"outcome": TradesOutcome.REFUSED, "detail": "KuCoin refused the API key (AuthenticationError)."}
HTML = {"outcome": TradesOutcome.UNREADABLE, "detail": "KuCoin answered with a web page instead of data (BadResponse)."}
NO_KEY = {"outcome": TradesOutcome.NO_CREDENTIALS, "detail": "There are no credentials for KuCoin."}
CLOSED = {"outcome": TradesOutcome.NOT_READABLE, "detail": "BitMart closed in 2026 and ccxt no longer carries it."}


def ago(minutes: float | None) -> datetime | None:
    return None if minutes is None else NOW - timedelta(minutes=minutes)


def evidence(
    *,
    kind=EXTERNAL,
    desired=RUNNING,
    desired_ago=600.0,
    confirmed_ago=None,
    seen_ago=None,
    by="operator:alice",
    outcome=READ,
    detail="",
    trade_ago=None,
    shared_ago=None,
    future_in=None,
    known_ago=None,
    rivals=("Bot B",),
    heart=None,
    heart_ago=1.0,
    heart_until=None,
    heart_detail="",
    order_ago=None,
    order_count=3,
    order_own=True,
    orders=ProbeOutcome.READ,
    lacks=(),
    balance=ProbeOutcome.READ,
    container=None,
    explanation="",
    observed_ago=0.0,
    changed_ago=None,
    figures_ago=None,
    errors=(),
    errors_ago=0.0,
    reachable=None,
    key_valid=None,
    exchange="",
    exchange_ago=None,
) -> Evidence:
    """``order_ago``: "none" for a book without orders; ``lacks``: (currency, free, needed); ``heart_until``: minutes."""
    run = Run(kind, desired, ago(desired_ago), by, ago(confirmed_ago), ago(seen_ago))
    trades = TradesSeen(
        outcome,
        detail,
        "BTC/USDT at KuCoin",
        ago(trade_ago),
        ago(shared_ago),
        ago(None if future_in is None else -future_in),
        rivals=rivals if shared_ago is not None else (),
    )
    until = None if heart_until is None else ago(-heart_until)
    heartbeat = Heartbeat(ReportedStatus(heart), ago(heart_ago), until, heart_detail) if heart else None
    book = OrdersSeen()
    if order_ago == "none":
        book = OrdersSeen(orders, count=0)
    elif order_ago is not None:
        book = OrdersSeen(orders, count=order_count, newest_at=ago(order_ago), is_own=order_own)
    funds = BalanceSeen()
    if lacks:
        amounts = [(name, Decimal(free), None if needed is None else Decimal(needed)) for name, free, needed in lacks]
        funds = BalanceSeen(balance, shortages=tuple(Shortage(*amount) for amount in amounts))
    runtime = None
    if container:
        times = ago(observed_ago), ago(changed_ago), ago(figures_ago)
        runtime = RuntimeSeen(RuntimeStatus(container), explanation, *times, tuple(errors), ago(errors_ago))
    seen = ExchangeSeen(reachable, key_valid, exchange, ago(exchange_ago))
    return Evidence(run, trades, heartbeat, ago(known_ago), book, funds, runtime, seen)


def verdict_of(given) -> Verdict:
    return judge(evidence=evidence(**given), limits=LIMITS, now=NOW)
