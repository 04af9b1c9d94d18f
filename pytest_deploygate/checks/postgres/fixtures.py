"""The cluster of the inventory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.handed import Sections


@pytest.fixture(scope="session")
def postgres(sections: Sections, writes_schema: str | None) -> Iterator[Cluster]:
    """The database cluster of the inventory; one connection per node, reused by all tests."""
    cluster = Cluster(sections.need("postgres"), writes_schema)
    yield cluster
    cluster.close()


@pytest.fixture(scope="session")
def postgres_if_named(sections: Sections, request: pytest.FixtureRequest) -> Cluster | None:
    """The same for tests that need a database only where their section has a query."""
    return request.getfixturevalue("postgres") if sections.get("postgres") is not None else None
