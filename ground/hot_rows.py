"""A table's rows as its model's objects, by statements that run all day."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from django.db import connections, models

from ground.prepared import fetch_all_prepared
from ground.scope import current_alias

Row = TypeVar("Row", bound=models.Model)
_Convert = Callable[..., Any]


def hot_rows(
    model: type[Row], rest: str, params: Sequence[Any] | Mapping[str, Any] = (), *, only: tuple[str, ...] = ()
) -> list[Row]:
    """Rows of ``model``, whole or with ``only`` these fields; ``rest`` is the statement from WHERE on, where the table is
    named ``t``.

    A queryset would be put together, and its statement planned, anew each time; ``fetch_prepared`` says what this asks of a
    statement in return.
    """
    alias = current_alias()
    names, select, converters = _shape(model, only)
    found = []
    for row in fetch_all_prepared(alias, f"{select} {rest}", params):
        values = list(row)
        for index, convert in converters:
            values[index] = convert(values[index], None, connections[alias])
        found.append(model.from_db(alias, names, values))
    return found


@lru_cache(maxsize=64)
def _shape(model: type[models.Model], only: tuple[str, ...]) -> tuple[list[str], str, list[tuple[int, _Convert]]]:
    """Names of the fields, the statement up to its FROM, and what makes Python's values of some columns, by their index."""
    fields = [one for one in model._meta.concrete_fields if not only or one.name in only]
    connection = connections[current_alias()]
    converters: list[tuple[int, _Convert]] = []
    for index, one in enumerate(fields):
        from_database = getattr(one, "from_db_value", None)
        own = connection.ops.get_db_converters(models.expressions.Col("t", one))
        converters += [(index, convert) for convert in [*own, *([from_database] if from_database else [])]]
    columns = ", ".join(f't."{one.column}"' for one in fields)
    return [one.attname for one in fields], f'SELECT {columns} FROM "{model._meta.db_table}" t', converters  # noqa: S608
