"""The privileges that the checks of this subject need."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.fields.grants import BesideSql, Need, ReadEverything
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the sections of the inventory need."""
    if sections.get("migration"):
        yield ReadEverything(("phase4.integrity",))
        yield BesideSql(
            ("phase4.integrity",), "to read all tables of the migration's source, as its role there"
        )
