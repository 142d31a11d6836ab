"""What a summary claims, held against the ledger: which decisions it rests on, and whether its figures are true.

Whatever is in doubt is refused. A true claim that is refused costs a bot one sentence; a false one that is shown to it
costs money.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from arena.rules.figures import amount_text, ratio_text
from arena.rules.reply_values import Unreadable, number_of, quoted, symbol_of
from ledger.rules.words import Action

MOST_CITED = 50
HUNDRED = Decimal(100)


class Measure(StrEnum):
    """What the ledger can say about a symbol, a direction, or all that a bot did."""

    TRADES = "trades"  # closed ones, with a known result
    OPENED = "opened"
    WINS = "wins"
    LOSSES = "losses"
    WIN_RATE = "win_rate"  # a ratio
    PROFIT = "profit"  # realised, after fees; a negative number is a loss
    AVERAGE = "average"  # profit of one closed trade
    BEST = "best"
    WORST = "worst"
    FEES = "fees"


COUNTS = (Measure.TRADES, Measure.OPENED, Measure.WINS, Measure.LOSSES)
AMOUNTS = (Measure.PROFIT, Measure.AVERAGE, Measure.BEST, Measure.WORST)


@dataclass(frozen=True, slots=True)
class Sums:
    """What the trades of one symbol and direction come to; amounts in the account's currency."""

    opened: int = 0
    trades: int = 0
    wins: int = 0
    losses: int = 0
    profit: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    best: Decimal | None = None
    worst: Decimal | None = None

    def value(self, measure: Measure) -> Decimal | None:
        """None: there is no such figure, as without a closed trade there is no rate of winners."""
        if measure in (Measure.WIN_RATE, Measure.AVERAGE):
            part = Decimal(self.wins) if measure is Measure.WIN_RATE else self.profit
            return part / self.trades if self.trades else None
        found: Decimal | int | None = getattr(self, measure.value)
        return None if found is None else Decimal(found)

    def __add__(self, other: Sums) -> Sums:
        bests = [one for one in (self.best, other.best) if one is not None]
        worsts = [one for one in (self.worst, other.worst) if one is not None]
        return Sums(
            opened=self.opened + other.opened,
            trades=self.trades + other.trades,
            wins=self.wins + other.wins,
            losses=self.losses + other.losses,
            profit=self.profit + other.profit,
            fees=self.fees + other.fees,
            best=max(bests, default=None),
            worst=min(worsts, default=None),
        )


Group = tuple[str | None, Action | None]
"""A symbol and a direction; None is all of them."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that a claim states apart from its words, as it was written."""

    measure: str
    value: str
    symbol: str | None = None
    direction: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of a summary. ``decisions`` as the model wrote them."""

    text: str
    decisions: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim, the decisions that it rests on, and why it is refused; empty: it is not."""

    claim: Claim
    decisions: tuple[UUID, ...] = ()
    why_not: str = ""


def groups_of(parts: Mapping[tuple[str, Action], Sums]) -> dict[Group, Sums]:
    """The sums of each symbol and direction, of each symbol, of each direction, and of everything."""
    groups: dict[Group, Sums] = {(None, None): Sums()}
    for (symbol, action), sums in parts.items():
        for group in ((symbol, action), (symbol, None), (None, action), (None, None)):
            groups[group] = groups.get(group, Sums()) + sums
    return groups


def reference(decision_id: UUID) -> str:
    """How a decision is called towards the model: the first eight signs of its id."""
    return decision_id.hex[:8]


