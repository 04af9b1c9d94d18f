"""What the checks of this subject need beside privileges in the platform's database."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.checks.encryption.section import Encryption
from pytest_deploygate.fields.grants import Need, ReadTable
from pytest_deploygate.fields.handed import Sections

_ITEMS = ("comp.gdpr",)


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    declared: Encryption | None = sections.get("encryption")
    for column in declared.columns if declared else ():
        yield ReadTable(column.table, _ITEMS)
