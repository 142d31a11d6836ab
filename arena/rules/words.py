"""The vocabulary of decisions: what a model may ask for, and what became of it."""

from __future__ import annotations

from enum import StrEnum


class ReplyAction(StrEnum):
    """What one decision of a reply asks for."""

    LONG = "LONG"  # open a position that gains when the price rises
    SHORT = "SHORT"  # open a position that gains when the price falls
    CLOSE = "CLOSE"  # close what is held of the symbol, all of it
    HOLD = "HOLD"  # leave everything as it is


class NoteKind(StrEnum):
    """What a note tells about a decision. Only the first two mean that something asked for did not happen."""

    REFUSED = "refused"  # it was understood and not carried out: a limit, a rule or missing data forbids it
    UNREADABLE = "unreadable"  # this part of the reply could not be read, and nothing was guessed in its place
    DROPPED = "dropped"  # one value of it was left out (a stop on the wrong side); the rest was carried out
    CORRECTED = "corrected"  # one value of it was changed so that it keeps a limit
    ROUNDED = "rounded"  # a value was brought to the market's step or tick
    READ = "read"  # how something was understood that was written in another way than asked for
    EXECUTED = "executed"  # it was carried out: what was opened or closed, at what price and fee


class ReplyProblem(StrEnum):
    """Why nothing of a reply can be used."""

    EMPTY = "empty"  # no words at all
    TOO_LONG = "too_long"  # more than is ever read
    CUT_OFF = "cut_off"  # it ends before its first decision is complete
    DECLINED = "declined"  # the model says that it will not or cannot answer
    NO_JSON = "no_json"  # words, and no decision among them
    UNREADABLE = "unreadable"  # there is JSON, and no decision in it that can be read
    CONTRADICTORY = "contradictory"  # several answers that do not agree


ALL_SYMBOLS = "*"
"""The symbol of a CLOSE that means every open position."""
