"""The HTTP surface of what people do with participants: the paths and words of the old arena."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from arena import serializers as shapes
from arena.models import Participant
from arena.services import steer_participant as steer
from arena.services.participants import clone_participant
from arena.services.reset_participant import reset_participant
from bots.selectors import resolve_bot
from clients.api import read_body
from clients.idempotency import idempotent, idempotent_start
from clients.views import ScopedView
from ground.errors import NotFound
from ground.http import json_response


class ParticipantView(ScopedView):
    """One bot of the arena."""

    def find(self, bot: str) -> UUID:
        """Raises NotFound for another tenant's bot, and for one that takes no part in the arena."""
        with self.scope.transaction():
            bot_id = resolve_bot(self.scope, bot)
            if not Participant.objects.filter(bot_id=bot_id).exists():
                raise NotFound("There is no such bot in the arena.")
        return bot_id

    def done(self, bot_id: UUID, message: str, **more: Any) -> HttpResponse:
        """The old answer, with the bot as it stands now."""
        with self.scope.transaction():
            row = Participant.objects.select_related("bot", "prompt").get(bot_id=bot_id)
        shown = {
            "id": row.bot_id, "name": row.bot.name, "isPaused": row.is_paused, "desired_status": row.bot.desired_status,
            "model": row.model, "provider_id": row.provider_id, "fallback_id": row.fallback_id,
            "prompt_number": row.prompt.number if row.prompt else None, "turns": row.turns,
            "last_turn_at": row.last_turn_at, "next_turn_at": row.next_turn_at, "began_at": row.began_at,
        }  # fmt: skip
        return json_response({"success": True, "message": message, "bot": shown, **more})


class ToggleView(ParticipantView):
    """The old path: whatever the body says, it toggles."""

    @extend_schema(operation_id="toggle_participant_pause", request=None, responses=shapes.DoneShown)
    @idempotent
    def post(self, request: Request, bot: str) -> HttpResponse:
        """Pause the bot, or let it go on when it is paused."""
        return self.pause(bot, None)

    def pause(self, bot: str, paused: bool | None) -> HttpResponse:
        bot_id = self.find(bot)
        now = timezone.now()
        is_paused = steer.pause_participant(scope=self.scope, bot_id=bot_id, paused=paused, now=now)
        message = (
            "The bot is paused; what it holds is still guarded." if is_paused else "The bot takes its turns again."
        )
        return self.done(bot_id, message)


class PauseView(ToggleView):
    @extend_schema(operation_id="pause_participant", request=shapes.PauseInput, responses=shapes.DoneShown)
    @idempotent
    def post(self, request: Request, bot: str) -> HttpResponse:
        """Pause the bot or let it go on. What it holds is guarded all the same."""
        bot_id = self.find(bot)
        return self.pause(str(bot_id), read_body(shapes.PauseInput, request).get("paused"))


class ClosePositionView(ParticipantView):
    @extend_schema(request=shapes.ClosePositionInput, responses=shapes.PositionClosedShown)
    @idempotent_start
    def post(self, request: Request, bot: str) -> HttpResponse:
        """Close an open position at the market's price now. 409 when no fresh price is known, or it is closed already."""
        bot_id = self.find(bot)
        wanted = read_body(shapes.ClosePositionInput, request)["positionId"]
        done = steer.close_position(scope=self.scope, bot_id=bot_id, position=wanted, now=timezone.now())
        trade = {
            "id": done.trade_id, "position_id": done.position_id, "symbol": done.symbol, "price": str(done.price),
            "quantity": str(done.quantity), "fee": str(done.fee), "pnl": str(done.pnl),
        }  # fmt: skip
        return self.done(bot_id, f"{done.symbol} was closed.", trade=trade)


class ForceTurnView(ParticipantView):
    @extend_schema(request=None, responses=shapes.DoneShown)
    @idempotent
    def post(self, request: Request, bot: str) -> HttpResponse:
        """Have the bot take its next turn at once. 409 while it is stopped, paused or halted."""
        bot_id = self.find(bot)
        steer.force_turn(scope=self.scope, bot_id=bot_id, now=timezone.now())
        return self.done(bot_id, "The bot takes its next turn now.")


class ResetView(ParticipantView):
    @extend_schema(operation_id="reset_participant", request=None, responses=shapes.ParticipantResetShown)
    @idempotent_start
    def post(self, request: Request, bot: str) -> HttpResponse:
        """Start this bot over with its starting balance. What it did until now moves to an archive; no other is touched."""
        bot_id = self.find(bot)
        archive = reset_participant(scope=self.scope, bot_id=bot_id, now=timezone.now())
        return self.done(bot_id, "The bot starts over; what it did is archived.", archive_bot_id=archive)


class CloneView(ParticipantView):
    @extend_schema(
        operation_id="clone_participant", request=shapes.CloneParticipantInput, responses={201: shapes.DoneShown}
    )
    @idempotent
    def post(self, request: Request, bot: str) -> HttpResponse:
        """A new bot with the same prompt, provider and limits and a fresh balance; it is not started."""
        bot_id = self.find(bot)
        name = read_body(shapes.CloneParticipantInput, request).get("name", "")
        new_id = clone_participant(scope=self.scope, bot_id=bot_id, name=name, now=timezone.now())
        answer = self.done(new_id, "The bot was cloned.")
        answer.status_code = 201
        return answer


class ClearLearningView(ParticipantView):
    @extend_schema(operation_id="clear_participant_learning", request=None, responses=shapes.DoneShown)
    @idempotent
    def post(self, request: Request, bot: str) -> HttpResponse:
        """Have the bot forget its summaries. They stay on record."""
        bot_id = self.find(bot)
        cleared = steer.clear_learning(scope=self.scope, bot_id=bot_id, now=timezone.now())
        return self.done(bot_id, f"{cleared} summaries were cleared." if cleared else "There was nothing to clear.")
