"""Indexes on real PostgreSQL: every kind of problem is created and detected."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from scratch_cluster import Scratch

from pytest_deploygate.checks.structure.judge.amcheck import judge_amcheck
from pytest_deploygate.checks.structure.judge.indexes import ExpectedIndexes, judge_indexes
from pytest_deploygate.checks.structure.judge.plans import judge_plan
from pytest_deploygate.checks.structure.probe import amcheck, indexes, plans
from pytest_deploygate.checks.structure.section import IndexedQuery
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell

GRANT = "GRANT EXECUTE ON FUNCTION bt_index_check(regclass) TO gate"
MADE = f"""
CREATE EXTENSION IF NOT EXISTS amcheck; {GRANT};
CREATE SCHEMA app; CREATE SCHEMA aaa; GRANT USAGE ON SCHEMA app, aaa TO gate;
CREATE TABLE app.u (id int PRIMARY KEY, email text, n int);
INSERT INTO app.u SELECT i, 'u' || i, i FROM generate_series(1, 20000) i;
CREATE INDEX u_n ON app.u (n);
CREATE TABLE aaa.z (n int);
CREATE INDEX u_n ON aaa.z (n);
CREATE TABLE app.p (d date, v int) PARTITION BY RANGE (d);
CREATE TABLE app.p1 PARTITION OF app.p FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE app.p2 PARTITION OF app.p FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO app.p SELECT date '2024-01-01' + i % 300, i FROM generate_series(1, 20000) i;
CREATE INDEX p_d ON app.p (d);
CREATE TABLE app.empty (n int);
CREATE INDEX empty_n ON app.empty (n);
GRANT SELECT ON ALL TABLES IN SCHEMA app, aaa TO gate;
ANALYZE app.u; ANALYZE app.p;
"""


@pytest.fixture(scope="module", autouse=True)
def made(nodes: Scratch) -> Iterator[None]:
    nodes.sql("db1", MADE)
    yield
    nodes.sql("db1", "DROP SCHEMA app CASCADE; DROP SCHEMA aaa CASCADE; DROP EXTENSION amcheck")


def whole(cluster: Cluster) -> str:
    said = judge_indexes(indexes.index_states(cluster), ExpectedIndexes((), ("app.u_n", "app.p_d")))
    return f"{said.verdict}: {said.reason}"


def test_whole(cluster):
    assert whole(cluster).startswith("pass: 2 expected")
    by_name = {state.name: state for state in indexes.index_states(cluster).found}
    assert by_name["app.p1_d_idx"].partition_of == "app.p_d"


@pytest.mark.parametrize(
    ("breaks", "heals", "words"),
    [
        (
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'app.u_n'::regclass",
            "UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'app.u_n'::regclass",
            "app.u_n: is invalid on app.u",
        ),
        (
            "CREATE INDEX e1 ON app.u (lower(email)); CREATE  INDEX   e2   ON app.u   (lower(email))",
            "DROP INDEX app.e1, app.e2",
            "app.e2: does the same work as app.e1",
        ),
        ("CREATE INDEX p1_own ON app.p1 (d)", "DROP INDEX app.p1_own", "app.p1_own"),
        (
            "CREATE INDEX p_v ON ONLY app.p (v)",
            "DROP INDEX app.p_v",
            "app.p_v: is invalid on app.p",
        ),
        (
            "ALTER INDEX app.u_n RENAME TO other",
            "ALTER INDEX app.other RENAME TO u_n",
            "app.u_n: is missing",
        ),
    ],
)
def test_red(nodes, cluster, breaks, heals, words):
    nodes.sql("db1", breaks)
    try:
        said = whole(cluster)
    finally:
        nodes.sql("db1", heals)
    assert said.startswith("fail: ")
    assert words in said


def test_different_ones_are_no_twins(nodes, cluster):
    """Indexes that differ in predicate, order, uniqueness or expression are not redundant."""
    nodes.sql("db1", "CREATE INDEX w1 ON app.u (n) WHERE n > 5; CREATE INDEX w2 ON app.u (n DESC)")
    nodes.sql("db1", "CREATE UNIQUE INDEX w3 ON app.u (n); CREATE INDEX w4 ON app.u ((n + 1))")
    try:
        said = whole(cluster)
    finally:
        nodes.sql("db1", "DROP INDEX app.w1, app.w2, app.w3, app.w4")
    assert said.startswith("pass: ")


def test_collation_of_an_index(nodes, cluster):
    nodes.sql("db1", "CREATE COLLATION app.mine (provider = icu, locale = 'de')")
    nodes.sql("db1", "CREATE INDEX u_c ON app.u (email COLLATE app.mine)")
    nodes.sql("db1", "UPDATE pg_collation SET collversion = '0' WHERE collname = 'mine'")
    try:
        said = whole(cluster)
    finally:
        nodes.sql("db1", "DROP INDEX app.u_c; DROP COLLATION app.mine")
    assert "app.u_c: was built with another version of collation mine" in said


def test_collation_of_the_database(nodes):
    if int(nodes.sql("db1", "SHOW server_version_num")[0][0]) < 150000:
        pytest.skip("older servers do not record it")
    nodes.sql("db1", "CREATE DATABASE german TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de'")
    try:
        for version in (None, "0"):
            if version:
                nodes.sql("db1", "UPDATE pg_database SET datcollversion = '0' WHERE datname = 'german'")
            german = Cluster(nodes.database(name="german"))
            found = indexes.index_states(german).stale_collation
            german.close()
            assert (found or "").startswith("created with version 0" if version else "")
            assert bool(found) == bool(version)
    finally:
        nodes.sql("db1", "DROP DATABASE german WITH (FORCE)")


def test_definitions_name_everything_in_full(nodes, cluster):
    """As in the snapshot, which is read with the same search_path: a role's own one would change the text."""
    nodes.sql("db1", "CREATE FUNCTION app.f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1'")
    nodes.sql("db1", "CREATE INDEX u_f ON app.u (app.f(n)); ALTER ROLE gate SET search_path = app, public")
    try:
        found = {s.name: s.definition for s in indexes.index_states(cluster).found}
    finally:
        nodes.sql("db1", "ALTER ROLE gate RESET search_path; DROP FUNCTION app.f(int) CASCADE")
    assert found["app.u_f"].endswith("ON app.u USING btree (app.f(n))")


