"""Which statements of a migration would lock a large table for as long as reading or rewriting it takes. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

_TABLE = r'"?(?P<table>[a-z_]+)"?'
_I = re.IGNORECASE | re.DOTALL
_CREATES = re.compile(rf"^\s*CREATE TABLE (?:IF NOT EXISTS )?{_TABLE}", _I)
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(rf"^\s*CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY).*? ON (?:ONLY )?{_TABLE}", _I),
        "an index that is not built CONCURRENTLY keeps every write out until it is built",
    ),
    (
        re.compile(rf"^\s*ALTER TABLE (?:ONLY )?{_TABLE}.*\bADD CONSTRAINT\b(?!.*(?:NOT VALID|USING INDEX))", _I),
        "a constraint that is not NOT VALID reads every row under a lock: validate it in a migration of its own",
    ),
    (
        re.compile(rf"^\s*ALTER TABLE (?:ONLY )?{_TABLE}.*\bALTER COLUMN\b.*\bTYPE\b", _I),
        "another column type rewrites the table",
    ),
    (
        re.compile(rf"^\s*ALTER TABLE (?:ONLY )?{_TABLE}.*\bALTER COLUMN\b.*\bSET NOT NULL\b", _I),
        "SET NOT NULL reads every row under a lock: add a NOT VALID check first",
    ),
    (
        re.compile(
            rf"^\s*ALTER TABLE (?:ONLY )?{_TABLE}.*\bADD COLUMN\b.*(?:\bUNIQUE\b|\bPRIMARY KEY\b|\bSTORED\b|\bIDENTITY\b"
            r"|gen_random_uuid|clock_timestamp|random\(|nextval)",
            _I,
        ),
        "this new column has a value of its own in every row, so the table is rewritten or read",
    ),
    (
        re.compile(rf"^\s*(?:UPDATE|DELETE FROM) (?:ONLY )?{_TABLE}(?!.*\bLIMIT\b)", _I),
        "a change of every row keeps their writers out: do it in portions, by a task",
    ),
    (
        re.compile(rf"^\s*(?:VACUUM \(?FULL\)?|CLUSTER|REINDEX TABLE(?! CONCURRENTLY)|LOCK TABLE) {_TABLE}", _I),
        "this locks the whole table",
    ),
)


def long_locks(statements: Iterable[str], *, large: Collection[str]) -> Iterator[str]:
    """A sentence for each statement that would lock one of the ``large`` tables for long.

    A table that these statements make themselves is empty still, so anything may be done to it.
    """
    made: set[str] = set()
    for statement in statements:
        if match := _CREATES.match(statement):
            made.add(match["table"].lower())
            continue
        for pattern, why in _RULES:
            match = pattern.match(statement)
            if match and match["table"].lower() in large and match["table"].lower() not in made:
                yield f"{match['table']}: {why}: {' '.join(statement.split())[:160]}"
