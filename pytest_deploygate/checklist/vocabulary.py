"""The words of records, as values and pure functions: for those who read records and those who judge them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Item

#: SARIF levels, from harmless to severe.
LEVELS = ("none", "note", "warning", "error")


def roles_asked(item: Item) -> tuple[str, ...]:
    """Return the roles that must all attest an item; empty: any role is enough."""
    return tuple(role for role in item.role.split(",") if role)


#: The clock difference between machines that is tolerated before a time counts as in the future.
CLOCK_SLACK = timedelta(minutes=5)


def time_words(when: datetime) -> str:
    """Format an instant as in the records: `2026-03-04T10:00:00Z`."""
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class SetAside:
    """A record that does not count: its file, its item (empty if it is about none), and why, in one sentence part.

    `why` begins with `uncommitted` or `unsigned`.
    """

    file: str
    item: str
    why: str

    @property
    def attestation(self) -> bool:
        """Whether it is an attestation."""
        return self.file.startswith("attestations/")

    @property
    def words(self) -> str:
        """A sentence for the banner: `waivers/x.yml does not count: uncommitted, …`."""
        return f"{self.file} does not count: {self.why}"


#: From most to least severe.
SEVERITIES = ("blocker", "critical", "major", "minor", "low")


@dataclass(frozen=True)
class Issue:
    """One entry. `incomplete` names the fields still to be filled in; `closed` is None while it is open.

    `rows` is for how many rows it was decided, where it is about rows that differ after a migration.
    """

    item: str
    target: str
    owner: str
    severity: str
    decision: str
    summary: str
    opened: datetime
    closed: datetime | None
    line: int
    incomplete: tuple[str, ...] = ()
    rows: int | None = None

    def about(self, item: str, target: str) -> bool:
        """Tell whether it documents this target of this item; an entry without a target covers all."""
        return self.item == item and self.target in ("", target)


@dataclass(frozen=True)
class Backing:
    """A file (path below the root, with its digest) or a URL that supports an attestation."""

    file: str = ""
    url: str = ""
    sha256: str = ""
    note: str = ""

    @property
    def where(self) -> str:
        """The file or the URL."""
        return self.file or self.url


@dataclass(frozen=True)
class FindingsFile:
    """A SARIF file that supports an attestation; open results above the level `allowed` make it fail."""

    file: str
    sha256: str
    allowed: str = "warning"


@dataclass(frozen=True)
class Attestation:
    """Who attests what, when, until when and with what evidence. `file` is its path below the root.

    Empty `change` or `inventory`: valid for any.
    """

    file: str
    sha256: str
    item: str
    role: str
    name: str
    meaning: str
    at: datetime
    valid_until: datetime
    evidence: tuple[Backing, ...] = ()
    findings: FindingsFile | None = None
    change: str = ""
    inventory: str = ""
