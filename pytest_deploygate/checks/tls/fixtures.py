"""The endpoints, measured concurrently."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_deploygate.checks.tls.probe.endpoints import Edge
from pytest_deploygate.fields.handed import Sections


@pytest.fixture(scope="session")
def edge(sections: Sections) -> Iterator[Edge]:
    """All endpoints of the inventory; the first use measures all of them."""
    found = Edge(sections.get("endpoint") or [], sections.need("tls"))
    yield found
    found.close()
