"""The writers with the poolers and the backups of the inventory."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.data_loss.probe.setup import Setup, way_through
from pytest_deploygate.checks.data_loss.section import DataLoss
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.handed import Sections


@pytest.fixture(scope="session")
def acknowledged_writes(
    sections: Sections, postgres: Cluster, data_loss: DataLoss, request: pytest.FixtureRequest
) -> Setup:
    """What to write, by which way, and the backups to look in; nothing is written yet."""
    backup = sections.get("backups")
    can_restore = backup is not None and backup.scratch is not None and data_loss.restored
    return Setup(
        postgres,
        data_loss,
        way_through(sections.get("pooling"), postgres, data_loss),
        request.getfixturevalue("backups") if can_restore else None,
    )
