"""A person with a browser: the landing page, the API reference, and a bot made and started in the admin."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test.utils import override_settings

from bots.models import Bot
from clients.models import AuditEntry, Connector
from tests.browser.conftest import PASSWORD


class Watched:
    """A page, and what went wrong on it: errors in its console, requests to other hosts."""

    def __init__(self, browser: Any, site: str, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.site, self.problems = site, []
        self.page.on("console", lambda m: self.problems.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._note_stranger)

    def _note_stranger(self, request: Any) -> None:
        if not request.url.startswith((self.site, "data:", "blob:")):
            self.problems.append(f"asked {request.url}")

    def open(self, path: str) -> Any:
        assert self.page.goto(self.site + path).status == 200
        return self.page


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}])
def test_landing_page_shows_how_the_service_is(chromium: Any, site: str, options: dict) -> None:
    visit = Watched(chromium, site, **options)
    page = visit.open("/")
    page.wait_for_selector("#service[data-state=degraded], #service[data-state=healthy]")  # no worker in tests
    assert page.locator("#service-checks li").filter(has_text="database").count() == 1
    assert "acme" not in page.content()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert visit.problems == []


def test_api_reference_renders_without_other_hosts(chromium: Any, site: str) -> None:
    visit = Watched(chromium, site)
    page = visit.open("/api/docs")
    page.wait_for_selector("#operations-bots-create_bot")
    assert page.locator("button.authorize").count() == 1
    assert visit.problems == []


def test_operator_makes_a_client_and_a_bot_and_starts_it(chromium: Any, site: str) -> None:
    visit = Watched(chromium, site)
    page = visit.open("/admin/login/")
    page.fill("[name=username]", "alice")
    page.fill("[name=password]", PASSWORD)
    page.click("#login-form button[type=submit]")
    page.wait_for_url(f"{site}/admin/")

    visit.open("/admin/clients/client/add/")
    page.fill("[name=name]", "Sharp Foundation")
    page.click("text=Add another Connector")
    page.fill("[name=connectors-0-name]", "kucoin")
    page.fill("[name=connectors-0-new_api_key]", "browser-planted-key-0001")
    page.fill("[name=connectors-0-new_api_secret]", "browser-planted-secret")
    page.click("[name=_save]")
    page.wait_for_url(re.compile("/admin/clients/client/$"))
    assert page.locator("text=client_sharp_foundation").first.is_visible()
    connector = Connector.objects.get(client__account_identifier="client_sharp_foundation")
    assert connector.key_hint == "brow…0001"

    page.click("text=Sharp Foundation")
    page.click("text=New bot")
    page.fill("[name=name]", "Sharp Spread")
    page.fill("[name=connector_name]", "kucoin")
    page.fill("[name=pair]", "sharp-usdt")
    page.fill("[name=strategy]", "spread")
    page.fill("[name=config]", '{"bid_spread": 5, "ask_spread": 0.003, "order_amount": 1600}')
    page.click("[name=_save]")
    page.wait_for_selector("text=config.bid_spread")  # refused with a sentence, and nothing typed is lost
    page.fill("[name=config]", '{"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600}')
    page.click("[name=_save]")
    page.wait_for_url(re.compile("/admin/bots/bot/$"))
    bot = Bot.objects.get(name="Sharp Spread")
    assert (bot.pair, bot.connector_id, bot.desired_status) == ("SHARP/USDT", connector.id, "created")

    row = page.locator("tr", has_text="Sharp Spread")
    row.locator("text=more_horiz").click()
    page.locator("a:visible", has_text=re.compile(r"\bStart\b")).first.click()
    page.locator("#modal-content button[type=submit], #dialog button[type=submit]").first.click()
    page.wait_for_selector("text=The bot is started.")
    assert page.locator("tr", has_text="Sharp Spread").locator(".bridge-badge", has_text="running").count() == 1
    bot.refresh_from_db()
    assert bot.desired_status == "running" and bot.desired_by == "operator:alice"
    assert AuditEntry.objects.filter(table_name="bots", actor="operator:alice", reason="start").exists()
    assert "browser-planted-secret" not in page.content()
    assert visit.problems == []


@override_settings(DEMO=True)
def test_demo_says_so_on_every_page(chromium: Any, site: str) -> None:
    visit = Watched(chromium, site)
    for path in ("/", "/admin/login/"):
        assert visit.open(path).locator(".bridge-demo").is_visible()
