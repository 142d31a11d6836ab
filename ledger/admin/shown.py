"""How amounts, instants, links and documents look: the columns that the ledger's pages are made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from unfold.decorators import display

from clients.admin_base import NOTHING, ago
from ground.http import to_wire

Column = Callable[[Any], SafeString | str]
SIGNIFICANT = 8
LONGEST = 100_000  # characters of a prompt or a document that a page shows
LONGEST_NAME = 28
MOST_ROWS = 200


def plain(value: Decimal | None) -> str:
    """All digits of a number but the zeros at its end, thousands apart."""
    if value is None:
        return NOTHING
    text = f"{value:,f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def short(value: Decimal | None) -> str:
    """A number for a list: eight digits, or more where that would cut a cent."""
    return plain(round(value, max(2, SIGNIFICANT - 1 - value.adjusted()))) if value else plain(value)


def figure(value: Decimal | None, *, gain: bool = False) -> SafeString | str:
    """The short form with the exact one when pointed at; a ``gain`` is green above zero and red below."""
    if value is None:
        return NOTHING
    color = "" if not gain or not value else " bridge-gain" if value > 0 else " bridge-loss"
    sign = "+" if gain and value > 0 else ""
    return format_html('<span class="bridge-figure{}" title="{}">{}{}</span>', color, plain(value), sign, short(value))


def percent(ratio: Decimal | None) -> str:
    """A ratio as a percentage with two decimals."""
    return NOTHING if ratio is None else f"{plain(round(ratio * 100, 2))} %"


def amount(name: str, label: str = "", *, gain: bool = False) -> Column:
    """A column of a list: an amount, shortened."""
    return _column(name, label, lambda value: figure(value, gain=gain))


def rounded(name: str, label: str = "", *, places: int = 2) -> Column:
    """A column of a list: a statistic, to a few decimals."""
    return _column(name, label, lambda value: plain(value if value is None else round(value, places)))


def exact(name: str, label: str = "", *, unit: str = "") -> Column:
    """A line of a row's own page: an amount with every digit, and the name of the field that says of what."""
    column = _column(name, label, plain)
    if not unit:
        return column

    @display(description=label or name.replace("_", " "))
    def show(row: Any) -> str:
        value = getattr(row, name)
        return NOTHING if value is None else f"{plain(value)} {getattr(row, unit)}".strip()

    return _named(show, name)


def ratio(name: str, label: str = "") -> Column:
    return _column(name, label, percent)


def moment(name: str, label: str = "") -> Column:
    """When, as how long ago."""
    return _column(name, label, ago)


def instant(name: str, label: str = "") -> Column:
    """When, to the millisecond."""
    return _column(name, label or f"{name.removesuffix('_at').replace('_', ' ')} at (UTC)", written)


def written(at: Any) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}" if at else NOTHING


def link(name: str, label: str = "", *, text: str = "") -> Column:
    """A link to the row that a foreign key names; it costs no query, so the row itself may be gone."""

    @display(description=label or name)
    def show(row: Any) -> SafeString | str:
        value = getattr(row, f"{name}_id")
        options = row._meta.get_field(name).related_model._meta
        return linked(f"{options.app_label}_{options.model_name}", value, text or str(value))

    return _named(show, name)


def linked(page: str, value: Any, text: str) -> SafeString | str:
    """A link to a row's page in the admin."""
    if value is None:
        return NOTHING
    try:
        address = reverse(f"admin:{page}_change", args=[value])
    except NoReverseMatch:
        return text
    return format_html('<a class="bridge-link" href="{}">{}</a>', address, text)


def identifier(name: str, label: str = "") -> Column:
    """A long word that may be broken anywhere."""
    return _column(name, label, lambda value: format_html('<span class="bridge-breaks">{}</span>', value or NOTHING))


