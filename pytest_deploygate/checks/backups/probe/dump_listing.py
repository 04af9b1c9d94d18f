"""A dump's table of contents: which tables it has rows of."""

from __future__ import annotations

import re

from pytest_deploygate.clients.host.place import Place
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

#: Puts the newest PostgreSQL's programs before others.
PATH = "PATH=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1):$PATH;"
_ENTRY = re.compile(r"^\d+; (\d+) (\d+) (.*)$", re.MULTILINE)
_DATA = re.compile(r"^-- Data for Name: (.*); Type: TABLE DATA; Schema: (.*); Owner: ", re.MULTILINE)


@dataclass(frozen=True)
class Listing:
    """A dump's table of contents: the tables that have a data entry, by oid and by "schema name", and the newest oid.

    `newest` is None where the dump names no oids (plain SQL).
    """

    data_oids: frozenset[int]
    data_names: frozenset[str]
    newest: int | None

    def has_rows_of(self, schema: str, name: str, oid: int) -> bool:
        """True if the dump has a data entry for a table; an empty table has one too."""
        return oid in self.data_oids or _one_line(f"{schema} {name}") in self.data_names


def is_script(label: str) -> bool:
    """True for a plain SQL dump, which psql loads."""
    return label.endswith((".sql", ".sql.gz"))


def read(place: Place, pg_restore: str, file: str, label: str) -> Listing:
    """Read the table of contents of a dump on its host. Raises CannotTell."""
    if is_script(label):
        unpack = "zcat" if label.endswith(".gz") else "cat"
        done = place.run("{} {} | grep -a '^-- Data for Name: '", unpack, file, timeout_s=3600)
        return listing_of_script(done.output)
    done = place.run(f"{PATH} {{}} --list {{}}", pg_restore, file, timeout_s=600)
    return listing(done.output or done.said)


def listing(text: str) -> Listing:
    """Read `pg_restore --list`. Pure. Raises CannotTell if it has no entries."""
    entries = [(int(oid), what) for _, oid, what in _ENTRY.findall(text)]
    if not entries:
        raise CannotTell(f"the dump's table of contents cannot be read: {' '.join(text.split())[:200]}")
    data = [
        (oid, what.removeprefix("TABLE DATA ")) for oid, what in entries if what.startswith("TABLE DATA ")
    ]
    # A line is "schema name owner"; each may contain blanks, so every way to cut off an owner is kept.
    names = {what[: at.start()] for _, what in data for at in re.finditer(" ", what)}
    return Listing(frozenset(oid for oid, _ in data), frozenset(names), max(oid for oid, _ in entries))


def listing_of_script(text: str) -> Listing:
    """Read the comments that pg_dump writes above each table's rows in a plain SQL dump. Pure."""
    return Listing(frozenset(), frozenset(f"{schema} {name}" for name, schema in _DATA.findall(text)), None)


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")
