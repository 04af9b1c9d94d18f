"""What the checks of this subject need beside privileges in a database."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.checks.connectivity.section import Connectivity
from pytest_deploygate.fields.grants import BesideSql, Need
from pytest_deploygate.fields.handed import Sections
from pytest_deploygate.fields.hosts import HERE


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    connectivity: Connectivity | None = sections.get("connectivity")
    if connectivity and any(name != HERE for row in connectivity.rows for name in row.from_):
        yield BesideSql(
            ("phase1.connectivity",),
            "a login with a POSIX shell and python3 (3.7 or later) on each host of `connectivity.rows`",
        )
