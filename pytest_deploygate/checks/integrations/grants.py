"""What the checks of this subject need beside privileges in a database."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.fields.grants import BesideSql, Need
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    if sections.get("integration"):
        items = ("phase3.integrations", "after.integrations", "crit.integrations")
        yield BesideSql(items, "the credential that the platform has at each partner")