def judge(claim: Claim, *, words: Mapping[UUID, str], groups: Mapping[Group, Sums], symbols: Collection[str]) -> Judged:
    """Whether a claim may be shown. ``words`` holds each decision that may be cited, as the model was shown it;
    ``symbols`` all that the bot has to do with."""
    cited, unknown = _cited(claim.decisions, words)
    found = Judged(claim, cited)
    if not claim.text:
        return replace(found, why_not="It says nothing.")
    if unknown:
        return replace(found, why_not=f"It cites {quoted(unknown)}, which is none of the decisions that were shown.")
    if not cited:
        return replace(found, why_not="It cites no decision.")
    if len(cited) > MOST_CITED:
        return replace(found, why_not=f"It cites {len(cited)} decisions; more than {MOST_CITED} say nothing.")
    why_not = next(filter(None, (_figure_problem(one, groups, symbols) for one in claim.figures)), "")
    text = _REFERENCE.sub(
        lambda hit: " " if hit.group() in {reference(one) for one in words} else hit.group(), claim.text
    )
    return replace(found, why_not=why_not or _words_problem(text, [words[one] for one in cited], groups, symbols))


def _cited(written: Sequence[str], words: Mapping[UUID, str]) -> tuple[tuple[UUID, ...], str]:
    """The decisions that are meant, and the first that is not known."""
    by_reference: dict[str, list[UUID]] = {}
    for known in words:
        by_reference.setdefault(reference(known), []).append(known)
    cited: dict[UUID, None] = {}
    for one in written:
        plain = one.strip().strip("[](){}#\"'` ").casefold().replace("-", "")
        meant = by_reference.get(plain[:8], []) if len(plain) in (8, 32) else []
        meant = [known for known in meant if len(plain) == 8 or known.hex == plain]
        if len(meant) != 1:
            return (), one
        cited[meant[0]] = None
    return tuple(cited), ""


def _figure_problem(figure: Figure, groups: Mapping[Group, Sums], symbols: Collection[str]) -> str:
    name = figure.measure.strip().casefold().replace(" ", "_").replace("-", "_")
    measure = _MEASURES.get(name)
    if measure is None:
        return f"It states a figure that the ledger does not keep: {quoted(figure.measure)}."
    symbol = symbol_of(figure.symbol, known=symbols)
    if isinstance(symbol, Unreadable):
        return f"It states a figure of {quoted(figure.symbol)}, which is no symbol."
    symbol = None if symbol in (None, "*") else symbol
    action = _ACTIONS.get((figure.direction or "").strip().casefold())
    actual = groups.get((symbol, action), Sums()).value(measure)
    what = " ".join(str(one) for one in (measure.replace("_", " "), "of", action, symbol or "all symbols") if one)
    written = _written(figure.value)
    if written is None:
        return f"It states {quoted(figure.value)} as {what}, which is no number."
    if actual is None:
        return f"It states {figure.value} as {what}; the ledger has none."
    if measure is Measure.WIN_RATE:
        is_true = _agrees(written.value, actual * HUNDRED) or (not written.is_share and _agrees(written.value, actual))
    else:
        is_true = not written.is_share and _agrees(written.value, actual)
    shown = ratio_text(actual) if measure is Measure.WIN_RATE else amount_text(actual)
    return "" if is_true else f"It states {figure.value} as {what}; the ledger has {shown}."


# -- numbers within words ------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Number:
    value: Decimal  # with as many places as were written
    is_signed: bool
    is_share: bool


_MEASURES = {str(measure): measure for measure in Measure} | {
    "pnl": Measure.PROFIT, "realized_pnl": Measure.PROFIT, "net_profit": Measure.PROFIT, "total_profit": Measure.PROFIT,
    "winrate": Measure.WIN_RATE, "trade_count": Measure.TRADES, "count": Measure.TRADES, "closed": Measure.TRADES,
    "entries": Measure.OPENED, "fee": Measure.FEES, "average_profit": Measure.AVERAGE,
}  # fmt: skip
_ACTIONS = {"long": Action.LONG, "short": Action.SHORT, "longs": Action.LONG, "shorts": Action.SHORT}
_NUMBER = re.compile(
    r"(?<![\w.])(?P<sign>[+\u2212-]\s?)?\$?(?P<digits>[0-9][0-9,_]*(?:\.[0-9]+)?|\.[0-9]+)(?P<thousand>k\b)?"
    r"\s?(?P<share>%|percent\b|per cent\b)?",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"\b[0-9a-f]{8}\b")
