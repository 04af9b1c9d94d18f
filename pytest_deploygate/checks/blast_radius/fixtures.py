"""Where the gate's own probes write, as far as the inventory says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_deploygate.checks.backups.section import Backup
from pytest_deploygate.clients.host.place import Place
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.handed import Sections


@pytest.fixture(scope="session")
def own_database(sections: Sections, request: pytest.FixtureRequest) -> Cluster | None:
    """The cluster that probes write to; None if the inventory has no database."""
    cluster: Cluster | None = None
    if sections.get("postgres") is not None:
        cluster = request.getfixturevalue("postgres")
    return cluster


@pytest.fixture(scope="session")
def own_scratch(sections: Sections) -> tuple[Place, Path] | None:
    """The folder in which backups are restored, and its host; None if the inventory has none."""
    backup: Backup | None = sections.get("backups")
    scratch = backup.scratch if backup is not None else None
    if backup is None or scratch is None:
        return None
    return Place(scratch.host, scratch.user or backup.user), Path(scratch.folder)
