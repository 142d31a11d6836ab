"""What an import says of itself: per table how many rows came, were there, or were refused, and why."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MADE, LINKED, KNOWN, REFUSED = "imported", "linked", "already here", "refused"
_MOST_SHOWN = 1000  # refused rows that are named; all are counted


@dataclass(slots=True)
class Report:
    """Filled while an import runs."""

    origin: str
    source: str
    is_dry_run: bool = False
    tables: dict[str, Counter[str]] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def count(self, table: str, outcome: str, number: int = 1) -> None:
        """Rows of one outcome; 0 says that the table was looked at."""
        self.tables.setdefault(table, Counter())[outcome] += number

    def refuse(self, table: str, old_id: str, reason: str, *, number: int = 1) -> None:
        """A row that cannot be taken: which, and why in one sentence."""
        self.count(table, REFUSED, number)
        if len(self.refused) < _MOST_SHOWN:
            self.refused.append((f"{table}[{old_id}]", reason))

    def note(self, sentence: str) -> None:
        """Said once, however often it happens."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def lines(self) -> list[str]:
        """For a person, line by line."""
        said = [f"{'Would import' if self.is_dry_run else 'Imported'} from {self.origin} as '{self.source}'."]
        for table, counts in self.tables.items():
            words = [f"{counts[word]} {word}" for word in (MADE, LINKED, KNOWN, REFUSED) if counts[word]]
            said.append(f"{table}: {', '.join(words) or 'nothing there'}")
        said += [f"note     {note}" for note in self.notes]
        said += [f"refused  {path}: {reason}" for path, reason in self.refused]
        left = sum(counts[REFUSED] for counts in self.tables.values()) - len(self.refused)
        return [*said, f"refused  and {left} more rows"] if left > 0 else said

    def as_json(self) -> dict[str, Any]:
        """The same for a program."""
        return {
            "origin": self.origin, "source": self.source, "dry_run": self.is_dry_run, "notes": self.notes,
            "tables": {table: dict(+counts) for table, counts in self.tables.items()},
            "refused": [{"path": path, "reason": reason} for path, reason in self.refused],
        }  # fmt: skip

    def write(self, path: Path) -> None:
        """The JSON into a file."""
        path.write_text(json.dumps(self.as_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
