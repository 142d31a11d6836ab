"""What somebody who raises incidents says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from alerts.rules.words import Severity


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong now. ``kind`` and ``key`` together say what it is, so that it is told once.

    ``kind`` names the rule that is broken (``ledger_balance``), ``key`` what it is about (a bot's id), ``title`` is one
    sentence for an operator. ``details`` is JSON; a list ``rows`` in it of ``{table, id, expected, found}`` is shown as
    a table with links to the rows. A bot needs its client beside it; without a client only operators see it.
    """

    kind: str
    key: str
    title: str
    severity: Severity = Severity.WARNING
    client_id: UUID | None = None
    bot_id: UUID | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