_MOMENT = re.compile(r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2})?\b")
_CLAUSES = re.compile(
    r"[;:!?\n()]|,(?![0-9])|\.(?![0-9])|\b(?:and|but|when|while|after|with|because|although|where|since)\b", re.I
)
_ORDERS = re.compile(r"\b(?:stop|take)[ -]?(?:loss(?:es)?|profits?)\b", re.IGNORECASE)
_GAIN = re.compile(r"\b(?:profit\w*|gain\w*|earn\w*|made|w[oi]n(?!\s?rate)\w*|up|success\w*|plus)\b", re.IGNORECASE)
_LOSS = re.compile(r"\b(?:los[ts]\w*|losing|losers?|down|negative|minus|unprofitable|fail\w*)\b", re.IGNORECASE)
_RESULT = re.compile(
    r"\b(?:pnl|p&l|results?|returns?|net|trades?|fees?|average|mean|best|worst|biggest|largest|rate|rates|ratio|total"
    r"|closed|closes|opened|entries|exits)\b",
    re.IGNORECASE,
)
_FEE = re.compile(r"\bfees?\b", re.IGNORECASE)
_BEST = re.compile(r"\b(?:best|worst|biggest|largest|smallest)\b", re.IGNORECASE)
_AVERAGE = re.compile(r"\b(?:average|mean|per trade|each)\b", re.IGNORECASE)
_NUMBER_WORDS = {
    "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10",
    "eleven": "11", "twelve": "12", "fifteen": "15", "twenty": "20", "thirty": "30", "forty": "40", "fifty": "50",
    "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90", "hundred": "100", "half": "50 %",
}  # fmt: skip
_SPELLED = re.compile(rf"\b(?:{'|'.join(_NUMBER_WORDS)})\b", re.IGNORECASE)
_LONGS = re.compile(r"\blongs?\b(?!-)", re.IGNORECASE)
_SHORTS = re.compile(r"\bshorts?\b(?!-)", re.IGNORECASE)


def _words_problem(text: str, cited: Sequence[str], groups: Mapping[Group, Sums], symbols: Collection[str]) -> str:
    """A number about results must be the ledger's; any other must stand in a decision that is cited."""
    text = _MOMENT.sub(lambda hit: " " if any(hit.group() in line for line in cited) else hit.group(), text)
    plain, named = _without_symbols(text, symbols)
    meant = [groups.get(group, Sums()) for group in _groups_named(plain, named)]
    known = {number.value for line in cited for number in _numbers(_without_symbols(line, symbols)[0])}
    for clause in _CLAUSES.split(plain):
        about = _ORDERS.sub(" ", clause)
        if any(words.search(about) for words in (_GAIN, _LOSS, _RESULT)):
            spelled = _SPELLED.sub(lambda word: _NUMBER_WORDS[word.group().casefold()], clause)
            why_not = _result_problem(list(_numbers(spelled)), about, meant)
        else:
            odd = (one for one in _numbers(clause) if one.value not in known and one.value != len(cited))
            why_not = next(
                (f"It says {_shown(one)}, which stands in none of the decisions it cites." for one in odd), ""
            )
        if why_not:
            return why_not
    return ""


def _result_problem(numbers: Sequence[_Number], about: str, meant: Sequence[Sums]) -> str:
    """Each number must be the ledger's; and where the words say what is counted, one of them must be that: "won 4" is not
    true because there were 4 trades, while "won 3 of 4" may be."""
    strict, loose = _measures_meant(about)
    for one in numbers:
        if not any(_bears_out(sums, one, about, (*strict, *loose)) for sums in meant):
            return f"It says {_shown(one)} of a result; the ledger has no such figure for what it names."
    if numbers and strict and not any(_bears_out(sums, one, about, strict) for sums in meant for one in numbers):
        return f"It says {_shown(numbers[0])} of a result; that is another figure in the ledger."
    return ""


