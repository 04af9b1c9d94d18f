"""Questions to one server of PostgreSQL. What it does not answer is kept, with what it would need."""

from collections.abc import Sequence
from typing import Any

from pytest_deploygate.clients.postgres.cluster import Cluster, Query
from pytest_deploygate.discovery.found import Fact, Found, Unread, Wanted
from pytest_deploygate.discovery.postgres.dsn import Address
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

Rows = list[tuple[Any, ...]]


class Server:
    """One server that answers, and the notes taken while it is asked."""

    def __init__(self, cluster: Cluster, address: Address) -> None:
        self.cluster = cluster
        self.address = address
        self._facts: list[Fact] = []
        self._unread: list[Unread] = []
        self._wanted: list[Wanted] = []
        self._remarks: list[str] = []

    @property
    def role(self) -> str:
        """The role, as SQL writes it."""
        return '"' + self.address.user.replace('"', '""') + '"'

    def rows(self, what: str, query: Query, needs: str, parameters: Any = None) -> Rows | None:
        """Return the rows of a query; None if it failed, which is kept with what it needs."""
        try:
            return [tuple(row) for row in self.cluster.rows(self.cluster.primary, query, parameters)]
        except CannotTell as unknown:
            self.unread(what, str(unknown), needs)
            return None

    def fact(self, place: str, value: Any, seen: str, *, entry: bool = False, given: bool = False) -> None:
        """Note a value for a place of the inventory."""
        self._facts.append(Fact(tuple(place.split(".")), value, seen, entry, given))

    def unread(self, what: str, why: str, needs: str) -> None:
        """Note something that could not be read."""
        self._unread.append(Unread(what, redact(why), needs))

    def wanted(self, place: str, hint: str) -> None:
        """Note a key that only people know."""
        self._wanted.append(Wanted(place, hint))

    def remark(self, text: str) -> None:
        """Note an observation that no key holds."""
        self._remarks.append(redact(text))

    @property
    def found(self) -> Found:
        """Everything that was noted."""
        return Found(tuple(self._facts), tuple(self._unread), tuple(self._wanted), tuple(self._remarks))


def duration(seconds: float) -> str:
    """Write a duration as an inventory does, in the largest unit that is exact."""
    whole = round(seconds)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole >= size and whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def some(names: Sequence[str], most: int = 5) -> str:
    """Return some names and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
