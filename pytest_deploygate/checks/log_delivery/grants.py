"""What the checks of this subject need beside privileges in a database."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.fields.grants import BesideSql, Need
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    if sections.get("log_delivery"):
        yield BesideSql(
            ("phase1.logs",),
            "a login on each host, to log messages there, and to read the aggregator's files or log store",
        )
