"""Is an empty answer really empty, or did ccxt find nothing because the answer was not what it expects?

ccxt reads a missing or misplaced list as an empty one, so `[]` where an object belongs, or `{"code": "0"}` without its
data, would look like an account that never traded. So an answer in which ccxt found nothing is read again, offline:
each empty container of it in turn is given one marked row. If ccxt ever looks at the mark, that is where rows would
have been, and the emptiness is honest. This works for every exchange that ccxt carries, without a table of shapes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

_MAX_DEPTH = 4
_MAX_PLACES = 40
# Lists that these exchanges' servers write as null when they are empty.
_NULL_LISTS = frozenset({"fillList"})

Path = tuple[str | int, ...]


class _Mark(dict[str, Any]):
    """A row that notices being looked at."""

    def __init__(self) -> None:
        super().__init__(bridge_mark="1")
        self.was_seen = False

    def __getitem__(self, key: str) -> Any:
        self.was_seen = True
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.was_seen = True
        return super().__contains__(key)

    def __iter__(self) -> Iterator[str]:
        self.was_seen = True
        return super().__iter__()

    def get(self, key: str, default: Any = None) -> Any:
        self.was_seen = True
        return super().get(key, default)

    def __setitem__(self, key: str, value: Any) -> None:
        self.was_seen = True
        super().__setitem__(key, value)

    def __deepcopy__(self, memo: Any) -> _Mark:
        return self


def is_honest(answers: list[Any], read_again: Callable[[list[Any]], None]) -> bool:
    """Whether ccxt would have found rows in these answers, had there been any.

    ``read_again`` reads given answers offline and may not raise.
    """
    places = [(index, path) for index, answer in enumerate(answers) for path in _empty_places(answer)]
    for index, path in places[:_MAX_PLACES]:
        mark = _Mark()
        read_again([_with_mark(answer, path, mark) if i == index else answer for i, answer in enumerate(answers)])
        if mark.was_seen:
            return True
    return False


def _empty_places(value: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, list) and not value:
        yield path
    elif isinstance(value, dict) and not value:
        if path:  # a whole answer that is {} says nothing at all
            yield path
    elif isinstance(value, dict) and len(path) < _MAX_DEPTH:
        for key, inner in value.items():
            if inner is None and key in _NULL_LISTS:
                yield (*path, key)
            else:
                yield from _empty_places(inner, (*path, key))
    elif isinstance(value, list) and len(path) < _MAX_DEPTH:
        for index, inner in enumerate(value):
            yield from _empty_places(inner, (*path, index))


def _with_mark(answer: Any, path: Path, mark: _Mark) -> Any:
    marked = copy.deepcopy(answer)
    if not path:
        return [mark]
    holder = marked
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = {"mark": mark} if isinstance(holder[path[-1]], dict) else [mark]
    return marked
