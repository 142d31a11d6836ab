"""What is read in a model's words: a corpus of replies with the expected parse and notes, and laws for any text at all."""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from decimal import Context, Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.rules.loose_json import LooseArray, LooseObject, State, values_in
from arena.rules.reply import MAX_DECISIONS, MAX_LENGTH, read_reply
from arena.rules.reply_values import MAX_TEXT
from arena.rules.words import NoteKind, ReplyAction, ReplyProblem
from arena.types import Decision, Note, Reply

CORPUS = Path(__file__).parent / "replies"
EXPECTED = json.loads((CORPUS / "expected.json").read_text())
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "DOGE/USDT", "XRP/USDT")
HOLD = '{"action":"HOLD","symbol":"BTCUSDT"}'


def said(decision: Decision) -> str:
    """A decision in one line, as expected.json has it."""
    numbers = {
        "size=": decision.size, "quantity=": decision.quantity, "x": decision.leverage, "stop=": decision.stop_loss,
        "take=": decision.take_profit, "sure=": decision.confidence,
    }  # fmt: skip
    words = [str(decision.action), decision.symbol or "-"]
    words += [f"{name}{number:f}" for name, number in numbers.items() if number is not None]
    return " ".join(words + ([f"| {decision.reasoning}"] if decision.reasoning else []))


def told(reply: Reply) -> dict[str, object]:
    found: dict[str, object] = {}
    if reply.problem:
        found["problem"] = f"{reply.problem_kind}: {reply.problem}"
    if reply.decisions:
        found["decisions"] = [said(decision) for decision in reply.decisions]
    if reply.notes:
        found["notes"] = [
            f"{note.kind}{'' if note.index is None else f' {note.index}'}: {note.text}" for note in reply.notes
        ]
    return found


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.txt")), ids=lambda path: path.stem)
def test_reads_each_reply_of_the_corpus_as_expected(path):
    assert told(read_reply(path.read_bytes().decode(), symbols=SYMBOLS)) == EXPECTED[path.stem]


def test_the_corpus_expects_something_of_each_of_its_replies():
    assert {path.stem for path in CORPUS.glob("*.txt")} == set(EXPECTED)
    assert len(EXPECTED) >= 80
    assert all(EXPECTED.values())


