"""The privileges that the checks of this subject need."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.fields.grants import Need, Statistics
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the sections of the inventory need."""
    if sections.get("patroni") is not None:
        yield Statistics(("db.replication", "phase2.replication"))
