"""Which trades bots made, by their own records in Hummingbot: what tells apart those that share account and pair.

Asking a bot for its history makes Hummingbot take it for alive during the next 30 s, also a dead one. So only bots are
asked that were just seen running, and only where nothing else tells whose a trade is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol
from uuid import UUID

from structlog import get_logger

from bots.rules.words import RuntimeStatus
from bots.types import InstanceTrade
from ground.errors import GatewayError
from ground.scope import assert_no_transaction
from health.subjects import Subject

log = get_logger(__name__)

TIMEOUT_S = 3.0
MOST_AT_ONCE = 8
MOST_BOTS = 40  # in one round


class Histories(Protocol):
    """What ``bots.gateways.hummingbot.HummingbotGateway`` gives."""

    def trades_of(self, instance_name: str, *, days: int = 1, timeout_s: float = 5.0) -> tuple[InstanceTrade, ...]: ...


def own_trade_ids(subjects: Collection[Subject], histories: Histories | None) -> Mapping[UUID, frozenset[str]]:
    """The exchange's ids of the trades of the last day that each bot recorded; bots that did not tell are missing."""
    asked = [subject for subject in subjects if _may_be_asked(subject)][:MOST_BOTS]
    if histories is None or not asked:
        return {}
    assert_no_transaction()
    with ThreadPoolExecutor(max_workers=min(MOST_AT_ONCE, len(asked)), thread_name_prefix="history") as threads:
        told = list(threads.map(lambda subject: _ids(subject.instance_name, histories), asked))
    return {subject.bot_id: ids for subject, ids in zip(asked, told, strict=True) if ids is not None}


def _may_be_asked(subject: Subject) -> bool:
    runtime = subject.runtime
    return bool(
        subject.instance_name and runtime and runtime.status == RuntimeStatus.RUNNING and subject.run.seen_running_at
    )


def _ids(instance_name: str, histories: Histories) -> frozenset[str] | None:
    try:
        return frozenset(trade.trade_id for trade in histories.trades_of(instance_name, days=1, timeout_s=TIMEOUT_S))
    except GatewayError as error:
        log.info("history_not_told", instance=instance_name, error=error.code)
        return None
