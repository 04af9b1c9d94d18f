"""Look at values of columns, and at what folders are stored on; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.encryption.facts import AtRest
from pytest_deploygate.checks.encryption.probe import columns, volumes
from pytest_deploygate.checks.encryption.section import Encryption
from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.clients.postgres.cluster import Cluster

__all__ = ["at_rest"]


def at_rest(declared: Encryption, postgres: Cluster | None, hosts: Hosts | None) -> AtRest:
    """Look at every column and volume that is named. What cannot be read is a value (`problem`)."""
    return AtRest(
        tuple(columns.read(postgres, column) for column in declared.columns),
        tuple(
            found
            for volume in declared.volumes
            for found in volumes.read(volume, hosts, declared.timeout.total_seconds())
        ),
    )
