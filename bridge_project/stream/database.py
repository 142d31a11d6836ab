"""The stream's reads: as the roles that own nothing, over a few connections, whatever the number of listeners."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import psycopg
from django.conf import settings

from clients.services.tickets import Bearer

CONNECTIONS = 4  # of each role
WAIT_S = 10.0
_SET_TENANT = "SELECT set_config('app.client', %s, true), set_config('app.actor', %s, true)"

Row = tuple[Any, ...]


class Database:
    """Reads as one role: ``operator``, which sees every tenant, or ``client``, which sees the one that is named."""

    def __init__(self, alias: str) -> None:
        known = settings.DATABASES[alias]
        parts = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
        self._given = {name: known[key] for name, key in parts.items() if known[key]}
        self._options = {name: value for name, value in known["OPTIONS"].items() if name != "prepare_threshold"}
        self._threshold = known["OPTIONS"]["prepare_threshold"]
        self._free: list[psycopg.AsyncConnection[Row]] = []
        self._places = asyncio.Semaphore(CONNECTIONS)

    async def rows(
        self, sql: str, params: Mapping[str, Any] | None = None, *, bearer: Bearer | None = None
    ) -> list[Row]:
        """Every row of a statement; ``bearer``: within row-level security for whom it is. Raises psycopg.Error."""
        async with self._places:
            connection = self._free.pop() if self._free else await self._connect()
            try:
                async with asyncio.timeout(WAIT_S), connection.transaction():
                    if bearer is not None:
                        await connection.execute(_SET_TENANT, [str(bearer.client_id or ""), bearer.actor])
                    found = await (await connection.execute(sql, params)).fetchall()
            except BaseException:
                await connection.close()
                raise
            self._free.append(connection)
            return found

    async def close(self) -> None:
        while self._free:
            await self._free.pop().close()

    async def _connect(self) -> psycopg.AsyncConnection[Row]:
        given = {"connect_timeout": 5, **self._options, **self._given}
        return await psycopg.AsyncConnection.connect(**given, autocommit=True, prepare_threshold=self._threshold)


class Databases:
    """Both roles. A tenant's rows are read as that tenant."""

    def __init__(self) -> None:
        self.operator, self.client = Database("operator"), Database("client")

    async def of(self, bearer: Bearer, sql: str, params: Mapping[str, Any]) -> list[Row]:
        """Rows that this bearer may see; ``%(tenant)s`` stands for whom it is."""
        chosen = self.operator if bearer.client_id is None else self.client
        return await chosen.rows(sql, {**params, "tenant": bearer.client_id}, bearer=bearer)

    async def close(self) -> None:
        await self.operator.close()
        await self.client.close()
