"""Fixtures for suite tests: the gate, the cluster, and the inventory's sections.

They are seen by every test, so their names are overridden by any fixture of the same name in a `conftest.py`.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator

import pytest

from pytest_deploygate.inventory.models import Indexes, Inventory, Migrations, Tables
from pytest_deploygate.model import CannotTell, NotCovered
from pytest_deploygate.probes.catalog import Index, Structure, load_snapshot
from pytest_deploygate.probes.postgres import Cluster
from pytest_deploygate.session.gate import Gate
from pytest_deploygate.session.parameters import NO_DATABASE
from pytest_deploygate.session.settings import Settings

SETTINGS = pytest.StashKey[Settings]()
GATE = pytest.StashKey[Gate]()


@pytest.fixture
def gate(request: pytest.FixtureRequest) -> Gate:
    """Take judgements: `gate.judge(judge, measurement, criterion)`. Needs `@pytest.mark.item("id")` on the test."""
    found: Gate | None = request.node.stash.get(GATE, None)
    if found is None:
        raise pytest.UsageError(f'{request.node.nodeid} uses gate but has no @pytest.mark.item("id")')
    return found


@pytest.fixture(scope="session")
def inventory(pytestconfig: pytest.Config) -> Inventory:
    """The inventory of this run."""
    return pytestconfig.stash[SETTINGS].inventory


@pytest.fixture(scope="session")
def postgres(inventory: Inventory) -> Iterator[Cluster]:
    """The database cluster of the inventory; one connection a node, reused by all tests."""
    if inventory.database is None:
        raise NotCovered(NO_DATABASE)
    cluster = Cluster(inventory.database, inventory.writes.schema_ if inventory.writes else None)
    yield cluster
    cluster.close()


@pytest.fixture(scope="session")
def migrations(postgres: Cluster) -> Migrations:
    """The `database.migrations` section."""
    if postgres.criteria.migrations is None:
        raise NotCovered(
            "the inventory has no database.migrations; add `migrations: {alembic: FOLDER}` or a query with expect"
        )
    return postgres.criteria.migrations


@pytest.fixture(scope="session")
def tables(postgres: Cluster) -> Tables:
    """The `database.tables` section."""
    if postgres.criteria.tables is None:
        raise NotCovered(
            "the inventory has no database.tables; write a snapshot with `deploygate snapshot` "
            "and add `tables: {snapshot: FILE}`"
        )
    return postgres.criteria.tables


@pytest.fixture(scope="session")
def snapshot(tables: Tables) -> Structure:
    """The expected structure, from the snapshot file."""
    return load_snapshot(tables.snapshot)


@pytest.fixture(scope="session")
def indexes(postgres: Cluster) -> Indexes:
    """The `database.indexes` section; with a table snapshot alone its defaults hold."""
    if postgres.criteria.indexes is None and postgres.criteria.tables is None:
        raise NotCovered(
            "the inventory has no database.indexes and no table snapshot; add `indexes: {expected: [schema.name]}`"
        )
    return postgres.criteria.indexes or Indexes()


@pytest.fixture(scope="session")
def expected_indexes(postgres: Cluster) -> tuple[Index, ...]:
    """The indexes of the snapshot file; none where the inventory has no snapshot."""
    section = postgres.criteria.tables
    return load_snapshot(section.snapshot).indexes if section else ()


@pytest.fixture(scope="session")
def allow_disruptive(pytestconfig: pytest.Config) -> bool:
    """True when `--allow-disruptive` names this inventory."""
    return pytestconfig.stash[SETTINGS].allow_disruptive


def hold_the_floor(item: pytest.Item, settings: Settings) -> Iterator[None]:
    """Keep disruptive tests alone: they wait until no other test runs, and others wait for them (pytest-xdist).

    A test marked `disruptive(otherwise="…")` has something quiet to do where disturbing is not allowed.
    Raises CannotTell for any other disruptive test that was not allowed.
    """
    marker = item.get_closest_marker("disruptive")
    if marker and not settings.allow_disruptive and "otherwise" not in marker.kwargs:
        raise CannotTell(
            "this check disturbs and was not allowed; "
            f"run it with --allow-disruptive={settings.inventory.name} in a window where that is agreed"
        )
    alone = marker is not None and settings.allow_disruptive
    with (settings.out / ".floor").open("w") as floor:
        fcntl.flock(floor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
