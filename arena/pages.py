"""The public pages: the leaderboard and each bot, to watch without signing in where an operator allows it.

What is not public is a 404, the same for a bot that is not there, one that is not public, and an arena that is not.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from csp.decorators import csp_replace
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_safe

from arena import pages_shown as shown
from arena.selectors import public
from arena.shared_answers import send, shared_answer
from clients.selectors import as_uuid
from ground.errors import InvalidInput, NotFound
from ground.http import dump
from ground.keyset import Page
from ledger.rules.words import Period

FRESH_S = 5
CHART_FRESH_S = 30
MOST_PAGES = 100
HTML, JSON = "text/html; charset=utf-8", "application/json"
_TAIL = 3  # bars that a page which has the others asks for

View = Callable[..., HttpResponseBase]


def open_to_all(view: View) -> View:
    """Reads only, without scripts but our own; what is not public is not there."""

    @wraps(view)
    @require_safe
    @csp_replace({"script-src": ["'self'"], "connect-src": ["'self'"]})
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except (NotFound, InvalidInput):
            return _problem(request, "nothing_here.html", 404)
        except (OperationalError, InterfaceError):
            answer = _problem(request, "away.html", 503)
            answer["Retry-After"] = "5"
            return answer

    return answered


def arena_is_public() -> bool:
    """Whether anybody may watch. False too while the database is away, since pages that only link there stay up."""
    try:
        answer = shared_answer("is_public", fresh_s=FRESH_S, make=lambda: dump(public.is_public()))
    except (OperationalError, InterfaceError):
        return False
    return gzip.decompress(answer.body) == b"true"


@open_to_all
def board_page(request: HttpRequest) -> HttpResponse:
    period, page = _period(request), _page(request)

    def make() -> bytes:
        return _rendered(request, "board.html", _board(period, page))

    return _send(request, f"board:{period}:{page}:html", make, HTML)


@open_to_all
def board_data(request: HttpRequest) -> HttpResponse:
    """``{parts: {name: HTML}}`` of the leaderboard's page, as it is now."""
    period, page = _period(request), _page(request)

    def make() -> bytes:
        return _parts(request, ("board_rows", "news"), _board(period, page))

    return _send(request, f"board:{period}:{page}:json", make, JSON)


@open_to_all
def board_curves(request: HttpRequest) -> HttpResponse:
    """``{bots: [{id, name, curve: [[seconds], [percent]]}]}`` of the first bots of the board."""
    period = _period(request)

    def make() -> bytes:
        lines, curves = public.leaders(period=period, now=timezone.now())
        bots = [{"id": one.id, "name": one.name, "curve": shown.curve_shown(curves[one.id])} for one in lines]
        return dump({"bots": bots})

    return _send(request, f"curves:{period}", make, JSON, fresh_s=CHART_FRESH_S)


@open_to_all
def bot_page(request: HttpRequest, bot: str) -> HttpResponse:
    bot_id = _bot_id(bot)
    if request.GET.get("cursor"):
        return _older(request, bot_id)

    def make() -> bytes:
        return _rendered(request, "bot.html", _bot(bot_id))

    return _send(request, f"bot:{bot_id}:html", make, HTML)


@open_to_all
def bot_data(request: HttpRequest, bot: str) -> HttpResponse:
    """``{parts: {name: HTML}, trades, bars}``: the bot's page as it is now, a word that changes with each trade, and the
    newest bars of ``symbol`` where one is asked for."""
    bot_id, symbol, period = _bot_id(bot), request.GET.get("symbol", ""), _period(request)

    def make() -> bytes:
        found = _bot(bot_id)
        bars = _tail(bot_id, symbol, period) if symbol else []
        newest = found["trades"][0]["id"] if found["trades"] else ""
        return _parts(
            request, ("figures", "holdings", "periods", "decisions", "trades"), found, trades=newest, bars=bars
        )

    return _send(request, f"bot:{bot_id}:{symbol}:{period}:json", make, JSON)


