"""The expected structure, from the snapshot file."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.structure.section import Tables
from pytest_deploygate.checks.structure.snapshot import Index, Structure, load_snapshot
from pytest_deploygate.fields.handed import Sections


@pytest.fixture(scope="session")
def snapshot(tables: Tables) -> Structure:
    """The expected structure."""
    return load_snapshot(tables.snapshot)


@pytest.fixture(scope="session")
def expected_indexes(sections: Sections) -> tuple[Index, ...]:
    """The indexes of the snapshot file; none if the inventory has no snapshot."""
    tables: Tables | None = sections.get("tables")
    return load_snapshot(tables.snapshot).indexes if tables else ()
