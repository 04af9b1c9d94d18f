from __future__ import annotations

from collections.abc import Iterator

import pytest
from two_servers import Server

from pytest_deploygate.checks.migration.section import Migration
from pytest_deploygate.clients.postgres.cluster import Cluster

DATA = """
CREATE SCHEMA app; CREATE TABLE app.sales (id int PRIMARY KEY, sold timestamptz, shop text, pieces int, price numeric(8,2), total float8);
INSERT INTO app.sales SELECT n, '2026-01-01Z'::timestamptz + n * interval '6 hours', 'shop ' || n % 3, n % 7, n, n % 7 * n FROM generate_series(1, 400) n;
"""


@pytest.fixture(scope="session")
def servers() -> Iterator[tuple[Server, Server]]:
    pair = Server("old", 13), Server("new", 18)
    try:
        for server in pair:
            server.start()
            server.sql(DATA)
        yield pair
    finally:
        for server in pair:
            server.stop()


@pytest.fixture
def migration(servers: tuple[Server, Server]) -> Migration:
    node = {"name": "old", "host": "127.0.0.1", "port": servers[0].port}
    return Migration.model_validate(
        {
            "source": {"name": "plant", "user": "postgres", "sslmode": "disable", "primary": node},
            "tables": [{"source": "app.*"}],
            "folder": "unused",
        }
    )


@pytest.fixture
def target(servers: tuple[Server, Server]) -> Iterator[Cluster]:
    """The target; what a test changes there is undone."""
    servers[1].sql("DROP TABLE IF EXISTS app.kept; CREATE TABLE app.kept AS TABLE app.sales")
    cluster = Cluster(servers[1].settings())
    yield cluster
    cluster.close()
    servers[1].sql("TRUNCATE app.sales; INSERT INTO app.sales TABLE app.kept; DROP TABLE app.kept")
