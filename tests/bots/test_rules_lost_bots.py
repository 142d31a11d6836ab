"""What is made of bots that Hummingbot knows: the way back through templates, and whose they are."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.rules.catalogue import SHIPPED
from bots.rules.lost_bots import propose
from bots.rules.lost_facts import (
    Action,
    Instance,
    Known,
    KnownBot,
    KnownClient,
    Life,
    Remembered,
    current_of,
    grouped,
)
from bots.rules.names import account_name
from bots.rules.templates import applied, render
from bots.rules.unrender import unrender
from bots.rules.words import DesiredStatus, TemplateKind

ACME = KnownClient(UUID(int=1), "client_acme")
OUR_BOT = UUID(int=7)
OURS = f"tb-{OUR_BOT.hex}"
CONTENT: dict[str, Any] = render(
    SHIPPED["spread"], {"bid_spread": 0.002, "ask_spread": 0.002, "order_amount": 50},
    connector="kucoin", symbol="BTC/USDT", config_name="any",
)  # fmt: skip


def known(**more: Any) -> Known:
    nothing: dict[str, Any] = {
        "clients": [ACME], "bots": [], "instances": frozenset(), "awaited": frozenset(), "remembered": {},
        "templates": list(SHIPPED.values()),
    }  # fmt: skip
    return Known(**{**nothing, **more})


def instance(name: str = f"{OURS}-1-20261121-080000", **more: Any) -> Instance:
    given_: dict[str, Any] = {
        "life": Life.RUNNING, "account": account_name(ACME.account, ACME.id), "content": CONTENT, "content_from": "its folder",
    }  # fmt: skip
    return Instance(name=name, **{**given_, **more})


def defined(**more: Any) -> KnownBot:
    given_: dict[str, Any] = {
        "id": OUR_BOT, "client_id": ACME.id, "name": "sharp", "connector": "kucoin", "pair": "BTC/USDT",
        "strategy": "spread", "runs_in_hummingbot": True, "is_retired": False, "has_deployment": False, "has_open": False,
    }  # fmt: skip
    return KnownBot(**{**given_, **more})


amounts = st.decimals(min_value="0.01", max_value="100000", places=2)
ratios = st.decimals(min_value="0.0001", max_value="0.5", places=4)


@given(st.sampled_from(sorted(SHIPPED)), amounts, st.integers(1, 20))
def test_a_rendered_config_leads_back_to_one_that_renders_the_same(name: str, amount: Decimal, leverage: int) -> None:
    template = SHIPPED[name]
    config = applied(template, {"order_amount": amount, "leverage": leverage})
    where: dict[str, str] = {"connector": "kucoin", "symbol": "BTC/USDT", "config_name": "any"}
    content = render(template, config, **where)
    found = unrender(SHIPPED.values(), {**content, "_config_name": "any"}, kind=TemplateKind.CONTROLLER)
    assert found is not None
    assert not found.strangers
    assert render(SHIPPED[found.strategy], found.config, **where) == content
    assert name in (found.strategy, *found.others)


@given(ratios, ratios)
def test_spread_is_told_from_its_neighbours_by_its_own_keys(bid: Decimal, ask: Decimal) -> None:
    config = {"bid_spread": bid, "ask_spread": ask, "order_amount": 10}
    content = render(SHIPPED["spread"], config, connector="kucoin", symbol="BTC/USDT", config_name="any")
    found = unrender([SHIPPED["spread"]], content, kind=TemplateKind.CONTROLLER)
    assert found is not None and {name: found.config[name] for name in config} == config


def test_a_config_that_no_template_writes_has_no_way_back() -> None:
    other = {**CONTENT, "controller_name": "grid_strike"}
    assert unrender(SHIPPED.values(), other, kind=TemplateKind.CONTROLLER) is None
    proposal = propose([instance(content=other)], known())
    assert (proposal.action, proposal.value("strategy")) == (Action.CREATE, "grid_strike")
    assert "make one named grid_strike" in proposal.notes[0]


def test_generations_of_a_bot_stand_together_in_their_order_and_the_newest_that_is_up_counts() -> None:
    names = [f"{OURS}-{n}-20261121-08000{n % 10}" for n in (10, 2, 1)]
    lives = [Life.ARCHIVED, Life.RUNNING, Life.GONE]
    groups = grouped([instance(name, life=life) for name, life in zip(names, lives, strict=True)])
    assert [one.name for one in groups[OURS]] == names[::-1]
    assert current_of(groups[OURS]).name == names[1]


@pytest.mark.parametrize(
    ("situation", "action", "says"),
    [
        ({"instances": frozenset({instance().name})}, Action.SKIP, "managed already"),
        ({"awaited": frozenset({f"{OURS}-1"})}, Action.SKIP, "looked up"),
        ({"bots": [defined()]}, Action.ADOPT, "sharp is defined"),
        ({"bots": [defined(has_open=True)]}, Action.SKIP, "another deployment"),
        ({"bots": [defined(is_retired=True)]}, Action.SKIP, "was deleted"),
        ({"clients": []}, Action.SKIP, "say whose it is"),
        (
            {"remembered": {OUR_BOT: Remembered(ACME.id, {}, 5, was_retired=True)}},
            Action.SKIP,
            "deleted on purpose",
        ),
        ({}, Action.CREATE, "no definition here"),
    ],
)
def test_what_is_known_decides_what_is_done(situation: dict[str, Any], action: Action, says: str) -> None:
    proposal = propose([instance()], known(**situation))
    assert proposal.action == action
    assert says in proposal.why


def test_a_foreign_instance_is_linked_only_where_exactly_one_definition_fits() -> None:
    foreign = instance("maker-20261121-080000")
    one, two = defined(id=UUID(int=8)), defined(id=UUID(int=9))
    assert propose([foreign], known(bots=[one])).action == Action.LINK
    assert propose([foreign], known(bots=[defined(id=UUID(int=8), pair="ETH/USDT")])).action == Action.CREATE
    assert "2 definitions of client_acme fit it" in propose([foreign], known(bots=[one, two])).why
    assert propose([foreign], known(bots=[defined(id=UUID(int=8), has_open=True)])).action == Action.SKIP


def test_an_account_of_a_client_that_passed_its_name_on_is_nobodys() -> None:
    """The client's id is in the account's name: keys must not pass on with an identifier."""
    former = account_name(ACME.account, UUID(int=2**127))
    proposal = propose([instance(account=former)], known())
    assert proposal.action == Action.SKIP and proposal.needs_owner


@pytest.mark.parametrize(
    ("life", "remembered", "wish"),
    [
        (Life.RUNNING, None, "running"),
        (Life.UP, None, "running"),
        (Life.STOPPED, None, "stopped"),
        (Life.EXITED, None, "stopped"),
        (Life.ARCHIVED, None, "stopped"),
        (Life.EXITED, "running", "running"),
        (Life.RUNNING, "stopped", "stopped"),
        (Life.RUNNING, "created", "running"),
        ("up, and its run was stopped", None, "stopped"),
        ("up, and its run was stopped", "running", "running"),
    ],
)
def test_wish_comes_from_the_audit_else_from_what_is_seen(life: str, remembered: str | None, wish: str) -> None:
    seen = {"life": life} if isinstance(life, Life) else {"life": Life.UP, "was_stopped": True}
    memory = {OUR_BOT: Remembered(ACME.id, {"desired_status": remembered}, 5)} if remembered else {}
    assert propose([instance(**seen)], known(remembered=memory)).value("wish") == wish


def test_without_a_config_its_positions_say_where_it_trades_but_nothing_says_what() -> None:
    blank = instance(content=None, markets=(("kucoin", "BTC-USDT"),), markets_from="its archived database")
    assert "config is nowhere" in propose([blank], known()).why
    assert "on which exchange" in propose([instance(content=None)], known()).why
    memory = {OUR_BOT: Remembered(ACME.id, {"strategy": "spread", "config": {"order_amount": 5}, "name": "sharp"}, 5)}
    proposal = propose([blank], known(remembered=memory))
    assert (proposal.value("pair"), proposal.fields["pair"].source) == ("BTC/USDT", "its archived database")
    assert (proposal.value("name"), proposal.value("config")) == ("sharp", {"order_amount": 5})


@pytest.mark.parametrize(
    ("wish", "life", "becomes", "is_taken_down"),
    [
        (DesiredStatus.CREATED, Life.RUNNING, "running", False),
        (DesiredStatus.RUNNING, Life.UP, "running", False),
        (DesiredStatus.STOPPED, Life.RUNNING, "stopped", True),
        (DesiredStatus.CREATED, Life.ARCHIVED, "created", False),
        (DesiredStatus.CREATED, Life.STOPPED, "created", True),
    ],
)
def test_wish_of_a_definition_that_is_there_stands_unless_nobody_ever_wished(
    wish: DesiredStatus, life: Life, becomes: str, is_taken_down: bool
) -> None:
    for found in (instance(life=life), instance("maker-20261121-080000", life=life)):
        proposal = propose([found], known(bots=[defined(wish=wish)]))
        assert proposal.action in (Action.ADOPT, Action.LINK)
        assert proposal.value("wish") == becomes
        assert ("taken down." in proposal.then and "deployed again" not in proposal.then) == is_taken_down


def test_a_bot_of_several_controllers_is_left_alone_with_a_sentence_that_names_them() -> None:
    parts = ("leg-a: pmm_simple kucoin ETH-USDT", "leg-b: pmm_simple kucoin BTC-USDT")
    proposal = propose([instance("legs-20261121-080000", controllers=2, parts=parts)], known())
    assert proposal.action == Action.SKIP
    assert all(part in proposal.why for part in parts) and "make a bot here for each" in proposal.why
