"""The platform's connections to its database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from pytest_deploygate.lab.application.settings import Settings

Row = DictRow
#: Telemetry need not wait for the disk, nor for a replica.
_SESSION = {"options": "-c search_path=application -c synchronous_commit=off -c statement_timeout=10s"}


class Store:
    """A few connections, each in autocommit; rows are dictionaries."""

    def __init__(self, settings: Settings) -> None:
        self._pool: AsyncConnectionPool[AsyncConnection[Row]] = AsyncConnectionPool(
            settings.conninfo(),
            min_size=1,
            max_size=5,
            open=False,
            timeout=5.0,
            kwargs={**_SESSION, "autocommit": True, "row_factory": dict_row},
            check=AsyncConnectionPool.check_connection,
        )

    async def open(self) -> None:
        """Connect. The database may come later."""
        await self._pool.open()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close(timeout=1.0)

    async def rows(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """Return the rows of a statement; none where it has none."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query.encode(), parameters)
            return await cursor.fetchall() if cursor.description else []

    async def row(self, query: str, parameters: Mapping[str, Any] | None = None) -> Row | None:
        """Return the first row of a statement, None without one."""
        rows = await self.rows(query, parameters)
        return rows[0] if rows else None
