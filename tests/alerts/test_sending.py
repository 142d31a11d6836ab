"""Claiming, sending and recording: in order, once, again after a failure, and by somebody else after a worker's end."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connections
from django.utils import timezone

from alerts.gateways.connect import open_channel
from alerts.gateways.message import Message
from alerts.models import AlertChannel, AlertDelivery, Incident
from alerts.services import send_deliveries, test_channel
from alerts.services.claim_deliveries import LEASE, MOST_ATTEMPTS, claim_next, claim_one
from alerts.services.send_deliveries import send_again, send_claimed, send_due, send_one
from ground.errors import Conflict, NotFound, NotReady, RateLimited, Rejected
from tests.alerts.receivers import KEY, Receiver, Request, documented, make_channel, make_message, receiver
from tests.fixtures import OPERATOR


@pytest.fixture
def web() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def send(now: datetime | None = None, **options: Any) -> int:
    return send_due(open_channel=open_channel, clock=lambda: now or timezone.now(), **options)


def row(delivery_id: UUID) -> AlertDelivery:
    with OPERATOR.transaction():
        return AlertDelivery.objects.select_related("channel").get(id=delivery_id)


def test_message_arrives_signed_once_and_is_recorded(database: None, web: Receiver) -> None:
    channel = make_channel(address=web.url)
    message = make_message(channel)
    assert send() == 1 and send() == 0
    (request,) = web.requests
    assert documented.verify_webhook(request.headers, request.body, KEY) == str(message)
    assert json.loads(request.body) == {"event": "opened", "about": "1", "figure": "1.10"}
    sent = row(message)
    assert (sent.status, sent.attempts, sent.error, sent.may_be_double) == ("sent", 1, "", False)
    assert sent.sent_at and sent.lease_token is None and sent.lease_until is None
    assert sent.channel.last_sent_at == sent.sent_at and sent.channel.last_error == ""


def test_message_that_is_not_due_waits(database: None, web: Receiver) -> None:
    message = make_message(make_channel(address=web.url), due_at=timezone.now() + timedelta(minutes=5))
    assert send() == 0
    assert send(timezone.now() + timedelta(minutes=6)) == 1
    assert row(message).status == "sent"


def test_failures_wait_longer_each_time_and_five_are_the_end(database: None, web: Receiver) -> None:
    web.answer = lambda request: (500, {})
    message = make_message(make_channel(address=web.url))
    now, waited = timezone.now(), []
    for _ in range(MOST_ATTEMPTS - 1):
        assert send(now) == 1
        failed = row(message)
        assert (failed.status, failed.error) == ("waiting", "The webhook answered HTTP 500.")
        waited.append((failed.due_at - now).total_seconds())
        assert send(failed.due_at - timedelta(seconds=1)) == 0
        now = failed.due_at
    assert waited == [30, 120, 600, 3600]
    assert send(now) == 1
    assert row(message).status == "failed" and row(message).channel.last_error == "The webhook answered HTTP 500."
    assert send(now + timedelta(days=1)) == 0 and len(web.requests) == 5
    assert len(set(web.deliveries())) == 1


def test_failed_message_is_sent_again_when_a_person_says_so(database: None, web: Receiver) -> None:
    message = make_message(make_channel(address=web.url))
    with pytest.raises(Conflict):
        send_again(scope=OPERATOR, delivery_id=message, now=timezone.now())
    with pytest.raises(NotFound):
        send_again(scope=OPERATOR, delivery_id=uuid4(), now=timezone.now())
    with OPERATOR.transaction():
        AlertDelivery.objects.filter(id=message).update(status="failed", attempts=5)
    send_again(scope=OPERATOR, delivery_id=message, now=timezone.now())
    assert send() == 1 and row(message).status == "sent"


def test_receiver_that_asks_for_time_gets_it(database: None, web: Receiver) -> None:
    web.answer = lambda request: (429, {"Retry-After": "900"})
    channel = make_channel(address=web.url)
    first, second = make_message(channel, about="1"), make_message(channel, about="2")
    now = timezone.now()
    assert send(now) == 1
    assert {row(first).due_at, row(second).due_at} == {now + timedelta(seconds=900)}, "the others wait with it"
    assert row(second).attempts == 0


def test_unreachable_channel_rests_and_does_not_delay_another(database: None, web: Receiver) -> None:
    with receiver() as gone:
        dead = make_channel(address=gone.url, name="dead")
    alive = make_channel(address=web.url, name="alive")
    mine = [make_message(dead, about=f"dead {number}") for number in range(5)]
    for number in range(5):
        make_message(alive, about=f"alive {number}")
    assert send() == 6
    assert len(web.requests) == 5
    assert [row(one).attempts for one in mine] == [1, 0, 0, 0, 0]
    assert all(row(one).due_at > timezone.now() + timedelta(seconds=20) for one in mine)
    assert row(mine[0]).error == "Nothing accepts connections at the webhook's address."
    assert not row(mine[0]).may_be_double, "nothing was taken"


def test_what_one_message_is_refused_for_does_not_stop_the_others(database: None, web: Receiver) -> None:
    web.answer = lambda request: (400 if json.loads(request.body)["about"] == "1" else 200, {})
    channel = make_channel(address=web.url)
    make_message(channel, about="1")
    make_message(channel, about="2")
    assert send() == 2
    with OPERATOR.transaction():
        assert sorted(AlertDelivery.objects.values_list("status", flat=True)) == ["sent", "waiting"]


def test_later_message_about_the_same_incident_does_not_overtake(database: None, web: Receiver) -> None:
    web.answer = lambda request: (200 if len(web.requests) > 1 else 503, {})
    channel = make_channel(address=web.url)
    first = make_message(channel)
    second = make_message(channel, kind="resolved")
    now = timezone.now()
    assert send(now) == 1
    assert send(now + timedelta(seconds=31)) == 2
    assert web.deliveries() == [str(first), str(first), str(second)]


def test_answer_that_never_came_may_have_been_taken_and_the_row_says_so(database: None, web: Receiver) -> None:
    def drop(request: Request) -> tuple[int, dict[str, str]]:
        raise ConnectionAbortedError

    web.answer = drop
    message = make_message(make_channel(address=web.url))
    send()
    kept = row(message)
    assert (kept.status, kept.may_be_double) == ("waiting", True) and "may have taken" in kept.error
    web.answer = lambda request: (200, {})
    send(timezone.now() + timedelta(minutes=1))
    assert row(message).status == "sent"
    assert len(web.requests) == 2 and len(set(web.deliveries())) == 1


def test_many_workers_at_once_send_each_message_once_and_in_order(database: None, web: Receiver) -> None:
    channels = [make_channel(address=f"{web.url}/{name}", name=name) for name in "abc"]
    for number in range(12):
        for channel in channels:
            make_message(channel, about=f"{number:02}")
    counts: list[int] = []

    def work() -> None:
        while len(web.requests) < 36:
            counts.append(send(most_channels=2, budget_s=0.2))
        connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(counts) == 36 and set(Counter(web.deliveries()).values()) == {1}
    for name in "abc":
        abouts = [request.body for request in web.requests if request.path.endswith(name)]
        assert abouts == sorted(abouts) and len(abouts) == 12


def test_lease_that_ended_lets_another_send_and_the_first_record_nothing(database: None, web: Receiver) -> None:
    message = make_message(make_channel(address=web.url))
    now = timezone.now()
    (slow,) = claim_next(now=now, most=8)
    assert claim_next(now=now + LEASE - timedelta(seconds=1), most=8) == []
    assert claim_one(delivery_id=message, now=now) == []
    later = now + LEASE + timedelta(seconds=1)
    (quick,) = claim_next(now=later, most=8)
    assert quick.message.delivery_id == slow.message.delivery_id == message
    assert row(message).may_be_double and quick.attempt == 2
    send_claimed(claimed=slow, open_channel=open_channel, clock=lambda: later)
    assert row(message).status == "sending", "the slow one has lost it"
    send_claimed(claimed=quick, open_channel=open_channel, clock=lambda: later)
    assert row(message).status == "sent" and len(set(web.deliveries())) == 1


def test_message_that_ends_its_workers_is_given_up(database: None, web: Receiver) -> None:
    message = make_message(make_channel(address=web.url))
    now = timezone.now()
    for _ in range(MOST_ATTEMPTS):
        assert claim_next(now=now, most=1)
        now += LEASE
    assert claim_next(now=now, most=1) == []
    assert row(message).status == "failed" and "worker died" in row(message).error


def test_channel_that_was_switched_off_gets_nothing_but_tests(database: None, web: Receiver) -> None:
    channel = make_channel(address=web.url, is_enabled=False)
    message = make_message(channel)
    test = test_channel.send_test(scope=OPERATOR, channel_id=channel.id, now=timezone.now())
    assert send() == 1
    assert (row(message).status, row(message).error) == ("skipped", "The channel is switched off.")
    assert row(test).status == "sent" and web.deliveries() == [str(test)]


def test_look_again_comes_before_every_claim_and_may_hold_what_is_due(database: None, web: Receiver) -> None:
    channel = make_channel(address=web.url)
    make_message(channel, about="1")
    held = make_message(channel, about="2")

    def hold(now: datetime) -> None:
        if web.requests:
            with OPERATOR.transaction():
                AlertDelivery.objects.filter(status="waiting").update(due_at=now + timedelta(hours=1))

    assert send(look_again=hold) == 1
    assert row(held).status == "waiting"


def test_test_button_says_what_came_of_it(database: None, web: Receiver, broker: object) -> None:
    channel = make_channel(address=web.url)
    test = test_channel.send_test(scope=OPERATOR, channel_id=channel.id, now=timezone.now())
    with pytest.raises(NotReady):
        test_channel.await_delivery(scope=OPERATOR, delivery_id=test, until_s=0)
    assert send_one(delivery_id=test, open_channel=open_channel, clock=timezone.now)
    assert not send_one(delivery_id=test, open_channel=open_channel, clock=timezone.now)
    said = test_channel.await_delivery(scope=OPERATOR, delivery_id=test, until_s=0)
    assert (said.status, said.error) == ("sent", "") and said.sent_at
    assert documented.verify_webhook(web.requests[0].headers, web.requests[0].body, KEY) == str(test)
    web.answer = lambda request: (404, {})
    other = test_channel.send_test(scope=OPERATOR, channel_id=channel.id, now=timezone.now())
    send_one(delivery_id=other, open_channel=open_channel, clock=timezone.now)
    said = test_channel.await_delivery(scope=OPERATOR, delivery_id=other, until_s=0)
    assert (said.status, said.error, said.sent_at) == ("failed", "The webhook answered HTTP 404.", None)
    with OPERATOR.transaction():
        assert AlertChannel.objects.get().last_error == said.error and not Incident.objects.exists()
    with pytest.raises(NotFound):
        test_channel.send_test(scope=OPERATOR, channel_id=uuid4(), now=timezone.now())


def test_gateway_that_breaks_is_a_failed_attempt_and_tells_no_secret(
    database: None, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def send(self, message: Message) -> str:
            raise RuntimeError("https://hooks.example.com/secret-part")

    message = make_message(make_channel(address="https://hooks.example.com/secret-part"))
    assert send_due(open_channel=lambda *_: Broken(), clock=timezone.now) == 1
    assert row(message).status == "waiting" and "secret-part" not in row(message).error
    assert "alert_sending_broke" in caplog.text and "secret-part" not in caplog.text


def test_waits_follow_the_attempt_and_what_the_receiver_asks() -> None:
    refused = Rejected("no", system="webhook")
    assert [send_deliveries.wait_after(n, refused) for n in range(1, 6)] == [*send_deliveries.WAITS, None]
    assert send_deliveries.wait_after(1, RateLimited("no", system="x", retry_after_s=90)) == timedelta(seconds=90)
    assert send_deliveries.wait_after(1, RateLimited("no", system="x", retry_after_s=99999)) == timedelta(hours=6)
