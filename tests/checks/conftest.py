from __future__ import annotations

from collections.abc import Iterator

import pytest
from agreeing import watch_judges
from scratch_cluster import Scratch, scratch

from pytest_deploygate.clients.postgres.cluster import Cluster

# Before the judges' own tests import them: from then on each asserts that its readings agree with its verdict.
watch_judges()


@pytest.fixture(scope="session")
def nodes() -> Iterator[Scratch]:
    """A primary db1 with the replicas db2 and db3. A test that breaks them mends them."""
    with scratch() as made:
        yield made


@pytest.fixture
def cluster(nodes: Scratch) -> Iterator[Cluster]:
    """A way to those nodes that remembers nothing yet."""
    opened = Cluster(nodes.database(), "deploygate")
    yield opened
    opened.close()
