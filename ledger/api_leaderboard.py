"""The HTTP surface of leaderboards. Their numbers are JSON numbers: the pages that read them calculate."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from bots.selectors import resolve_bot
from clients.views import ScopedView
from ground.errors import InvalidInput, NotFound
from ground.http import json_response
from ground.keyset import read_limit
from ledger import serializers_leaderboard as shapes
from ledger.rules.words import Mode, Period
from ledger.selectors import leaderboard

DAYS = 7
MOST_DAYS = 3650
MODE = OpenApiParameter(
    "mode", str, enum=[str(m) for m in Mode], description="Live if you have a live bot, else paper."
)


class LeaderboardView(ScopedView):
    @extend_schema(
        operation_id="get_leaderboard",
        responses=shapes.LeaderboardShown,
        parameters=[
            OpenApiParameter("period", str, OpenApiParameter.PATH, enum=[str(p) for p in Period]),
            OpenApiParameter("limit", int, description="1..500, default 100."),
            MODE,
        ],
    )
    def get(self, request: Request, period: str) -> HttpResponse:
        """The bots in the caller's scope by return, best first; ranks are those among them. Paper and live never meet."""
        if period not in list(Period):
            raise NotFound("There is no such leaderboard; there are daily, weekly, monthly and all_time.")
        limit = read_limit(request.query_params.get("limit"))
        return json_response(leaderboard.board(self.scope, period=Period(period), mode=_mode(request), limit=limit))


class LeaderboardStatsView(ScopedView):
    @extend_schema(operation_id="get_leaderboard_stats", responses=shapes.LeaderboardStatsShown, parameters=[MODE])
    def get(self, request: Request) -> HttpResponse:
        """All-time sums over the caller's bots of one mode, in the currency that most of them count in."""
        return json_response(leaderboard.board_stats(self.scope, mode=_mode(request)))


class LeaderboardHistoryView(ScopedView):
    @extend_schema(
        operation_id="get_leaderboard_history",
        responses=shapes.LeaderboardHistoryShown,
        parameters=[OpenApiParameter("days", int, description=f"1..{MOST_DAYS}, default {DAYS}.")],
    )
    def get(self, request: Request, bot: str) -> HttpResponse:
        """The snapshots of a bot, oldest first, thinned to at most some 1,000 points."""
        days = _days(request.query_params.get("days"))
        with self.scope.transaction():
            return json_response(leaderboard.history(resolve_bot(self.scope, bot), days=days, now=timezone.now()))


def _mode(request: Request) -> Mode | None:
    given = request.query_params.get("mode") or None
    if given is not None and given not in list(Mode):
        raise InvalidInput("mode must be paper or live.", fields={"mode": ["paper or live"]})
    return None if given is None else Mode(given)


def _days(raw: str | None) -> int:
    if raw is None or raw == "":
        return DAYS
    if not raw.isascii() or not raw.isdigit() or len(raw) > 6 or not 1 <= int(raw) <= MOST_DAYS:
        raise InvalidInput(
            f"days must be a whole number from 1 to {MOST_DAYS}.", fields={"days": [f"1 to {MOST_DAYS}"]}
        )
    return int(raw)
