"""Texts as pg_stat_statements keeps them: what they insert, and how a server can read them again."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.old_application.probe import texts
from pytest_deploygate.checks.old_application.probe.texts import Inserted


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("INSERT INTO orders (a, B) VALUES ($1, $2)", [Inserted("orders", ("a", "b"))]),
        (
            'insert into app."Orders" as o ("A b", c) values ($1, $2)',
            [Inserted('app."Orders"', ("A b", "c"))],
        ),
        ("INSERT INTO orders VALUES ($1, $2)", [Inserted("orders", None)]),
        ("INSERT INTO orders SELECT a FROM b", [Inserted("orders", None)]),
        ("INSERT INTO orders (SELECT a FROM b)", [Inserted("orders", None)]),
        ("INSERT INTO orders DEFAULT VALUES", [Inserted("orders", ())]),
        (
            "WITH n AS (INSERT INTO a (x) VALUES ($1) RETURNING x) INSERT INTO b (y) SELECT x FROM n",
            [Inserted("a", ("x",)), Inserted("b", ("y",))],
        ),
        ("/* INSERT INTO c (z) */ INSERT INTO a -- b\n (x /* y, */) VALUES ($1)", [Inserted("a", ("x",))]),
        ("SELECT 'INSERT INTO a (x)', $tag$INSERT INTO a (x)$tag$", []),
        ("COPY a (x, y) FROM STDIN", [Inserted("a", ("x", "y"), copies=True)]),
        ("COPY a FROM STDIN WITH (FORMAT csv)", [Inserted("a", None, copies=True)]),
        ("COPY a TO STDOUT", []),
        ("INSERT INTO a (pos[1], at.x) VALUES ($1, $2)", [Inserted("a", ("pos", "at"))]),
        (
            "MERGE INTO a USING b ON a.x = b.x WHEN NOT MATCHED THEN INSERT (x, y) VALUES (b.x, $1)",
            [Inserted("a", ("x", "y"))],
        ),
        ("UPDATE a SET x = $1", []),
    ],
)
def test_what_a_statement_inserts(text, found):
    assert list(texts.inserted(text)) == found


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("SELECT now() - interval $1", "SELECT now() - CAST($1 AS interval)"),
        (
            "SELECT timestamp with time zone $2, date $1;",
            "SELECT CAST($2 AS timestamp with time zone), CAST($1 AS date)",
        ),
        ("DECLARE c NO SCROLL CURSOR WITH HOLD FOR SELECT 1", "SELECT 1"),
        ("PREPARE p (int) AS SELECT $1", "SELECT $1"),
        ("EXPLAIN (ANALYZE, BUFFERS) SELECT 1", "SELECT 1"),
        ("SELECT interval FROM times", "SELECT interval FROM times"),
    ],
)
def test_how_a_server_can_read_it(text, read):
    assert texts.readable(text) == read


@pytest.mark.parametrize(
    ("text", "query", "session", "named"),
    [
        ("SELECT $1", True, False, ""),
        ("(SELECT $1)", True, False, ""),
        ("/* x */ WITH a AS (SELECT 1) SELECT * FROM a", True, False, ""),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE", False, True, ""),
        ("SET search_path = x", False, True, ""),
        ("TRUNCATE TABLE app.orders", False, False, "app.orders"),
        ("LOCK TABLE orders IN SHARE MODE", False, False, "orders"),
        ("COPY orders TO STDOUT", False, False, "orders"),
        ("DO $$ BEGIN END $$", False, False, ""),
        ("CREATE TEMP TABLE x (a int)", False, False, ""),
    ],
)
def test_what_kind_a_statement_is(text, query, session, named):
    assert (texts.is_query(text), texts.of_session(text), texts.named(text)) == (query, session, named)
