"""A bot that thinks in several steps: what it is asked next once it has called tools, or why nothing more is asked.

Steps, time, calls of one answer and what each brings are bounded here; money is, as for every call, by the budgets.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from arena.rules.reply import MAX_LENGTH
from arena.rules.tools import MOST_ASKED, TOOLS, with_words
from arena.services.look_up import look_up
from arena.types_models import Finish, ModelAnswer, ModelRequest, Step

SHORTEST_QUESTION = timedelta(seconds=1)


class ThinksNoFurther(Exception):
    """Nothing more is asked, and nothing was decided; the sentence says why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def wants_tools(request: ModelRequest, answer: ModelAnswer) -> bool:
    """Whether an answer calls tools that it was offered; where none were, its words are all that counts."""
    return bool(request.tools) and answer.error is None and answer.finish is Finish.TOOLS and bool(answer.tool_calls)


def offered(request: ModelRequest, *, most_steps: int) -> ModelRequest:
    """The first question of a bot that thinks in steps."""
    return replace(request, tools=TOOLS) if most_steps > 1 else request


def next_request(
    bot_id: UUID, request: ModelRequest, answer: ModelAnswer, *, most_steps: int, began_at: datetime, lasts: timedelta,
    now: datetime,
) -> ModelRequest:  # fmt: skip
    """The next question, with what the tools answered. It offers tools again while steps are left and less than half of the
    turn's time has passed; else the bot is told to decide now. Raises ThinksNoFurther."""
    if now + SHORTEST_QUESTION > began_at + lasts:
        raise ThinksNoFurther("It thought for longer than a turn may take.")
    if len(answer.tool_calls) > MOST_ASKED:
        raise ThinksNoFurther(f"It called {len(answer.tool_calls):,} tools at once.")
    if len(answer.said) > MAX_LENGTH:
        raise ThinksNoFurther("Its answer was too long to be told again with what its tools found.")
    results = look_up(bot_id, answer.tool_calls, now=now)
    step = len(request.steps) + 2  # the first question has none before it
    left = most_steps - step
    if left > 0 and now < began_at + lasts / 2:
        tools, words = TOOLS, f"You may call tools in {left} more answer{'' if left == 1 else 's'}, or decide now."
    else:
        tools, words = (), "No tool can be called any more. Decide now: answer with the JSON list alone."
    steps = (*request.steps, Step(answer.said, with_words(results, words)))
    return replace(request, tools=tools, steps=steps)
