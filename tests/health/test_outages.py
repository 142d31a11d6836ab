"""The rule of troubles holds whatever the bots: each is told of once at most, and nothing ends because it cannot be told."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from bots.rules.words import HealthStatus
from health.rules.outages import (
    OF_ONE_BOT,
    BotSeen,
    CircuitSeen,
    HummingbotSeen,
    Outage,
    find_troubles,
    spread,
    what_is_over,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MOMENTS = st.integers(-60, 0).map(lambda minutes: NOON + timedelta(minutes=minutes))


def seen(number: int, **fields: Any) -> BotSeen:
    given_ = {
        "client_id": UUID(int=1), "account": "acme", "name": f"bot {number}", "pair": "BTC/USDT", "exchange": "kucoin",
        "exchange_title": "KuCoin", "is_hummingbot": False, "is_wanted": True, "is_retired": False,
        "status": HealthStatus.HEALTHY, "message": "Traded.", "cause": "", "fingerprint": "a", "key_hint": "abcd…wxyz",
        "changed_at": NOON - timedelta(minutes=30),
    }  # fmt: skip
    return BotSeen(bot_id=UUID(int=number), **{**given_, **fields})


BOTS = st.lists(
    st.fixed_dictionaries(
        {
            "exchange": st.sampled_from(["kucoin", "gate"]),
            "fingerprint": st.sampled_from(["a", "b"]),
            "is_hummingbot": st.booleans(),
            "is_wanted": st.booleans(),
            "is_retired": st.booleans(),
            "status": st.sampled_from(HealthStatus),
            "cause": st.sampled_from(["", "exchange", "key", "balance", "runtime", "bridge"]),
            "shortage": st.sampled_from(["", "USDT"]),
            "changed_at": MOMENTS,
            "checked_at": st.none() | MOMENTS,
            "released_at": st.none() | MOMENTS,
        }
    ),
    max_size=12,
).map(lambda given_: [seen(number, **fields) for number, fields in enumerate(given_, 1)])
CIRCUITS = st.lists(st.builds(CircuitSeen, st.sampled_from(["kucoin", "gate"]), st.just("away"), MOMENTS), max_size=2)
HUMMINGBOT = st.builds(HummingbotSeen, st.none() | MOMENTS, st.just("away"), st.none() | MOMENTS)


@given(BOTS, CIRCUITS, HUMMINGBOT)
def test_each_bot_that_fell_is_told_of_once_or_waits(
    bots: list[BotSeen], circuits: list[CircuitSeen], hummingbot: HummingbotSeen
) -> None:
    found = find_troubles(bots=bots, circuits=circuits, hummingbot=hummingbot, now=NOON)
    names = Counter(told.name for told in found.troubles)
    assert all(count == 1 for count in names.values())
    assert not {name for name in names if name[0] in OF_ONE_BOT} & set(found.undecided)
    many = Counter(
        bot for told in found.troubles for bot in told.touched if told.trouble.key != "hummingbot"
    )  # an outage of Hummingbot names all of its bots, also those that an exchange hides
    own = Counter(told.trouble.bot_id for told in found.troubles if told.trouble.kind == Outage.BOT_HEALTH)
    for bot in bots:
        if bot.is_retired or not bot.is_wanted:
            assert not many[bot.bot_id] and not own[bot.bot_id]
        elif bot.status in (HealthStatus.STOPPED, HealthStatus.ERROR):
            waits = (Outage.BOT_HEALTH, str(bot.bot_id)) in found.undecided
            assert own[bot.bot_id] + waits == 1 and many[bot.bot_id] <= waits
        else:
            assert not own[bot.bot_id] and many[bot.bot_id] <= 1


@given(BOTS, CIRCUITS, HUMMINGBOT)
def test_a_trouble_of_one_bot_ends_only_when_it_lives_or_rests(
    bots: list[BotSeen], circuits: list[CircuitSeen], hummingbot: HummingbotSeen
) -> None:
    found = find_troubles(bots=bots, circuits=circuits, hummingbot=hummingbot, now=NOON)
    standing = [(Outage.BOT_HEALTH, str(bot.bot_id)) for bot in bots]
    over = {end.key for end in what_is_over(found=found, open_incidents=standing, bots=bots)}
    lives = (HealthStatus.HEALTHY, HealthStatus.STALE)
    assert over == {str(b.bot_id) for b in bots if b.is_retired or not b.is_wanted or b.status in lives}


@given(BOTS, CIRCUITS, HUMMINGBOT)
def test_what_stands_is_told_again_and_not_over(
    bots: list[BotSeen], circuits: list[CircuitSeen], hummingbot: HummingbotSeen
) -> None:
    found = find_troubles(bots=bots, circuits=circuits, hummingbot=hummingbot, now=NOON)
    names = [told.name for told in found.troubles]
    assert what_is_over(found=found, open_incidents=names, bots=bots) == []
    assert find_troubles(bots=bots, circuits=circuits, hummingbot=hummingbot, now=NOON) == found
    for told in found.troubles:
        assert 0 < len(told.trouble.title) <= 300 and (told.trouble.bot_id is None or told.trouble.client_id)


def test_an_outage_of_two_clients_keys_names_no_client() -> None:
    mixed = [seen(n, client_id=UUID(int=n), status=HealthStatus.ERROR, cause="key", message="Refused.") for n in (1, 2)]
    [told] = find_troubles(bots=mixed, circuits=[], hummingbot=HummingbotSeen(), now=NOON).troubles
    assert (told.trouble.client_id, len(told.touched)) == (None, 2)
    assert told.trouble.details["client_title"] == "KuCoin cannot be asked about your bots: Refused."


def test_a_spread_begins_at_once_and_is_even() -> None:
    assert spread(count=4, over=timedelta(seconds=60)) == [timedelta(seconds=s) for s in (0, 15, 30, 45)]
    assert spread(count=0, over=timedelta(seconds=60)) == []
