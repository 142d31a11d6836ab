"""A model's words, read as decisions. What cannot be read is a recorded failure with a sentence, never a guess.

Taken are: one object or a list, bare, fenced or among words, under a key such as ``decisions``, one object a line, or one
under each symbol; of a list that was cut off, the objects that are complete. Several answers count together where each is
about other symbols, and once where they say the same; where they contradict each other, none of them counts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from arena.rules.loose_json import Found, LooseArray, LooseObject, State, unquoted, values_in
from arena.rules.reply_fields import has_action, read_object
from arena.rules.reply_values import cleaned, quoted
from arena.rules.reply_words import FIELD_OF_KEY, LISTS, key_of
from arena.rules.words import ALL_SYMBOLS, NoteKind, ReplyProblem
from arena.types import Decision, Note, Reply

MAX_LENGTH = 200_000
"""Characters of a reply that are read: some fifty thousand tokens, thinking included."""
MAX_DECISIONS = 50

_THINKING = ("think", "thinking", "thought", "reasoning", "reflection", "scratchpad")
_OPENS = re.compile(rf"<({'|'.join(_THINKING)})>", re.IGNORECASE)
_CLOSES = re.compile(rf"</({'|'.join(_THINKING)})>", re.IGNORECASE)
_BRACKET = re.compile(r"[\[{]")
_DECLINES = re.compile(
    r"\b(?:i(?:'m| am) sorry|i can(?:no|')?t\b|i cannot|i(?:'m| am) (?:unable|not able)|i won't|i will not|as an ai|"
    r"i must decline|no puedo|lo siento|ich kann (?:dir |ihnen )?(?:leider |dabei |das |hier )*(?:nicht|keine)|tut mir leid|"
    r"je ne peux pas|désolé|não posso|non posso|не могу|извините)|抱歉|无法|申し訳|できません|죄송",
    re.IGNORECASE,
)  # fmt: skip
_NOT_WORDS = re.compile(r"(?:[\W\d_]|json|```)*+", re.IGNORECASE)


@dataclass(slots=True)
class _Answer:
    """Decisions that stand together in a reply."""

    start: int
    end: int
    is_list: bool
    decisions: list[tuple[Decision, tuple[Note, ...]]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)  # about what of it could not be read
    is_cut: bool = False

    @property
    def said(self) -> list[Decision]:
        """What it says, without the reasons."""
        return [replace(decision, reasoning="", confidence=None) for decision, _ in self.decisions]

    @property
    def symbols(self) -> set[str | None]:
        return {decision.symbol for decision, _ in self.decisions}


@dataclass(slots=True)
class _Seen:
    """What there was in a reply besides its answers."""

    answers: list[_Answer] = field(default_factory=list)
    has_objects: bool = False
    has_empty_list: bool = False
    is_cut: bool = False


def read_reply(text: str, *, symbols: Collection[str] = ()) -> Reply:
    """The decisions of a reply, with notes about how they were read; or the problem. Never raises.

    ``symbols`` are those that the bot may trade: they tell what "BTC" alone means.
    """
    if not cleaned(text[:MAX_LENGTH]):
        return _nothing(ReplyProblem.EMPTY, "The reply is empty.")
    if len(text) > MAX_LENGTH:
        return _nothing(
            ReplyProblem.TOO_LONG, f"The reply has {len(text):,} characters; at most {MAX_LENGTH:,} are read."
        )
    answer, is_still_thinking = without_thinking(text)
    if not cleaned(answer):
        sentence = "The reply ends before the answer begins: it holds the model's thinking alone."
        return _nothing(ReplyProblem.CUT_OFF if is_still_thinking else ReplyProblem.EMPTY, sentence)
    seen = _look_through(unquoted(answer) or answer, symbols)
    answers = [one for one in seen.answers if one.decisions or one.notes]
    if not any(one.decisions for one in answers):
        return _without_decisions(seen, [note for one in answers for note in one.notes], answer)
    return _joined(answers)


def without_thinking(text: str) -> tuple[str, bool]:
    """The text behind the model's thinking, where that comes first, and whether the thinking never ends."""
    rest, at, kept = text.lstrip(), 0, []
    while (opening := _OPENS.search(rest, at)) and not _BRACKET.search(rest, at, opening.start()):
        kept.append(rest[at : opening.start()])
        closing = _CLOSES.search(rest, opening.end())
        if closing is None:
            return "".join(kept), True
        at = closing.end()
    rest = "".join(kept) + rest[at:]
    if not _OPENS.search(rest) and rest[:1] not in ("[", "{", "`", '"'):
        last = None
        for last in _CLOSES.finditer(rest):  # noqa: B007  # some models leave the opening tag out
            pass
        rest = rest[last.end() :] if last else rest
    return rest, False