def _measures_meant(about: str) -> tuple[tuple[Measure, ...], tuple[Measure, ...]]:
    """What the words name, and what may stand beside it."""
    gains, loses = bool(_GAIN.search(about)), bool(_LOSS.search(about))
    beside = (Measure.TRADES, Measure.OPENED)
    if _FEE.search(about):
        return (Measure.FEES,), beside
    if _BEST.search(about):
        return (Measure.BEST, Measure.WORST), beside
    if _AVERAGE.search(about):
        return (Measure.AVERAGE,), beside
    counted = (Measure.WINS,) * (gains or not loses) + (Measure.LOSSES,) * (loses or not gains)
    if gains or loses:
        return (Measure.PROFIT, *counted, Measure.WIN_RATE), beside
    return (), (Measure.PROFIT, *counted, Measure.WIN_RATE, *beside)


def _bears_out(sums: Sums, number: _Number, about: str, measures: Sequence[Measure]) -> bool:
    gains, loses = bool(_GAIN.search(about)), bool(_LOSS.search(about))
    for measure in measures:
        actual = sums.value(measure)
        if actual is None or number.is_share != (measure is Measure.WIN_RATE):
            continue
        if measure is Measure.WIN_RATE:
            shares = [actual * HUNDRED] * (gains or not loses) + [HUNDRED - actual * HUNDRED] * (loses and not gains)
            is_true = any(_agrees(number.value, share) for share in shares)
        elif measure in AMOUNTS and not number.is_signed and loses:
            is_true = (actual < 0 and _agrees(-number.value, actual)) or (gains and _agrees(number.value, actual))
        else:
            is_true = _agrees(number.value, actual)
        if is_true:
            return True
    return False


def _without_symbols(text: str, symbols: Collection[str]) -> tuple[str, list[str]]:
    """The text without names of symbols, whose digits are no figures, and the symbols that it names."""
    named = []
    for symbol in sorted(symbols, key=len, reverse=True):
        base, _, quote = symbol.partition("/")
        pair = rf"(?i:{re.escape(base)}[/_-]?{re.escape(quote)}(?::\w+)?)"
        text, count = re.subn(rf"(?<!\w)(?:{pair}|{re.escape(base)})(?!\w)", " ", text)
        named += [symbol] * bool(count)
    return text, named


def _groups_named(plain: str, named: Sequence[str]) -> Iterator[Group]:
    longs, shorts = bool(_LONGS.search(plain)), bool(_SHORTS.search(plain))
    actions: list[Action | None] = [*[Action.LONG] * longs, *[Action.SHORT] * shorts]
    symbols: list[str | None] = [*named]
    for symbol in symbols or [None]:
        yield from ((symbol, action) for action in actions or [None])


def _numbers(text: str) -> Iterable[_Number]:
    for found in _NUMBER.finditer(text):
        value = Decimal(found["digits"].replace(",", "").replace("_", "") or "0")
        if found["thousand"]:
            value = value.scaleb(3)
        sign = (found["sign"] or "").strip()
        yield _Number(-value if sign in ("-", "\u2212") else value, bool(sign), bool(found["share"]))


def _written(text: str) -> _Number | None:
    """A value by itself: "-12.5", "1,234.50 USDT", "62.5 %"."""
    is_share = text.strip().endswith("%")
    value = number_of(text.strip().removesuffix("%").strip().replace("\u2212", "-"))
    if not isinstance(value, Decimal):
        return None
    return _Number(value, is_signed=True, is_share=is_share)


def _agrees(written: Decimal, actual: Decimal) -> bool:
    """Whether what was written is the figure, rounded to as many places as were written."""
    exponent = written.as_tuple().exponent
    places = exponent if isinstance(exponent, int) else 0
    return abs(written - actual) * 2 <= Decimal(1).scaleb(places)


def _shown(number: _Number) -> str:
    return f"{number.value:f}{' %' if number.is_share else ''}"
