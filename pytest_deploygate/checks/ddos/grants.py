"""What the checks of this subject need beside privileges in a database."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.checks.ddos.section import Ddos
from pytest_deploygate.fields.grants import BesideSql, Need
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    ddos: Ddos | None = sections.get("ddos")
    if ddos is not None and ddos.second.host is not None:
        yield BesideSql(
            ("sec.ddos",),
            f"a login with a POSIX shell and python3 (3.7 or later) on {ddos.second.host}, which reaches the limited addresses",
        )
