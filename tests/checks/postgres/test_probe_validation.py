"""Validation queries on a real server: bounded, read-only, with the server's own message if they cannot be run."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pytest_deploygate.checks.postgres.judge.validation import judge_validation
from pytest_deploygate.checks.postgres.probe.validation import MOST_ROWS, answer
from pytest_deploygate.checks.postgres.section.validation import ValidationQuery
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell, Verdict


def query(sql: str, expect: object, **more) -> ValidationQuery:
    return ValidationQuery.model_validate({"name": "q", "sql": sql, "expect": expect, **more})


def judged(cluster: Cluster, asked: ValidationQuery):
    return judge_validation(answer(cluster, asked), asked)


@pytest.fixture
def empty(nodes) -> Iterator[str]:
    nodes.sql("db1", "CREATE TABLE public.nobody (id int); GRANT SELECT ON public.nobody TO gate")
    yield "public.nobody"
    nodes.sql("db1", "DROP TABLE public.nobody")


@pytest.mark.parametrize(
    ("sql", "expect"),
    [
        ("SELECT 11", 11),
        ("SELECT true", True),
        ("SELECT 0.1", 0.1),
        ("SELECT 0.1", {"min": 0.1, "max": 0.1}),
        ("SELECT 'a %' WHERE 'ab' LIKE 'a%';  ", "a %"),
        ("SELECT 1 WHERE false -- none", "nothing"),
    ],
)
def test_an_expected_answer_passes(cluster, sql, expect):
    found = judged(cluster, query(sql, expect))
    assert found.verdict is Verdict.PASS, found.reason


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT nothing", 'column "nothing" does not exist'),
        ("SELECT 1,\n\n  nothing", r"LINE 3:\s+nothing"),
        ("SELECT 1; SELECT 2", "syntax error"),
        ("SELECT 1) AS a; DROP TABLE x; SELECT (1", "syntax error|read-only|does not exist"),
        ("SELECT setval('deploygate.s', 1)", "does not exist"),
        ("SELECT * FROM pg_authid", "denies permission"),
    ],
)
def test_an_error_in_its_sql_measured_nothing(cluster, sql, words):
    with pytest.raises(CannotTell, match=words):
        answer(cluster, query(sql, 1))


def test_a_query_that_writes_is_refused(nodes, cluster):
    nodes.sql("db1", "CREATE SEQUENCE deploygate.s; GRANT ALL ON SEQUENCE deploygate.s TO gate")
    try:
        with pytest.raises(CannotTell, match="read-only transaction"):
            answer(cluster, query("SELECT nextval('deploygate.s')", 1))
    finally:
        nodes.sql("db1", "DROP SEQUENCE deploygate.s")


def test_a_query_that_takes_too_long_is_ended(nodes):
    slow = Cluster(nodes.database(statement_timeout="300ms"))
    began = time.monotonic()
    with pytest.raises(CannotTell, match="statement timeout"):
        answer(slow, query("SELECT pg_sleep(20)", 1))
    slow.close()
    assert time.monotonic() - began < 15


def test_millions_of_rows_are_not_fetched(cluster):
    found = answer(cluster, query("SELECT n FROM generate_series(1, 5000000) n", "nothing"))
    assert (len(found.rows), found.more) == (MOST_ROWS, True)
    assert "20 or more rows" in judge_validation(found, query("", "nothing")).reason


def test_an_empty_table_defers_even_where_the_query_would_fail_on_it(cluster, empty):
    found = judged(cluster, query(f"SELECT 1 / count(*) FROM {empty}", 1, empty_means=empty))
    assert (found.verdict, found.deferred_to) == (Verdict.INCONCLUSIVE, "phase4")
    assert "run again after phase 4" in found.reason


def test_a_missing_table_of_empty_means_cannot_tell(cluster):
    with pytest.raises(CannotTell, match="nowhere"):
        answer(cluster, query("SELECT 1", 1, empty_means="public.nowhere"))
