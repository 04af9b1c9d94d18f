"""The `backup` section with its tool."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.backups.probe.seen import Backups
from pytest_deploygate.fields.handed import Named, Sections
from pytest_deploygate.fields.names import plain


@pytest.fixture(scope="session")
def backups(sections: Sections, inventory: Named, request: pytest.FixtureRequest) -> Backups:
    """The backups of the inventory; the tool is queried once per run, and one restore is done."""
    partitioned = sections.get("partitioned") or ()
    time_columns = {plain(table.table): table.column for table in partitioned}
    named = sections.get("postgres") is not None
    cluster = request.getfixturevalue("postgres") if named else None
    return Backups(sections.need("backups"), time_columns, inventory.name, cluster)
