"""The reason names what really is the cause: the session that holds a lock, the collation, the pooler's own limit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from places import server_folder
from scratch_cluster import Scratch

from pytest_deploygate.checks.postgres.probe.servers import server_state
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell


@pytest.fixture(scope="module")
def server() -> Iterator[Scratch]:
    made = Scratch(server_folder("dgc-"))
    try:
        made.replica = lambda *_: None  # type: ignore[method-assign]
        made.create()
        made.sql("db1", "CREATE ROLE app LOGIN; CREATE SCHEMA shop; GRANT ALL ON SCHEMA shop TO app, gate")
        made.sql("db1", "CREATE TABLE shop.orders (id int); ALTER TABLE shop.orders OWNER TO app")
        made.sql(
            "db1",
            "CREATE TABLE shop.events (id int) PARTITION BY RANGE (id); ALTER TABLE shop.events OWNER TO app",
        )
        made.sql(
            "db1",
            "CREATE MATERIALIZED VIEW shop.sums AS SELECT 1 AS n; ALTER MATERIALIZED VIEW shop.sums OWNER TO app",
        )
        made.sql("db1", "GRANT SELECT ON ALL TABLES IN SCHEMA shop TO gate")
        yield made
    finally:
        made.destroy()


@pytest.mark.parametrize(
    ("lock", "table"),
    [
        ("LOCK TABLE shop.orders", "shop.orders"),
        ("ALTER TABLE shop.orders ADD x int", "shop.orders"),
        ("TRUNCATE shop.events", "shop.events"),
        ("REFRESH MATERIALIZED VIEW shop.sums", "shop.sums"),
    ],
)
def test_a_lock_timeout_names_the_blocker_and_its_table(server: Scratch, lock: str, table: str) -> None:
    own = f"host=127.0.0.1 port={server.ports['db1']} dbname=postgres user=app application_name=nightly"
    database = server.database(replicas=None, statement_timeout="1s")
    with psycopg.connect(own) as held, closing(Cluster(database)) as cluster:
        held.execute(lock.encode())
        process = held.info.backend_pid
        # The statement's own limit is as long as the lock's: give the lock less, as on most systems.
        cluster.rows(cluster.primary, "SET lock_timeout = '300ms'")
        with pytest.raises(CannotTell) as said:
            cluster.rows(cluster.primary, f"SELECT * FROM {table}")
        held.rollback()
        assert cluster.rows(cluster.primary, f"SELECT count(*) FROM {table}")[0][0] >= 0
    text = str(said.value)
    assert f"process {process} of app (nightly) holds ACCESS EXCLUSIVE on {table}" in text
    assert "cannot be used" not in text


@pytest.mark.parametrize("locale", ["en-US-x-icu", "de-x-icu", "und-x-icu"])
def test_a_mismatch_of_icu_names_its_locale(server: Scratch, locale: str) -> None:
    """A database of ICU has `C` or another name in datcollate, which is not what its indexes are sorted by."""
    try:
        server.sql(
            "db1",
            f"CREATE DATABASE icu TEMPLATE template0 LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE '{locale.removesuffix('-x-icu')}'",
        )
    except psycopg.Error as error:
        pytest.skip(f"this PostgreSQL has no ICU: {error}")
    try:
        server.sql("db1", "UPDATE pg_database SET datcollversion = '1.0' WHERE datname = 'icu'")
        with closing(Cluster(server.database(replicas=None, name="icu"))) as cluster:
            found = server_state(cluster, cluster.primary).collations
    finally:
        server.sql("db1", "DROP DATABASE icu WITH (FORCE)")
    assert found == (f"{locale.removesuffix('-x-icu')} (of the database)",)


@pytest.mark.parametrize(
    "locale", ["LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'", "LOCALE 'C'", "LOCALE 'C.UTF-8'"]
)
def test_a_collation_as_it_was_is_no_mismatch(server: Scratch, locale: str) -> None:
    try:
        server.sql("db1", f"CREATE DATABASE icu TEMPLATE template0 {locale}")
    except psycopg.Error as error:
        pytest.skip(f"this system has no such locale: {error}")
    try:
        with closing(Cluster(server.database(replicas=None, name="icu"))) as cluster:
            assert server_state(cluster, cluster.primary).collations == ()
    finally:
        server.sql("db1", "DROP DATABASE icu WITH (FORCE)")
