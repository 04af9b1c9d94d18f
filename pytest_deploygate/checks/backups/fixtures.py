"""The `backup` section with its tool."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.backups.probe.seen import Backups
from pytest_deploygate.fields.handed import Sections


@pytest.fixture(scope="session")
def backups(sections: Sections) -> Backups:
    """The backups of the inventory; the tool is asked once a run, and a restore is made once."""
    partitioned = sections.get("partitioned") or ()
    return Backups(sections.need("backups"), {table.table: table.column for table in partitioned})
