"""What any kind of server must offer to be compared: the interface, and nothing of any server.

A team brings an adapter of its own as an entry point of the group `deploygate.servers`: see
docs/comparing-other-servers.md. `PostgresServer` and `MariaDbServer` are the ones that come along.
"""

from __future__ import annotations

from typing import Literal, Protocol

from pytest_deploygate.comparison.described import Catalog
from pytest_deploygate.comparison.parts import Part
from pytest_deploygate.comparison.spec import Table

Side = Literal["source", "target"]
#: Tail of the key's checksum, number of rows, sum of the rows' checksums.
Sum = tuple[int, int, int]
#: Key as text, checksum of the row, how many such rows.
Keyed = tuple[str, int, int]
#: Key as text, checksum of the row, values as text; None is NULL.
Values = tuple[str, int, tuple[str | None, ...]]


class Session(Protocol):
    """One connection. Every method but `close` and `cancel` raises CannotTell where the server gives no answer.

    It is used by one thread at a time; only `cancel` is called from another one.
    """

    def sums(self, table: Table, part: Part) -> list[Sum]:
        """Return a sum for each tail of the part's bits that has rows; one with tail 0 without bits."""

    def keys(self, table: Table, part: Part) -> list[Keyed]:
        """Return key and checksum of all rows of a part, in any order; equal ones together or apart."""

    def rows(self, table: Table, part: Part, keys: list[str]) -> list[Values]:
        """Return the rows of a part with these keys, of a table without key with these checksums."""

    def bounds(self, table: Table, ranges: int) -> tuple[tuple[str, ...], ...]:
        """Return keys, in order and none twice, that divide a table into about so many ranges of about as many rows."""

    def extent(self, table: Table) -> tuple[str | None, str | None]:
        """Return the least and the greatest first value of the key, as text."""

    def busy(self) -> int:
        """Return how many sessions of others are active on the server."""

    def close(self) -> None:
        """Close the connection."""

    def cancel(self) -> None:
        """End from another thread what the connection waits for."""


class Server(Protocol):
    """A server on one side. `name` stands in sentences and files; `kind` is the one of the inventory and of its tables."""

    name: str
    kind: str
    side: Side

    def identity(self) -> dict[str, str]:
        """Return what tells this database and its version from others, with `encoding`. Raises CannotTell.

        A comparison is not resumed when it has changed: settings that texts depend on belong to it.
        """

    def catalog(self) -> Catalog:
        """Return the tables that can be compared. Raises CannotTell."""

    def checksums(self, how: str) -> list[int]:
        """Return the checksums of the texts that are known (`hashing.TEXTS`; with `hashing.COMMON` those of `hashing.ROWS`).

        None where the server lacks this function. Raises CannotTell where it can't be asked.
        """

    def session(self, how: str) -> Session:
        """Open a session that computes checksums with this function. Raises CannotTell."""
