"""Settings of the database or the role that change how answers look: each connection pins what it relies on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from places import server_folder
from scratch_cluster import Scratch

from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.postgres.one_moment import one_moment

SETTINGS = [
    ("datestyle", "SQL, DMY"),
    ("datestyle", "German"),
    ("datestyle", "Postgres, MDY"),
    ("intervalstyle", "iso_8601"),
    ("intervalstyle", "sql_standard"),
    ("timezone", "America/St_Johns"),
    ("client_encoding", "LATIN1"),
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_deferrable", "on"),
    ("default_transaction_read_only", "off"),
    ("quote_all_identifiers", "on"),
    ("bytea_output", "escape"),
    ("extra_float_digits", "-10"),
    ("standard_conforming_strings", "off"),
    ("array_nulls", "off"),
    ("transform_null_equals", "on"),
    ("row_security", "off"),
    ("statement_timeout", "1ms"),
    ("lock_timeout", "1ms"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Scratch]:
    made = Scratch(server_folder("dgs-"))
    try:
        made.create()
        made.sql("db1", 'CREATE TABLE public."Größe" (id int)')
        yield made
    finally:
        made.destroy()


_ASK = r"""
SELECT timestamptz '2026-02-03 04:05:06.789+00', interval '1 day 02:03:04', '\x00ff'::bytea, 0.1::float8 + 0.2::float8,
    quote_ident('plain'), 'a\b', '{NULL}'::text[], NULL::int = NULL, 'Größe', format_type('public."Größe"'::regclass::oid, NULL),
    true, current_setting('transaction_isolation'), current_setting('transaction_read_only')
FROM (SELECT pg_sleep(0.01)) s
"""


@pytest.mark.parametrize("level", ["DATABASE postgres", "ROLE gate"])
@pytest.mark.parametrize(("name", "value"), SETTINGS)
def test_a_setting_does_not_change_what_is_read(server: Scratch, level: str, name: str, value: str) -> None:
    """The same values on the primary and on a replica, with and without the setting."""
    server.sql("db1", f"ALTER {level} SET {name} = '{value}'")
    try:
        with closing(Cluster(server.database(), "deploygate")) as cluster:
            for node in cluster.nodes[:2]:
                row = cluster.rows(node, _ASK)[0]
                assert row[0] == datetime(2026, 2, 3, 4, 5, 6, 789000, UTC)
                assert row[1] == timedelta(days=1, hours=2, minutes=3, seconds=4)
                assert (row[2], row[3], row[4], row[5]) == (b"\x00\xff", 0.1 + 0.2, "plain", r"a\b")
                assert (row[6], row[7], row[8]) == ([None], None, "Größe")
                assert (row[11], row[12]) == ("read committed", "on")
            with one_moment(cluster, cluster.primary) as ask:
                assert ask("SELECT now()")[0][0].tzinfo is not None
            connection = cluster.connect(cluster.primary, read_only=False)
            with connection:
                assert connection.execute("SHOW transaction_read_only").fetchone() == ("off",)
    finally:
        server.sql("db1", f"ALTER {level} RESET {name}")
