"""The database that events are read from, where there is one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_deploygate.checks.pipeline.section import Pipeline
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.handed import Sections


@pytest.fixture(scope="session")
def pipeline_database(sections: Sections) -> Iterator[Cluster | None]:
    """The database cluster of the inventory, if the section `pipeline` reads from it; else None."""
    pipeline: Pipeline | None = sections.get("pipeline")
    if pipeline is None or not pipeline.needs_database:
        yield None
        return
    cluster = Cluster(sections.need("postgres"))
    yield cluster
    cluster.close()
