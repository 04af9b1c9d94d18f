"""The migration tool of the inventory."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.migrations.section.versions import Migrations
from pytest_deploygate.fields.handed import Sections


@pytest.fixture(scope="session")
def migration_tool(sections: Sections) -> Migrations | None:
    """The `database.migrations` section, which states what is applied; None if the inventory has none."""
    found: Migrations | None = sections.get("migrations")
    return found
