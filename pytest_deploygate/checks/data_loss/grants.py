"""The privileges that the checks of this subject need."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.fields.grants import MarkerRows, Need, Statistics
from pytest_deploygate.fields.handed import Sections

_ITEMS = ("crit.data-loss",)


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the sections of the inventory need."""
    if sections.get("data_loss") is not None:
        yield Statistics(_ITEMS)
        yield MarkerRows(_ITEMS)