def _look_through(text: str, symbols: Collection[str]) -> _Seen:
    seen = _Seen()
    for found in values_in(text):
        answer = _answer_of(found, symbols)
        seen.is_cut = seen.is_cut or found.value.state is State.CUT
        seen.has_empty_list = seen.has_empty_list or _is_empty_list(found.value)
        seen.has_objects = seen.has_objects or _has_objects(found.value)
        if answer is None:
            continue
        last = seen.answers[-1] if seen.answers else None
        if last and not last.is_list and not answer.is_list and _NOT_WORDS.fullmatch(text, last.end, answer.start):
            last.decisions += answer.decisions
            last.notes += answer.notes
            last.is_cut = last.is_cut or answer.is_cut
            last.end = answer.end
        else:
            seen.answers.append(answer)
        if answer.is_cut and answer.decisions:
            break
    return seen


def _answer_of(found: Found, symbols: Collection[str]) -> _Answer | None:
    """What an object or list of the text says; None: it has nothing of a decision."""
    value = found.value
    is_single = isinstance(value, LooseObject) and has_action(value)
    answer = _Answer(found.start, found.end, is_list=not is_single)
    for item, symbol in _objects_in(value, answer):
        if item.state is not State.WHOLE:
            answer.is_cut = answer.is_cut or item.state is State.CUT
            if item.state is State.BROKEN:
                answer.notes.append(_unreadable("A decision was left out: it is no JSON that can be read."))
            continue
        read = read_object(item, symbols=symbols, symbol=symbol)
        if read.decision:
            answer.decisions.append((read.decision, read.notes))
        elif not read.is_example:
            answer.notes += read.notes
    if value.state is State.CUT and (answer.decisions or answer.notes):
        answer.is_cut = True
    return answer if answer.decisions or answer.notes or answer.is_cut else None


def _objects_in(
    value: object, answer: _Answer, symbol: str | None = None, depth: int = 0
) -> Iterator[tuple[LooseObject, str | None]]:
    """Every object that looks like a decision, with the symbol that it stands under."""
    if depth > 6:
        return
    if isinstance(value, LooseArray):
        if value.broken:
            answer.notes.append(_unreadable(_broken(value.broken)))
        for item in value.items:
            yield from _objects_in(item, answer, symbol, depth + 1)
    elif isinstance(value, LooseObject):
        inner = [(key, item) for key, item in value.pairs if _holds_decisions(key, item)]
        if has_action(value) and not any(_is_name_for_decisions(key) for key, _ in inner):
            yield value, symbol
            return
        if value.state is State.BROKEN and value.pairs:
            answer.notes.append(_broken_rest(value))
        for key, item in inner:
            yield from _objects_in(item, answer, None if _is_name_for_decisions(key) else key, depth + 1)


def _holds_decisions(key: str, value: object) -> bool:
    """Whether a key's value may be decisions: under a name for them, or an object under the name of a symbol."""
    if not isinstance(value, LooseArray | LooseObject):
        return False
    if _is_name_for_decisions(key):
        return bool(_size(value))
    return isinstance(value, LooseObject) and (
        has_action(value) or any(_is_name_for_decisions(name) for name, _ in value.pairs)
    )


def _is_name_for_decisions(key: str) -> bool:
    plain = key_of(key)
    return plain in LISTS or FIELD_OF_KEY.get(plain) == "action"