@pytest.mark.parametrize(
    ("sql", "uses", "verdict", "words"),
    [
        ("SELECT * FROM app.u WHERE n = 5", "app.u_n", "pass", "uses app.u_n"),
        # The node of a bitmap scan names no schema, and aaa.u_n has the same name.
        ("SELECT * FROM app.u WHERE n IN (5, 90) OR id = 7", "app.u_n", "pass", "uses app.u_n"),
        ("SELECT * FROM app.u WHERE email LIKE '%7'", "app.u_n", "fail", "scans app.u ("),
        ("SELECT * FROM app.u WHERE id = 5", "u_pkey", "pass", "u_pkey"),
        ("SELECT * FROM app.u WHERE id = 5", "app.u_n", "fail", "uses app.u_pkey instead"),
        ("SELECT * FROM app.u WHERE id = 5", "app.gone", "fail", "does not exist"),
        ("SELECT * FROM app.p WHERE d = '2024-05-05'", "app.p_d", "pass", "uses app.p_d"),
        ("SELECT * FROM app.empty", "app.empty_n", "inconclusive", "run again after phase 4"),
        ("SELECT 1", None, "inconclusive", "reads no table"),
    ],
)
def test_plans(cluster, sql, uses, verdict, words):
    query = IndexedQuery(name="q", sql=sql, uses=uses)
    said = judge_plan(plans.plan(cluster, query), query)
    assert (said.verdict, words in said.reason) == (verdict, True), said


def test_bitmap_scans_get_their_tables_schema(cluster):
    found = plans.plan(
        cluster, IndexedQuery(name="q", sql="SELECT * FROM app.u WHERE n IN (5, 90) OR id = 7")
    )
    assert found.used == ("app.u_n", "app.u_pkey")


def test_explained_never_executed(cluster):
    """A second statement in the text is refused; with the simple protocol the server would run it."""
    with pytest.raises(CannotTell, match="multiple commands"):
        plans.plan(cluster, IndexedQuery(name="q", sql="SELECT 1; SELECT count(*) FROM app.u"))
    with pytest.raises(CannotTell, match="does not exist"):
        plans.plan(cluster, IndexedQuery(name="q", sql="SELECT * FROM app.nowhere"))


ORDER = "UPDATE pg_index SET indoption = '{}' WHERE indexrelid = 'app.u_n'::regclass"


def test_amcheck_sees_what_is_out_of_order(nodes, cluster):
    assert judge_amcheck(amcheck.verify_indexes(cluster, 2**30), True).verdict == "pass"
    nodes.sql("db1", ORDER.format(1))
    try:
        found = amcheck.verify_indexes(cluster, 2**30)
    finally:
        nodes.sql("db1", ORDER.format(0))
    assert list(found.corrupt) == ["app.u_n"]
    assert "order" in found.corrupt["app.u_n"]
    assert found.checked > 3


def test_amcheck_is_bounded(nodes, cluster):
    small = amcheck.verify_indexes(cluster, 9000)
    assert "app.u_n" in small.left_out
    assert small.checked
    late = amcheck.verify_indexes(cluster, 2**30, budget_s=-1.0)
    assert late.checked == 0
    assert "used up" in late.unchecked["app.u_n"]


def test_an_index_that_is_locked_does_not_spoil_the_others(nodes):
    impatient = Cluster(nodes.database(statement_timeout="300ms"))
    with psycopg.connect(
        host="127.0.0.1", port=nodes.ports["db1"], user="postgres", dbname="postgres"
    ) as held:
        held.execute("LOCK TABLE app.u IN ACCESS EXCLUSIVE MODE")
        found = amcheck.verify_indexes(impatient, 2**30)
        held.rollback()
    impatient.close()
    assert set(found.unchecked) == {"app.u_n", "app.u_pkey"}
    assert found.checked
    assert judge_amcheck(found, True).verdict == "inconclusive"


def test_amcheck_without_permission_or_extension(nodes, cluster):
    nodes.sql("db1", "REVOKE EXECUTE ON FUNCTION bt_index_check(regclass) FROM gate")
    with pytest.raises(CannotTell, match=r"GRANT EXECUTE ON FUNCTION .*bt_index_check\(regclass\) TO gate"):
        amcheck.verify_indexes(cluster, 2**30)
    nodes.sql("db1", "DROP EXTENSION amcheck")
    try:
        with pytest.raises(CannotTell, match="CREATE EXTENSION amcheck"):
            amcheck.verify_indexes(cluster, 2**30)
    finally:
        nodes.sql("db1", f"CREATE EXTENSION IF NOT EXISTS amcheck; {GRANT}")
