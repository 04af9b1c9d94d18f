"""A side of a comparison that is a database of MariaDB or MySQL."""

from __future__ import annotations

from typing import Any

from pytest_deploygate.clients.mariadb import SETTINGS, MariaDbConnection
from pytest_deploygate.comparison import hashing
from pytest_deploygate.comparison.adapter import Keyed, Side, Sum, Values
from pytest_deploygate.comparison.described import Catalog
from pytest_deploygate.comparison.mariadb import catalog, statements
from pytest_deploygate.comparison.mariadb.statements import NO_CHECKSUM, MariaDb
from pytest_deploygate.comparison.parts import Part
from pytest_deploygate.comparison.spec import Table
from pytest_deploygate.fields.postgres import ServerLogin
from pytest_deploygate.model import CannotTell

_IDENTITY = "SELECT VERSION(), DATABASE(), @@hostname, CAST(@@lower_case_table_names AS CHAR)"
_BUSY = """
SELECT COUNT(*) FROM information_schema.PROCESSLIST
WHERE COMMAND IN ('Query', 'Execute') AND ID <> CONNECTION_ID() AND USER <> SUBSTRING_INDEX(USER(), '@', 1)
"""


class MariaDbServer:
    """A database of MariaDB or MySQL; see `adapter.Server`."""

    def __init__(self, login: ServerLogin, side: Side, statement_s: float) -> None:
        self.name, self.kind = login.primary.name, catalog.KIND
        self.side: Side = side
        self._login, self._statement_s = login, statement_s

    def identity(self) -> dict[str, str]:
        """Return version, name of the database, and the settings that texts depend on; see `Server`."""
        version, database, host, names = self._asked(_IDENTITY)[0]
        node = self._login.primary
        return {
            "version": version,
            "encoding": "UTF8",  # whatever a column has: texts are converted
            "database": f"{database} on {host}, names {names}",
            "place": f"{node.host}:{node.port}",
            **SETTINGS,
        }

    def catalog(self) -> Catalog:
        """Return the tables of the database; see `Server`."""
        connection = self.connect()
        try:
            return catalog.read(connection, self._login.name)
        finally:
            connection.close()

    def checksums(self, how: str) -> list[int]:
        """Return the checksums of rows in the common form; there are no others; see `Server`."""
        if how != hashing.COMMON:
            return []
        rows = [statements.row([statements.literal(v) for v in row]) for row in hashing.ROWS]
        return [int(n) for n in self._asked(f"SELECT {', '.join(map(statements.checksum, rows))}")[0]]

    def session(self, how: str) -> MariaDbSession:
        """Open a session; see `Server`."""
        if how != hashing.COMMON:
            raise CannotTell(f"{self.name} does not compute {how}")
        return MariaDbSession(self)

    def connect(self) -> MariaDbConnection:
        """Open a session with pinned settings. The caller closes it. Raises CannotTell."""
        return MariaDbConnection(self._login, self._statement_s)

    def _asked(self, statement: str) -> list[tuple[Any, ...]]:
        connection = self.connect()
        try:
            return connection.rows(statement)
        finally:
            connection.close()


class MariaDbSession:
    """One session; see `adapter.Session`."""

    def __init__(self, server: MariaDbServer) -> None:
        self._server = server
        self._connection = server.connect()
        self._last: tuple[Table, MariaDb] | None = None

    def sums(self, table: Table, part: Part) -> list[Sum]:
        """See `Session`."""
        found = [
            (int(tail), int(rows), int(total))
            for tail, rows, total in self._fetch(self._of(table).sums(part))
        ]
        self._all_have_checksums(table, max((abs(total) for *_, total in found), default=0))
        return found

    def keys(self, table: Table, part: Part) -> list[Keyed]:
        """See `Session`."""
        found = [(_text(key), int(number), 1) for key, number in self._fetch(self._of(table).keys(part))]
        self._all_have_checksums(table, max((number for _, number, _ in found), default=0))
        return found

    def rows(self, table: Table, part: Part, keys: list[str]) -> list[Values]:
        """See `Session`."""
        found = self._fetch(self._of(table).rows(part, keys)) if keys else []
        return [(_text(row[0]), int(row[1]), tuple(row[2:])) for row in found]

    def bounds(self, table: Table, ranges: int) -> tuple[tuple[str, ...], ...]:
        """See `Session`. The index of the key is read once, step by step."""
        asked, step = self._of(table), max(1, table.rows // ranges)
        found: list[tuple[str, ...]] = []
        while rows := self._fetch(asked.following(found[-1][0] if found else None, step)):
            found.append((rows[0][0],))
        return tuple(found)

    def extent(self, table: Table) -> tuple[str | None, str | None]:
        """See `Session`."""
        least, most = self._fetch(self._of(table).extent())[0]
        return least, most

    def busy(self) -> int:
        """See `Session`. Sessions of the gate's own role do not count."""
        return int(self._fetch(_BUSY)[0][0])

    def close(self) -> None:
        """See `Session`."""
        self._connection.close()

    def cancel(self) -> None:
        """See `Session`."""
        self._connection.cancel()

    def _all_have_checksums(self, table: Table, largest: int) -> None:
        if largest > NO_CHECKSUM // 2:
            raise CannotTell(
                f"{table.name} has a row whose text {self._server.name} cannot build, as it is longer than "
                "max_allowed_packet: raise it there, or leave out the column with a reason"
            )

    def _of(self, table: Table) -> MariaDb:
        if self._last is None or self._last[0] is not table:
            self._last = table, MariaDb(table, self._server.side)
        return self._last[1]

    def _fetch(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement, once more on a new session if the old one broke."""
        try:
            if self._connection.open:
                return self._connection.rows(statement)
        except CannotTell:
            if self._connection.open:
                raise
        self._connection = self._server.connect()
        return self._connection.rows(statement)


def _text(key: bytes | str) -> str:
    return key.decode() if isinstance(key, bytes) else key
