"""The privileges that the checks of this subject need."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.fields.grants import BesideSql, Need, ReadEverything, Statistics
from pytest_deploygate.fields.handed import Sections

_BY_SECTION = {
    "sample_query": "phase4.sample-queries",
    "calculation": "phase4.calculations",
    "history": "phase4.history",
    "aggregation": "phase4.aggregations",
}


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the sections of the inventory need."""
    if sections.get("migration"):
        yield Statistics(("phase4.start", "phase4.progress"))
    if items := tuple(item for name, item in _BY_SECTION.items() if sections.get(name)):
        yield ReadEverything(items)
        yield BesideSql(items, "to read on the migration's source, as its role there")
