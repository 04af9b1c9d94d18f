"""The hosts from which origins are tried."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_deploygate.checks.hosts.section import Host, Hosts
from pytest_deploygate.fields.handed import Sections


@pytest.fixture(scope="session")
def waf_hosts(sections: Sections) -> Mapping[str, Host]:
    """The servers of the section `hosts` by name; none if origins are tried from here alone."""
    hosts: Hosts | None = sections.get("hosts")
    return {host.name: host for host in hosts.servers} if hosts else {}
