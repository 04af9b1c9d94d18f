"""The hosts that the logs are read on."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_deploygate.checks.hosts.section import Host, Hosts
from pytest_deploygate.fields.handed import Sections


@pytest.fixture(scope="session")
def log_hosts(sections: Sections) -> Mapping[str, Host]:
    """The servers of the section `hosts` by name; none if all logs are in a log store or name a connection."""
    hosts: Hosts | None = sections.get("hosts")
    return {host.name: host for host in hosts.servers} if hosts else {}