@open_to_all
def bot_equity(request: HttpRequest, bot: str) -> HttpResponse:
    """``{curve: [[seconds], [equity]], currency}``."""
    bot_id, period = _bot_id(bot), _period(request)

    def make() -> bytes:
        one, points = public.equity(bot_id, period=period, now=timezone.now())
        return dump({"curve": shown.equity_shown(points), "currency": one.currency or ""})

    return _send(request, f"equity:{bot_id}:{period}", make, JSON, fresh_s=CHART_FRESH_S)


@open_to_all
def bot_candles(request: HttpRequest, bot: str) -> HttpResponse:
    """``{bars: [[seconds, open, high, low, close]], marks: [{time, direction, kind, pnl, is_loss}], levels: [{price,
    title}]}``: a market, with what the bot traded and holds of it."""
    bot_id, symbol, period = _bot_id(bot), request.GET.get("symbol", ""), _period(request)

    def make() -> bytes:
        found = public.candles(bot_id, symbol=symbol, period=period, now=timezone.now())
        return dump(shown.candles_shown(found))

    return _send(request, f"candles:{bot_id}:{symbol}:{period}", make, JSON)


def _older(request: HttpRequest, bot_id: UUID) -> HttpResponse:
    """A page of older decisions. Not kept: a cursor may be anything."""
    page = Page.read({"cursor": request.GET["cursor"]}, key_length=2, default=public.DECISIONS)
    one, found, more = public.decisions(bot_id, page)
    context = {
        "bot": shown.figures_shown(one),
        "decisions": [shown.decision_shown(row) for row in found],
        "more": more,
    }
    answer = HttpResponse(_rendered(request, "decisions.html", context), content_type=HTML)
    answer["Cache-Control"] = f"public, max-age={CHART_FRESH_S}"
    return answer


def _board(period: Period, page: int) -> dict[str, Any]:
    lines, curves, news = public.board(period=period, page=page, now=timezone.now())
    return {
        "lines": [shown.line_shown(one, curves[one.id]) for one in lines],
        "pages": shown.pages_shown(lines, page),
        "news": [shown.decision_shown(one) for one in news],
        "period": str(period),
        "tabs": [(str(one), title, one is period) for one, title in shown.PERIODS.items()],
    }


def _bot(bot_id: UUID) -> dict[str, Any]:
    now = timezone.now()
    ranges = [(str(one), title) for one, title in shown.PERIODS.items()]
    return {**shown.bot_shown(public.bot_page(bot_id, now=now), now=now), "ranges": ranges}


def _tail(bot_id: UUID, symbol: str, period: Period) -> list[list[float]]:
    rows = public.newest_bars(bot_id, symbol=symbol, period=period, count=_TAIL, now=timezone.now())
    return [shown.bar_shown(row) for row in rows]


def _parts(request: HttpRequest, names: tuple[str, ...], context: dict[str, Any], **more: Any) -> bytes:
    parts = {name: render_to_string(f"arena/_{name}.html", context, request) for name in names}
    return dump({"parts": parts, **more})


def _rendered(request: HttpRequest, template: str, context: dict[str, Any]) -> bytes:
    return render_to_string(f"arena/{template}", context, request).encode()


def _send(
    request: HttpRequest, key: str, make: Callable[[], bytes], content_type: str, *, fresh_s: int = FRESH_S
) -> HttpResponse:
    return send(request, shared_answer(key, fresh_s=fresh_s, make=make), content_type=content_type, fresh_s=fresh_s)


def _problem(request: HttpRequest, template: str, status: int) -> HttpResponse:
    answer = HttpResponse(_rendered(request, template, {}), status=status, content_type=HTML)
    answer["Cache-Control"] = "no-store"
    return answer


def _period(request: HttpRequest) -> Period:
    """The one asked for; all time where that is none."""
    try:
        return Period(request.GET.get("period", ""))
    except ValueError:
        return Period.ALL_TIME


def _page(request: HttpRequest) -> int:
    text = request.GET.get("page", "1")
    return min(max(int(text), 1), MOST_PAGES) if text.isascii() and text.isdigit() and len(text) < 6 else 1


def _bot_id(text: str) -> UUID:
    found = as_uuid(text)
    if found is None:
        raise NotFound("There is no public bot of that id.")
    return found
