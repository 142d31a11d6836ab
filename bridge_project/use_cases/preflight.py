"""Before a redeploy: which bots hold positions or open orders, what stopping would mean, and what had better finish first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.cache import cache
from redis.exceptions import RedisError

from bots.models import BotDeployment, BotDrift, HummingbotState
from bots.rules.drift import DriftStatus
from bots.rules.words import DeploymentStatus, RuntimeKind
from bots.selectors import JOINS, STATUS, base_params
from bridge_project.use_cases.preflight_words import Meaning, Risk, meaning
from ground.errors import NotReady
from ground.scope import Scope
from ground.sql import fetch_all
from strategies.models import RestoreRun
from strategies.rules.restore import OPEN_RUNS
from strategies.services.read_carried import Gateways, read_carried

MOST_S = 60.0
_KEPT_S = 24 * 3600
_WAITS_S = 120  # longer than a worker may take
_KEY, _ASKED = "preflight", "preflight-asked"
_MAY_RUN = ("running", "starting", "stopping", "unknown", "error")

# Those that are wanted running, that may still run, or that hold something in the ledger.
_BOTS = f"""
    SELECT b.id, c.account_identifier, b.name, b.pair, b.connector_name, b.runtime_kind, {STATUS}, b.desired_status
      FROM bots b {JOINS}
     WHERE b.retired_at IS NULL AND b.runtime_kind <> 'arena' AND (%(tenant)s::uuid IS NULL OR b.client_id = %(tenant)s)
       AND (b.desired_status = 'running' OR ({STATUS}) IN ('running', 'starting', 'stopping', 'unknown')
            OR EXISTS (SELECT 1 FROM positions p WHERE p.bot_id = b.id AND p.status = 'open' AND p.mode = 'live'))
     ORDER BY c.account_identifier, b.name, b.id
"""  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True)
class BotAtRisk:
    """One bot, what it holds, and what happens to that."""

    id: UUID
    account: str
    name: str
    pair: str
    exchange: str
    status: str
    carried: Mapping[str, Any]
    meaning: Meaning


@dataclass(frozen=True, slots=True)
class Preflight:
    """``unfinished``: sentences of what had better be waited for."""

    asked_at: datetime
    bots: tuple[BotAtRisk, ...]
    unfinished: tuple[str, ...]

    def count(self, risk: Risk) -> int:
        return sum(1 for bot in self.bots if bot.meaning.risk == risk)

    @property
    def is_clear(self) -> bool:
        return not self.unfinished and self.count(Risk.CLEAR) == len(self.bots)

    def to_json(self) -> dict[str, Any]:
        bots = [asdict(bot) | {"id": str(bot.id)} for bot in self.bots]
        summary = {str(risk): self.count(risk) for risk in Risk}
        return {
            "asked_at": self.asked_at.isoformat(), "is_clear": self.is_clear, "summary": summary,
            "unfinished": list(self.unfinished), "bots": bots,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class KeptPreflight:
    """``found``: as ``Preflight.to_json``. ``awaited``: ``by`` and ``at`` of whoever asked and has no answer yet."""

    found: dict[str, Any] | None
    awaited: dict[str, str] | None


def preflight(*, scope: Scope, gateways: Gateways, now: datetime, most_s: float = MOST_S) -> Preflight:
    """Read the ledger and the exchanges; changes nothing. Runs in a command or a worker, never in a request."""
    with scope.transaction():
        rows = fetch_all(_BOTS, base_params(scope))
        unfinished = tuple(_unfinished())
    carried = read_carried(scope=scope, bot_ids=[row[0] for row in rows], gateways=gateways, now=now, most_s=most_s)
    bots = tuple(_at_risk(row, carried[row[0]]) for row in rows)
    return Preflight(now, tuple(sorted(bots, key=lambda bot: list(Risk).index(bot.meaning.risk))), unfinished)


def keep_preflight(found: Preflight) -> None:
    """For the page, which asks no exchange itself. Kept where every web process looks: in Redis, for a day."""
    cache.set(_KEY, json.dumps(found.to_json()), _KEPT_S)


def note_asked(*, by: str, now: datetime) -> None:
    """That somebody waits for an answer, so that each web process says so until there is one."""
    cache.set(_ASKED, json.dumps({"by": by, "at": now.isoformat()}), _WAITS_S)


def kept_preflight() -> KeptPreflight:
    """What was found last, within a day, and whether an answer is awaited. Raises NotReady while Redis is away."""
    try:
        kept, asked = cache.get(_KEY), cache.get(_ASKED)
    except RedisError:
        raise NotReady("Redis does not answer, so what was found cannot be shown.", code="broker_away") from None
    found = json.loads(kept) if kept else None
    asked = json.loads(asked) if asked else None
    is_answered = bool(found and asked and _moment(found["asked_at"]) >= _moment(asked["at"]))
    return KeptPreflight(found, None if is_answered else asked)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _at_risk(row: Sequence[Any], carried: Mapping[str, Any]) -> BotAtRisk:
    bot_id, account, name, pair, exchange, kind, status, desired = row
    runs = status in _MAY_RUN and (desired == "running" or status != "error")
    told = meaning(kind=RuntimeKind(kind), runs=runs, carried=carried)
    return BotAtRisk(bot_id, account, name, pair, exchange, status, carried, told)


def _unfinished() -> list[str]:
    """What a stop in this moment would leave half done. Each goes on by itself afterwards, but later."""
    sending = BotDeployment.objects.filter(status__in=(DeploymentStatus.SENDING, DeploymentStatus.UNKNOWN_OUTCOME))
    waiting = BotDeployment.objects.filter(status__in=(DeploymentStatus.WANTED, DeploymentStatus.STOPPING))
    pushing = BotDrift.objects.filter(status=DriftStatus.PUSHING)
    restoring = RestoreRun.objects.filter(is_dry_run=False, status__in=[str(word) for word in OPEN_RUNS])
    away = HummingbotState.objects.filter(id=1, failures__gt=0)
    found = (
        (sending.count(), "{} being sent to Hummingbot, or looked up after a lost answer: wait until it is known."),
        (waiting.count(), "{} still to be started or stopped in Hummingbot."),
        (pushing.count(), "{} of drift still to be pushed."),
        (restoring.count(), "{} of strategies still going on."),
        (away.count(), "Hummingbot does not answer: what its bots do cannot be told."),
    )
    things = ("deployment", "deployment", "choice", "restore", "")
    return [
        sentence.format(f"{number} {thing}{'' if number == 1 else 's'}")
        for (number, sentence), thing in zip(found, things, strict=True)
        if number
    ]