MADE = {  # replies that no text file should hold
    "nothing": ("", ReplyProblem.EMPTY, []),
    "nul": ("\x00\x00", ReplyProblem.EMPTY, []),
    "nul between": ("\x00[\x00" + HOLD + "\x00]\x00", None, ["HOLD BTC/USDT"]),
    "nul in a text": ('[{"action":"HOLD","symbol":"BTCUSDT","reasoning":"a\x00b"}]', None, ["HOLD BTC/USDT | a b"]),
    "byte order mark": ("\ufeff" + HOLD, None, ["HOLD BTC/USDT"]),
    "half characters": ('{"action":"HOLD","symbol":"BTCUSDT","reasoning":"\ud83d"}', None, ["HOLD BTC/USDT | \ufffd"]),
    "half characters alone": ("\udfff", ReplyProblem.NO_JSON, []),
    "giant prose": ("word " * 1_000_000, ReplyProblem.TOO_LONG, []),
    "giant with an answer at its end": ("x" * 5_000_000 + HOLD, ReplyProblem.TOO_LONG, []),
    "giant of blanks": (" " * 5_000_000, ReplyProblem.EMPTY, []),
    "as long as is read": (HOLD + " " * (MAX_LENGTH - len(HOLD)), None, ["HOLD BTC/USDT"]),
    "deep list": ("[" * 50_000 + HOLD + "]" * 50_000, ReplyProblem.NO_JSON, []),
    "deep object": ('{"a":' * 10_000 + "1" + "}" * 10_000, ReplyProblem.UNREADABLE, []),
    "deep and never closed": ("[" * MAX_LENGTH, ReplyProblem.UNREADABLE, []),
    "deep decisions": ('{"decisions":' * 15 + f"[{HOLD}]" + "}" * 15, ReplyProblem.UNREADABLE, []),
    "long number": ('{"action":"LONG","symbol":"BTCUSDT","size":' + "9" * 100_000 + "}", None, ["LONG BTC/USDT"]),
    "long symbol": ('{"action":"CLOSE","symbol":"' + "A" * 100_000 + '"}', ReplyProblem.UNREADABLE, []),
    "many keys": ("{" + ",".join(f'"k{n}":{n}' for n in range(10_000)) + "," + HOLD[1:], None, ["HOLD BTC/USDT"]),
    "a quote that never ends": ('{"action":"HOLD","symbol":"BTCUSDT","reasoning":"' + "a" * 100_000, ReplyProblem.CUT_OFF, []),
    "a book of answers": (
        " and ".join(HOLD.replace("BTC", f"C{n}X") for n in range(3000)), ReplyProblem.CONTRADICTORY, [],
    ),
    "a comment that never ends": ("[/* ... " + '{"a', ReplyProblem.NO_JSON, []),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_reads_replies_that_no_model_should_give(name):
    text, problem, decisions = MADE[name]
    reply = read_reply(text, symbols=SYMBOLS)
    assert (reply.problem_kind, [said(decision) for decision in reply.decisions]) == (problem, decisions)


def test_reads_at_most_fifty_decisions_and_says_so():
    reply = read_reply(f"[{','.join([HOLD] * 300)}]")
    assert len(reply.decisions) == MAX_DECISIONS
    assert [note.kind for note in reply.notes] == [NoteKind.UNREADABLE]
    assert "300" in reply.notes[0].text


def test_keeps_a_reasoning_to_what_people_read():
    reply = read_reply(json.dumps([{"action": "HOLD", "reasoning": "because " * 1000}]))
    assert len(reply.decisions[0].reasoning) == MAX_TEXT
    assert reply.decisions[0].reasoning.endswith("…")


def test_tells_a_bare_coin_only_where_one_pair_has_it():
    text = '[{"action":"CLOSE","symbol":"BTC"}]'
    assert read_reply(text, symbols=["BTC/USDT", "ETH/BTC"]).decisions[0].symbol == "BTC/USDT"
    assert read_reply(text, symbols=["BTC/USDT", "BTC/USDC"]).decisions[0].symbol == "BTC"
    assert read_reply(text).decisions[0].symbol == "BTC"


NUMBERS = [
    ("100", "100"), ("1,234.5", "1234.5"), ("$1,000", "1000"), ("1.234,56", "1234.56"), ("0,5", "0.5"), ("1,5", "1.5"),
    ("1,500", "1500"), ("0,123", "0.123"), ("1 000", "1000"), ("1_000", "1000"), ("1'000", "1000"), ("5k", "5000"),
    ("1.2K", "1200"), ("45,000 USDT", "45000"), ("+5", "5"), (".5", "0.5"), ("5.", "5"), ("1e3", "1000"),
    ("12,3456", None), ("1,234,56", None), ("10%", None), ("~5", None), ("100-200", None), ("100 BTC", None), ("€5", None),
    ("0x10", None), ("१२", None), ("five", None), ("1e16", None), ("1e-19", None), ("--5", None), ("5 5", None),
]  # fmt: skip


@pytest.mark.parametrize(("written", "size"), NUMBERS)
def test_reads_a_number_in_one_way_or_not_at_all(written, size):
    reply = read_reply(json.dumps([{"action": "LONG", "symbol": "BTCUSDT", "size": written}]))
    assert reply.decisions[0].size == (None if size is None else Decimal(size))
    assert [note.kind for note in reply.notes] == ([] if size else [NoteKind.DROPPED])


# --- laws

SNIPPETS = [
    "[", "]", "{", "}", ",", ":", '"', "'", "\\", "/*", "*/", "//", "#", "\n", " ", "```", "```json\n", "<think>", "</think>",
    "“", "”", "\x00", "\ud83d", "action", '"action"', '"action":"LONG"', '"symbol":"BTCUSDT"', '"size":100', "HOLD", "null",
    "NaN", "1", "1e9", "-", "decisions", '"decisions":[', HOLD, "},{", '":', '","', "I cannot",
]  # fmt: skip
TEXTS = st.lists(st.one_of(st.sampled_from(SNIPPETS), st.text(max_size=5)), max_size=40).map("".join)


@given(TEXTS)
@settings(max_examples=400)
def test_reads_any_text_without_raising_and_says_what_became_of_it(text):
    reply = read_reply(text, symbols=SYMBOLS)
    assert bool(reply.problem) == (reply.problem_kind is not None)
    assert bool(reply.decisions) + bool(reply.problem) <= 1
    assert reply.decisions or reply.problem or reply.notes
    for decision in reply.decisions:
        assert isinstance(decision.action, ReplyAction)
        assert_storable(decision)
    for note in reply.notes:
        assert_storable(note)
        assert note.index is None or 0 <= note.index < len(reply.decisions)
    assert_fits_a_table(reply.problem)


def assert_storable(row: Decision | Note) -> None:
    for column in fields(row):
        value = getattr(row, column.name)
        if isinstance(value, str):
            assert_fits_a_table(value)
        if isinstance(value, Decimal):
            assert value.is_finite()
            assert 0 <= value < Decimal("1e15")
            assert value == value.quantize(Decimal("1e-18"), context=Context(prec=60))


def assert_fits_a_table(text: str) -> None:
    text.encode()
    assert "\x00" not in text


@given(st.integers(0, len(HOLD) * 3 + 4))
def test_takes_of_a_cut_list_exactly_what_is_complete(end):
    whole = [
        {"action": "LONG", "symbol": "BTC/USDT", "size": 100},
        {"action": "CLOSE", "symbol": "ETH/USDT"},
        {"action": "HOLD", "symbol": "SOL/USDT"},
    ]
    text = json.dumps(whole)
    cut = text[:end]
    complete = sum(1 for closing in range(len(cut)) if cut[closing] == "}")
    reply = read_reply(cut)
    assert [str(decision.action) for decision in reply.decisions] == [one["action"] for one in whole[:complete]]
    if end < len(text) and complete:
        assert any("cut off" in note.text for note in reply.notes)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"action": st.sampled_from(["LONG", "SHORT", "CLOSE", "HOLD"]), "symbol": st.sampled_from(SYMBOLS)},
            optional={
                "size": st.decimals(1, 10**9, places=4).map(float),
                "leverage": st.integers(1, 125),
                "reasoning": st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zs", "Zl", "Zp"]), max_size=60),
            },
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(["{}", "```json\n{}\n```", 'Well:\n{}\nThat is all.', '{{"decisions": {}}}', "<think>[1]</think>{}"]),
)  # fmt: skip
def test_reads_what_a_good_writer_wrote_word_for_word(rows, around):
    text = around.format(json.dumps(rows, ensure_ascii=False))
    reply = read_reply(text, symbols=SYMBOLS)
    assert not reply.problem
    assert not reply.notes
    assert [(str(one.action), one.symbol) for one in reply.decisions] == [
        (row["action"], row["symbol"]) for row in rows
    ]
    for one, row in zip(reply.decisions, rows, strict=True):
        assert one.size == (Decimal(str(row["size"])) if "size" in row else None)
        assert one.leverage == row.get("leverage")
        assert one.reasoning == row.get("reasoning", "")


