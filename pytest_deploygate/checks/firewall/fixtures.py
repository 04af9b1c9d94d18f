"""The hosts of the inventory, which a table may do without."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.fields.handed import Sections


@pytest.fixture(scope="session")
def inventory_hosts(sections: Sections) -> Hosts | None:
    """The section `hosts`, if there is one."""
    found: Hosts | None = sections.get("hosts")
    return found
