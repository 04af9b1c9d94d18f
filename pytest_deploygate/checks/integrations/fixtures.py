"""The hosts from which partners are asked, too."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.fields.handed import Sections


@pytest.fixture(scope="session")
def integration_hosts(sections: Sections) -> Hosts | None:
    """The section `hosts`; None if partners are asked from here alone."""
    hosts: Hosts | None = sections.get("hosts")
    return hosts
