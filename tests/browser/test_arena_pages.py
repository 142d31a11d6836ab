"""The public arena in a browser: charts draw, and what happens shows up by itself."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache

from arena.models import ArenaSettings
from tests.arena.test_public_pages import close, decide, market, participant
from tests.browser.test_walk import Watched

LOOK = "document.dispatchEvent(new Event('visibilitychange'))"
FITS = "document.documentElement.scrollWidth <= window.innerWidth"


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}}])
def test_charts_draw_and_a_new_trade_arrives_by_itself(chromium: Any, site: str, options: dict) -> None:
    cache.clear()
    ArenaSettings.objects.update_or_create(pk=1, defaults={"exchange": "binance", "is_public": True})
    bot_id = participant()
    market("BTC/USDT", "50000")
    decide(bot_id, age_s=60)
    visit = Watched(chromium, site, **options)

    page = visit.open("/arena/?period=daily")
    page.wait_for_selector("#curves[data-drawn='1'] canvas")
    assert page.locator("#legend button").count() == 1
    assert page.evaluate(FITS)

    page.click("table.board tbody a")
    page.wait_for_selector("#candles[data-bars='30'][data-marks='1'] canvas")
    page.wait_for_selector("#equity[data-drawn] canvas")
    assert page.locator("[data-part=trades] tbody tr").count() == 1
    assert page.evaluate(FITS)
    page.locator("details summary").first.click()  # what somebody closed stays closed

    close(bot_id, "50500")
    decide(bot_id, reasoning="A second star rises.", number=8)
    cache.clear()
    page.evaluate(LOOK)
    page.wait_for_selector("text=A second star rises.")
    page.wait_for_selector("#candles[data-marks='3']")
    assert page.locator("[data-part=trades] tbody tr").count() == 3
    assert page.locator("[data-part=trades]").inner_text().count("take-profit") == 1
    assert page.locator("details").nth(1).get_attribute("open") is None
    assert visit.problems == []
