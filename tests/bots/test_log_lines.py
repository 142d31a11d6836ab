"""What is kept of a bot's error log, and since when a lost message broker is suspected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.rules.log_lines import newest_errors, without_secrets
from bots.rules.observation import broker_suspect_since
from bots.types import InstanceStatus, LogLine, Sighting

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = "Zk3v9QxT7bLw2HnR8cYp4MdS"

LINES = {
    "a plain sentence": ("Unexpected error while updating order book.", None),
    "an exception": (
        "binance.exceptions.InsufficientFunds: Account has insufficient balance for requested action.",
        None,
    ),
    "a path": ("File /home/hummingbot/hummingbot/connector/exchange/kucoin/kucoin_exchange.py, line 114", None),
    "a price and an amount": ("Order for 0.00150000 BTC at 97123.55000000 USDT was rejected", None),
    "an address with a query": (
        f"GET https://api.binance.com/api/v3/account?timestamp=1795253265&signature={SECRET} 401",
        "GET https://api.binance.com/api/v3/account?… 401",
    ),
    "a login in an address": ("cannot reach http://me:hunter2@proxy:3128/", "cannot reach http://…@proxy:3128/"),
    "a header": ("{'X-MBX-APIKEY': 'short1', 'Accept': '*/*'}", "{'X-MBX-APIKEY': …, 'Accept': '*/*'}"),
    "a bearer": ("Authorization: Bearer abc.def.ghi failed", "Authorization: … failed"),
    "a named secret": ('{"secretKey": "a b c", "code": 1}', '{"secretKey": …, "code": 1}'),
    "a passphrase": ("passphrase=correct,horse", "passphrase=…,horse"),
    "a private key": ("bad key 0x" + "4c" * 32, "bad key …"),
    "a uuid, as some secrets are": ("key 6f1c9d1e-53a4-4a1c-9a6c-0f2c1d7e8b90 expired", "key … expired"),
}


@pytest.mark.parametrize(("given_text", "kept"), LINES.values(), ids=LINES.keys())
def test_keeps_what_helps_and_no_secret(given_text: str, kept: str | None) -> None:
    assert without_secrets(given_text) == (given_text if kept is None else kept)


@given(
    st.text(st.characters(codec="utf-8"), max_size=40),
    st.from_regex(r"[A-Za-z0-9]{12}[0-9][A-Za-z0-9]{12,60}", fullmatch=True),
    st.sampled_from([" ", "=", ": ", '"', "'", "\n", "/", "(", ", "]),
)
def test_never_keeps_a_word_that_looks_drawn_at_random(around: str, word: str, before: str) -> None:
    assert word not in without_secrets(f"{around}{before}{word} {around}")


@given(st.text(max_size=300))
def test_does_not_fail_on_any_text_and_changes_nothing_twice(text: str) -> None:
    once = without_secrets(text)
    assert without_secrets(once) == once


def test_shows_the_newest_first_and_what_repeats_only_once() -> None:
    lines = [LogLine("ERROR", text, NOW + timedelta(seconds=n)) for n, text in enumerate("abacadbefgab")]
    shown = newest_errors(lines)
    assert [line.text for line in shown] == ["b", "a", "g", "f", "e"]
    assert shown[0].at == NOW + timedelta(seconds=11)
    assert newest_errors([]) == ()


def _look(*active: bool) -> Sighting:
    statuses = {f"b{n}": InstanceStatus(f"b{n}", "idle", recently_active=heard) for n, heard in enumerate(active)}
    return Sighting(statuses, active=frozenset(statuses), exited=frozenset(), at=NOW)


def test_suspects_the_broker_when_several_fall_silent_together_until_one_is_heard() -> None:
    silent, earlier = _look(False, False), NOW - timedelta(minutes=5)
    assert broker_suspect_since(sighting=silent, spoke_lately=2, since=None) == NOW
    assert broker_suspect_since(sighting=silent, spoke_lately=0, since=earlier) == earlier
    assert broker_suspect_since(sighting=_look(False, True), spoke_lately=1, since=earlier) is None


def test_suspects_nothing_when_one_dies_beside_one_that_never_spoke() -> None:
    assert broker_suspect_since(sighting=_look(False, False), spoke_lately=1, since=None) is None
    assert broker_suspect_since(sighting=_look(False), spoke_lately=1, since=None) is None
