"""The whole state for the old arena's page, which knows no deltas: of each client made once, for all who watch it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from arena.selectors.watching_sql import BOTS, MARKETS
from bridge_project.stream.database import Databases
from clients.services.tickets import Bearer

MOST_BOTS = 100


@dataclass(slots=True)
class _Made:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: float = -1.0
    text: str = ""


class States:
    """States by whose they are."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._made: dict[UUID | None, _Made] = {}

    async def text(self, bearer: Bearer, *, since: float) -> str:
        """The state as JSON, no older than ``since`` (of the event loop's clock). Raises psycopg.Error."""
        made = self._made.setdefault(bearer.client_id, _Made())
        async with made.lock:
            if made.at < since:
                began = asyncio.get_running_loop().time()
                made.text, made.at = await self._read(bearer), began
            return made.text

    async def _read(self, bearer: Bearer) -> str:
        given = {"now": datetime.now(UTC), "only": None, "after_at": None, "after_id": None, "most": MOST_BOTS}
        bots = await self._databases.of(bearer, BOTS, given)
        ((markets,),) = await self._databases.of(bearer, MARKETS, {})
        return f'{{"bots":[{",".join(row[2] for row in bots)}],"marketData":{markets}}}'
