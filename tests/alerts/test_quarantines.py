"""A bot that its recovery has left for a person is one incident, until somebody starts or stops it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from alerts.models import Incident
from alerts.services.raise_quarantines import raise_quarantines
from alerts.tasks import SCOPE
from bots.models import Bot, BotRecovery
from bots.services.stop_bot import stop_bot
from tests.fixtures import OPERATOR, Cast, make_bot

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_quarantine_is_told_once_and_ends_with_it(cast: Cast) -> None:
    bot = make_bot("client_acme", runtime_kind="hummingbot", name="sharp")
    Bot.objects.filter(id=bot).update(desired_status="running")
    BotRecovery.objects.create(
        bot_id=bot, client_id=cast.acme, failures=5, quarantined_at=NOON, reason="Its container has ended."
    )
    assert [raise_quarantines(scope=SCOPE, now=NOON) for _ in range(2)] == [1, 0]
    incident = Incident.objects.get(kind="bot_quarantined")
    assert (incident.key, incident.severity, incident.client_id) == (str(bot), "critical", cast.acme)
    assert incident.title == "sharp is not started again by itself: Its container has ended."
    stop_bot(scope=OPERATOR, bot_id=bot, now=NOON)
    assert raise_quarantines(scope=SCOPE, now=NOON + timedelta(minutes=1)) == 0
    incident.refresh_from_db()
    assert incident.resolved_at == NOON + timedelta(minutes=1)


def test_bot_that_only_waits_is_no_incident(cast: Cast) -> None:
    bot = make_bot("client_acme", runtime_kind="hummingbot")
    Bot.objects.filter(id=bot).update(desired_status="running")
    BotRecovery.objects.create(bot_id=bot, client_id=cast.acme, failures=2, next_at=NOON)
    assert raise_quarantines(scope=SCOPE, now=NOON) == 0