WORDS = st.text(st.characters(exclude_categories=["Cs"]))
TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), WORDS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


@given(
    st.lists(TREES, max_size=3), st.sampled_from([None, 2]), st.sampled_from(["{}", "Well: {} there.", "```\n{}\n```"])
)
def test_the_tolerant_reader_reads_what_is_json_as_json(tree, indent, around):
    text = json.dumps(tree, indent=indent, ensure_ascii=False)
    found = list(values_in(around.format(text) if "{}" not in text else text))
    assert len(found) == 1
    assert _plain(found[0].value) == json.loads(text, parse_float=str, parse_int=str, parse_constant=str)


def _plain(value: object) -> object:
    if isinstance(value, LooseObject):
        assert value.state is State.WHOLE
        return {key: _plain(item) for key, item in value.pairs}
    if isinstance(value, LooseArray):
        assert (value.state, value.broken) == (State.WHOLE, 0)
        return [_plain(item) for item in value.items]
    return str(value) if isinstance(value, str) else value


@given(st.sampled_from(sorted(EXPECTED)), st.data())
@settings(max_examples=200, deadline=None)
def test_a_reply_with_a_hole_is_read_or_has_a_problem(name, data):
    text = (CORPUS / f"{name}.txt").read_bytes().decode()
    start = data.draw(st.integers(0, len(text)))
    reply = read_reply(text[:start] + text[start + data.draw(st.integers(1, 30)) :], symbols=SYMBOLS)
    assert reply.decisions or reply.problem or reply.notes
    for row in (*reply.decisions, *reply.notes):
        assert_storable(row)


GROWING = [
    "[", "{", '{"a":', "[{x ", '" ', "'a ", "},{", "[/*", '{"a ', '\\"', "1,", ",", "“", '{"a": "b" c ', '[["a"],{x',
    "<think>", "</think>", "<think></think>", "```json\n", '{"action":"x"}', '{"action":"HOLD","symbol":"A/B"}\nand ',
]  # fmt: skip


@pytest.mark.parametrize("piece", GROWING)
def test_ten_times_the_text_takes_ten_times_the_work(piece):
    """Calls are counted, not time."""
    small, large = (_calls("[" + (piece * length)[:length]) for length in (2_000, 20_000))
    assert large <= 12 * small + 1_000


def _calls(text: str) -> int:
    count = 0

    def counted(_frame: object, event: str, _what: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        read_reply(text)
    finally:
        sys.setprofile(None)
    return count
