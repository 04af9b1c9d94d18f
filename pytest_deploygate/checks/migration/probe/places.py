"""The two databases of a migration, each read in one moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_deploygate.checks.migration.section import Migration
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.postgres.one_moment import Ask, one_moment
from pytest_deploygate.fields.postgres import ServerLogin


@contextmanager
def source(migration: Migration) -> Iterator[Ask]:
    """Yield what asks the source. Raises CannotTell."""
    with _alone(migration.source) as ask:
        yield ask


@contextmanager
def target(postgres: Cluster, migration: Migration) -> Iterator[Ask]:
    """Yield what asks the target: the section's, else the inventory's `database`. Raises CannotTell."""
    if migration.target is not None:
        with _alone(migration.target) as ask:
            yield ask
    else:
        with one_moment(postgres, postgres.primary) as ask:
            yield ask


@contextmanager
def _alone(login: ServerLogin) -> Iterator[Ask]:
    cluster = Cluster(login.alone())
    try:
        with one_moment(cluster, cluster.primary) as ask:
            yield ask
    finally:
        cluster.close()
