"""Columns of a real server: what is there, what is hidden, and what is not there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scratch_cluster import GATE, Scratch

from pytest_deploygate.checks.encryption.facts import Column as Found
from pytest_deploygate.checks.encryption.probe import columns
from pytest_deploygate.checks.encryption.section import Column
from pytest_deploygate.clients.postgres.cluster import Cluster


@pytest.fixture(autouse=True)
def people(nodes: Scratch) -> Iterator[None]:
    """A table with a value that was encrypted twice, one that was not, and NULL."""
    vault = f"vault:v1:{'QUJD' * 12}"
    raw = "decode('c30d04070302' || repeat('e4', 64), 'hex')"
    nodes.sql("db1", f"CREATE TABLE people (contact text, raw bytea); GRANT SELECT ON people TO {GATE}")
    nodes.sql(
        "db1",
        f"INSERT INTO people VALUES ('{vault}', {raw}), ('someone@example.com', 'plain'), ('{vault}', NULL), (NULL, NULL)",
    )
    yield
    nodes.sql("db1", "DROP TABLE people")


def read(cluster: Cluster, table: str = "public.people", column: str = "contact", **more: object) -> Found:
    return columns.read(cluster, Column.model_validate({"table": table, "column": column} | more))


def test_values_are_counted(cluster: Cluster) -> None:
    found = read(cluster)
    assert (found.rows, found.readable, found.unknown, found.equal, found.more) == (3, 1, 0, 2, False)
    raw = read(cluster, column="raw")
    assert (raw.rows, raw.readable, raw.unknown) == (2, 1, 0)
    few = read(cluster, sample=2)
    assert (few.rows, few.more) == (2, True)


def test_what_cannot_be_read_is_said(cluster: Cluster, nodes: Scratch) -> None:
    assert "does not exist" in read(cluster, column="email").problem
    assert "does not exist" in read(cluster, table="public.persons").problem
    assert (
        "names no `database`" in columns.read(None, Column(table="public.people", column="contact")).problem
    )
    nodes.sql("db1", f"REVOKE SELECT ON people FROM {GATE}")
    assert "permission denied" in read(cluster).problem


def test_rows_that_are_hidden_are_not_taken_for_none(cluster: Cluster, nodes: Scratch) -> None:
    nodes.sql("db1", "ALTER TABLE people ENABLE ROW LEVEL SECURITY")
    assert "BYPASSRLS" in read(cluster).problem