def _joined(answers: list[_Answer]) -> Reply:
    """All answers as one reply, or the contradiction between them."""
    telling = [answer for answer in answers if answer.decisions]
    kept: list[_Answer] = []
    if len(telling) > MAX_DECISIONS:
        sentence = f"The reply holds {len(telling)} separate answers; none of them was taken."
        return _nothing(ReplyProblem.CONTRADICTORY, sentence)
    for answer in telling:
        if any(answer.said == other.said for other in kept):
            continue
        if any(_is_about_the_same(answer, other) for other in kept):
            sentence = f"The reply holds {len(telling)} answers that contradict each other; none of them was taken."
            return _nothing(ReplyProblem.CONTRADICTORY, sentence)
        kept.append(answer)
    decisions = [one for answer in kept for one in answer.decisions]
    notes = [
        replace(note, index=index, symbol=decision.symbol)
        for index, (decision, notes) in enumerate(decisions[:MAX_DECISIONS])
        for note in notes
    ]
    notes += [note for answer in answers for note in answer.notes][:MAX_DECISIONS]
    if len(decisions) > MAX_DECISIONS:
        notes.append(
            _unreadable(f"The reply holds {len(decisions)} decisions; only the first {MAX_DECISIONS} were read.")
        )
    if any(answer.is_cut for answer in kept):
        count = f"the {len(decisions)} that are complete were" if len(decisions) > 1 else "the one that is complete was"
        notes.append(_unreadable(f"The reply was cut off: of its decisions, {count} read."))
    return Reply(tuple(decision for decision, _ in decisions[:MAX_DECISIONS]), tuple(notes))


def _is_about_the_same(one: _Answer, other: _Answer) -> bool:
    ours, theirs = one.symbols, other.symbols
    return bool(ours & theirs) or bool({None, ALL_SYMBOLS} & (ours | theirs))


def _without_decisions(seen: _Seen, notes: list[Note], text: str) -> Reply:
    if notes:
        sentence = (
            f"None of its {len(notes)} decisions can be used."
            if len(notes) > 1
            else "Its only decision cannot be used."
        )
        return _nothing(ReplyProblem.UNREADABLE, sentence, notes[:MAX_DECISIONS])
    if seen.is_cut and (seen.has_objects or text.rstrip()[-1:] in ("[", "{")):
        return _nothing(ReplyProblem.CUT_OFF, "The reply was cut off before its first decision was complete.")
    if _DECLINES.search(text[:2000]):
        return _nothing(ReplyProblem.DECLINED, f"The model did not answer: {quoted(text, 200)}")
    if seen.has_objects:
        return _nothing(ReplyProblem.UNREADABLE, f"There is no decision in the reply: {quoted(text, 120)}")
    if seen.has_empty_list:
        return Reply(notes=(Note(NoteKind.READ, "The reply decides nothing: its list is empty."),))
    return _nothing(ReplyProblem.NO_JSON, f"There is no decision in JSON in the reply: {quoted(text, 120)}")


def _is_empty_list(value: object) -> bool:
    """Whether it is an empty list, or an object that holds nothing but one under a name for decisions."""
    if isinstance(value, LooseArray):
        return value.state is State.WHOLE and not value.items and not value.broken
    return isinstance(value, LooseObject) and any(
        key_of(key) in LISTS and isinstance(item, LooseArray) and _is_empty_list(item) for key, item in value.pairs
    )


def _has_objects(value: object) -> bool:
    """Whether there is an object with anything in it that is not just an empty list of decisions."""
    if isinstance(value, LooseArray):
        return any(_has_objects(item) for item in value.items)
    return isinstance(value, LooseObject) and bool(value.pairs) and not _is_empty_list(value)


def _size(value: LooseArray | LooseObject) -> int:
    return len(value.items) + value.broken if isinstance(value, LooseArray) else len(value.pairs)


def _broken_rest(value: LooseObject) -> Note:
    """Where the beginning of a broken object has keys of a decision, a decision is lost; else what surrounds some is odd."""
    if any(key_of(key) in FIELD_OF_KEY for key, _ in value.pairs):
        return _unreadable(_broken(1))
    return Note(NoteKind.READ, "A part of the reply is no JSON that can be read.")


def _broken(count: int) -> str:
    if count == 1:
        return "A decision was left out: it is no JSON that can be read."
    return f"{count} decisions were left out: they are no JSON that can be read."


def _unreadable(sentence: str) -> Note:
    return Note(NoteKind.UNREADABLE, sentence)


def _nothing(kind: ReplyProblem, sentence: str, notes: Collection[Note] = ()) -> Reply:
    return Reply(notes=tuple(notes), problem=sentence, problem_kind=kind)
