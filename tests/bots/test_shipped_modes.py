"""The old modes as bots: deployed through the sandbox's Hummingbot from their shipped templates, and trading."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from bots.gateways.hummingbot import HummingbotGateway
from bots.models import Bot, BotDeployment, BotTemplate
from bots.rules.catalogue import SHIPPED
from bots.selectors import bot_status
from bots.services.ship_templates import ship_templates
from bots.services.start_bot import start_bot
from bots.services.sync_credentials import sync_credentials
from ground.errors import InvalidInput
from ground.scope import system_scope
from sandbox.testing import start
from tests.fixtures import OPERATOR, Cast, make_bot

pytestmark = pytest.mark.usefixtures("database")
MODES = {"scalp": "BTC/USDT", "bull": "ETH/USDT", "bear": "SOL/USDT", "range": "XRP/USDT"}


def test_every_old_mode_runs_and_trades_the_way_its_name_says(cast: Cast, settings: Any) -> None:
    with start(speed=6, mean_interval_s=10) as sandbox:
        settings.HUMMINGBOT_API_URL = sandbox.hummingbot_url
        settings.HUMMINGBOT_API_USERNAME, settings.HUMMINGBOT_API_PASSWORD = "admin", "admin"
        gateway = HummingbotGateway(sandbox.hummingbot_url, "admin", "admin", timeout_s=5)
        sandbox.add_key("kucoin", "key-of-acme-0123456789", "secret-of-acme", passphrase="memo-of-acme")
        connector = Bot.objects.get(id=cast.acme_bot).connector_id
        assert connector is not None
        sync_credentials(connector_id=connector, gateway=gateway, now=timezone.now())
        instances = {}
        for mode, pair in MODES.items():
            config = {"interval": "5m", "order_amount": "250.5"}
            bot = make_bot("client_acme", strategy=mode, pair=pair, runtime_kind="hummingbot", config=config)
            assert start_bot(scope=OPERATOR, bot_id=bot, now=timezone.now(), wait=True) == "started"
            assert bot_status(OPERATOR, bot) == "running"
            row = BotDeployment.objects.get(bot_id=bot)
            instances[mode] = row.instance_name
            sent = gateway.controller_config(row.requested_name).content
            assert (sent["controller_name"], Decimal(str(sent["total_amount_quote"]))) == (
                SHIPPED[mode].controller_name,
                Decimal("250.5"),
            )
        for _ in range(20):
            sandbox.advance(20)
        held = {mode: bought_less_sold(sandbox.tape(bot=name)) for mode, name in instances.items()}
    assert held["bull"] >= 0 >= held["bear"]


def bought_less_sold(tape: dict[str, Any]) -> Decimal:
    [total] = tape["totals"]
    assert total["trades"] > 5
    return Decimal(total["bought"]) - Decimal(total["sold"])


def test_a_config_that_a_mode_does_not_take_is_refused_before_anything_is_stored(cast: Cast) -> None:
    before = Bot.objects.count()
    with pytest.raises(InvalidInput) as caught:
        make_bot("client_acme", strategy="bear", config={"sell_above": 99})
    assert list(caught.value.fields or {}) == ["config.sell_above"]
    assert Bot.objects.count() == before


def test_a_new_start_brings_shipped_templates_up_to_date_and_leaves_an_operators_own_alone() -> None:
    BotTemplate.objects.filter(name="bull").update(defaults={"interval": "1d"})
    BotTemplate.objects.filter(name="bear").update(is_shipped=False, defaults={"interval": "1d"})
    BotTemplate.objects.filter(name="range").delete()
    BotTemplate.objects.filter(name="scalp").update(is_enabled=False)
    ship_templates(scope=system_scope("tests"))
    rows = {row.name: row for row in BotTemplate.objects.all()}
    ship_templates(scope=system_scope("tests"))
    again = {row.name: row.updated_at for row in BotTemplate.objects.all()}
    assert again == {name: rows[name].updated_at for name in SHIPPED}
    assert rows["bull"].defaults == json.loads(json.dumps(SHIPPED["bull"].defaults), parse_float=Decimal)
    assert rows["bear"].defaults == {"interval": "1d"}
    assert not rows["scalp"].is_enabled