@display(description="bot")
def bot_link(row: Any) -> SafeString | str:
    """The bot with its name; one that is deleted has no page any more."""
    if row.bot_id is None:
        return NOTHING
    name = Truncator(row.bot.name).chars(LONGEST_NAME)
    shown = f"{name} (deleted)" if row.bot.retired_at else linked("bots_bot", row.bot_id, name)
    return format_html('<span class="bridge-when" title="{}">{}</span>', row.bot.name, shown)


@display(description="client")
def client_link(row: Any) -> SafeString | str:
    return linked("clients_client", row.client_id, row.client.account_identifier)


def document(text: str) -> SafeString:
    """Text as it was written, wrapped; of a very long one the beginning."""
    more = len(text) - LONGEST
    rest = format_html('<p class="bridge-quiet">… and {} more characters</p>', f"{more:,}") if more > 0 else ""
    return format_html('<pre class="bridge-document">{}</pre>{}', text[:LONGEST], rest)


def json_document(value: Any) -> SafeString | str:
    """JSON, indented, with its numbers as they were written."""
    return document(indented(value)) if value not in (None, {}, []) else NOTHING


def indented(value: Any, depth: int = 0) -> str:
    if isinstance(value, dict | list) and value:
        inner, outer = "  " * (depth + 1), "  " * depth
        if isinstance(value, dict):
            items = [f"{json.dumps(str(k), ensure_ascii=False)}: {indented(v, depth + 1)}" for k, v in value.items()]
        else:
            items = [indented(item, depth + 1) for item in value]
        first, last = "{}" if isinstance(value, dict) else "[]"
        return f"{first}\n{inner}" + f",\n{inner}".join(items) + f"\n{outer}{last}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return json.dumps(value, ensure_ascii=False, default=to_wire)


def report(value: Any) -> SafeString | str:
    """A report that a machine wrote, for people: names and values as a table, rows of the same kind as one table."""
    if isinstance(value, dict) and value:
        lines = ((name.replace("_", " "), report(item)) for name, item in value.items())
        body = format_html_join("", "<tr><th>{}</th><td>{}</td></tr>", lines)
        return format_html('<div class="bridge-scroll"><table class="bridge-table">{}</table></div>', body)
    if isinstance(value, list) and value:
        return _rows(value) if all(isinstance(item, dict) for item in value) else _list(value)
    if value is None or value in ({}, []):
        return NOTHING
    return plain(value) if isinstance(value, Decimal) else value if isinstance(value, str) else indented(value)


def _rows(rows: list[dict[str, Any]]) -> SafeString:
    names = list(dict.fromkeys(name for row in rows[:MOST_ROWS] for name in row))
    head = format_html_join("", "<th>{}</th>", ((name.replace("_", " "),) for name in names))
    body = format_html_join(
        "",
        "<tr>{}</tr>",
        (
            (format_html_join("", "<td>{}</td>", ((report(row.get(name)),) for name in names)),)
            for row in rows[:MOST_ROWS]
        ),
    )
    table = format_html('<table class="bridge-table"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>', head, body)
    return format_html('<div class="bridge-scroll">{}</div>{}', table, _more(rows))


def _list(items: list[Any]) -> SafeString:
    shown = format_html_join("", "<li>{}</li>", ((report(item),) for item in items[:MOST_ROWS]))
    return format_html('<ol class="bridge-list">{}</ol>{}', shown, _more(items))


def _more(items: list[Any]) -> SafeString | str:
    more = len(items) - MOST_ROWS
    return format_html('<p class="bridge-quiet">… and {} more</p>', f"{more:,}") if more > 0 else ""


def _column(name: str, label: str, shape: Callable[[Any], SafeString | str]) -> Column:
    @display(description=label or name.replace("_", " "))
    def show(row: Any) -> SafeString | str:
        return shape(getattr(row, name))

    return _named(show, name)


def _named(show: Any, name: str) -> Column:
    show.__name__ = name
    return cast("Column", show)
