"""The page of drift."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client as HttpClient
from django.utils import timezone

from bots.models import Bot, BotDrift
from tests.fixtures import Cast

YES = {"_form_submitted": "on"}
LIST = "/admin/bots/botdrift/"


@pytest.fixture
def drift(cast: Cast) -> BotDrift:
    Bot.objects.filter(id=cast.acme_bot).update(config={"order_amount": 1600})
    return BotDrift.objects.create(
        client_id=cast.acme, bot_id=cast.acme_bot, field="config.total_amount_quote", ours="1600", theirs="<script>",
        changed="there", found_at=timezone.now(),
    )  # fmt: skip


def test_what_differs_is_listed_with_both_values_and_where_it_changed(desk: HttpClient, drift: BotDrift) -> None:
    for query in ("", "?state=now", "?state=open", "?changed=there", "?q=total_amount"):
        page = body(desk.get(LIST + query))
        assert "config.total_amount_quote" in page and "acme maker of client_acme" in page, query
        assert "&lt;script&gt;" in page and "<script></td>" not in page
    assert "config.total_amount_quote" not in body(desk.get(f"{LIST}?state=closed"))
    assert "changed in Hummingbot after it was deployed" in body(desk.get(f"{LIST}{drift.pk}/change/"))


def test_each_choice_is_made_on_post_alone_and_carries_who_and_why(desk: HttpClient, drift: BotDrift) -> None:
    for path in ("push", "adopt", "ignore"):
        assert desk.get(f"{LIST}{drift.pk}/{path}/").status_code == 200
    drift.refresh_from_db()
    assert (drift.status, drift.chosen_by) == ("open", "")
    day = (timezone.now() + timedelta(days=3)).date()
    desk.post(f"{LIST}{drift.pk}/ignore/", YES | {"until": day.isoformat(), "reason": "a trial"})
    drift.refresh_from_db()
    assert (drift.status, drift.chosen_by, drift.reason) == ("ignored", "operator:alice", "a trial")
    assert drift.ignore_until is not None and drift.ignore_until.date() == day + timedelta(days=1)
    desk.post(f"{LIST}{drift.pk}/push/", YES | {"reason": "it is over"})
    drift.refresh_from_db()
    assert (drift.status, drift.reason, drift.ignore_until) == ("pushing", "it is over", None)


def test_a_theirs_that_fits_is_adopted_and_one_that_does_not_is_refused_in_words(
    desk: HttpClient, drift: BotDrift, cast: Cast
) -> None:
    BotDrift.objects.update(theirs="-5")
    desk.post(f"{LIST}{drift.pk}/adopt/", YES | {"reason": ""})
    assert "config.order_amount" in body(desk.get(LIST))
    BotDrift.objects.update(theirs="900.50")
    desk.post(f"{LIST}{drift.pk}/adopt/", YES | {"reason": ""})
    drift.refresh_from_db()
    assert (drift.status, drift.resolution) == ("closed", "adopted")
    assert str(Bot.objects.get(id=cast.acme_bot).config["order_amount"]) == "900.50"


def test_who_may_only_look_chooses_nothing(desk: HttpClient, drift: BotDrift) -> None:
    visitor = User.objects.create_user("victor", password="correct horse battery", is_staff=True)
    visitor.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    http = HttpClient()
    http.force_login(visitor, backend="django.contrib.auth.backends.ModelBackend")
    assert http.get(f"{LIST}{drift.pk}/change/").status_code == 200
    for path in ("push", "adopt", "ignore"):
        assert http.post(f"{LIST}{drift.pk}/{path}/", YES).status_code == 403
    drift.refresh_from_db()
    assert drift.status == "open"


def body(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())
