"""Each cause in the schema version has its own reason."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checks.migrations.facts import NodeVersion, Revision, SchemaVersions, Scripts
from pytest_deploygate.checks.migrations.judge.versions import judge_versions, pending
from pytest_deploygate.checks.migrations.section.versions import Migrations
from pytest_deploygate.model import Verdict

CHAIN = tuple(Revision(f"r{i}", (f"r{i - 1}",) if i else (), f"step {i}") for i in range(5))
SCRIPTS = Scripts("migrations", CHAIN, ("r4",), ())
ALEMBIC = Migrations.model_validate({"alembic": Path(__file__).parent})
QUERY = Migrations.model_validate({"query": "SELECT 1", "expect": "7"})


def node(name="db1", versions=("r4",), *, missing=False, dirty=None, delayed=None, problem=""):
    return NodeVersion(name, name == "db1", tuple(versions), missing, dirty, delayed, problem)


def facts(*nodes, scripts=SCRIPTS, expected=("r4",)):
    return SchemaVersions("alembic_version", expected, scripts, nodes)


def test_all_nodes_at_the_head_pass():
    found = judge_versions(facts(node(), node("db2"), node("db3")), ALEMBIC)
    assert (found.verdict, found.reason) == (Verdict.PASS, "db1, db2, db3: at r4, none pending, none dirty")
    assert [r.value for r in found.readings if "version" in r.name] == ["r4"] * 3


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([node(versions=["r2"])], ["db1: 2 pending (r3, r4)", "run `alembic upgrade head`"]),
        ([node(versions=["r0"])], ["4 pending (r1, r2, r3 and 1 more)"]),
        ([node(versions=[])], ["has no row", "all 5 migrations are pending", "alembic upgrade head"]),
        (
            [node(versions=[], missing=True, problem="no table")],
            ["version table is missing", "all 5", "version_table"],
        ),
        ([node(versions=["beef"])], ["db1 is at beef", "not a revision of migrations", "other code"]),
        ([node(dirty=True)], ["half done (dirty) at r4", "by hand"]),
        ([node(versions=["r3", "r4"])], ["one row too many"]),
        ([node(), node("db2", ["r3"])], ["db2 is at r3 while the primary db1 is at r4", "replay"]),
        ([node(), node("db2", [])], ["db2 is at no version"]),
        ([node(), node("db2", [], missing=True, problem="no table")], ["db2: the version table is missing"]),
        (
            [node(versions=["r3"]), node("db2", ["r3"])],
            ["db1: 1 pending (r4)", "run `alembic upgrade head` (the same on db2)"],
        ),
    ],
)
def test_what_is_wrong_is_named(nodes, words):
    found = judge_versions(facts(*nodes), ALEMBIC)
    assert found.verdict is Verdict.FAIL
    for word in words:
        assert word in found.reason


def test_a_replica_that_cannot_be_read_is_unknown():
    found = judge_versions(facts(node(), node("db2", [], problem="db2 cannot be used: refused")), ALEMBIC)
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "db2 cannot be used: refused")


def test_a_dirty_query_without_answer_is_unknown_but_a_wrong_version_still_fails():
    assert (
        judge_versions(facts(node(problem="`dirty` gave no answer")), ALEMBIC).verdict is Verdict.INCONCLUSIVE
    )
    assert (
        judge_versions(facts(node(versions=["r3"], problem="`dirty` gave no answer")), ALEMBIC).verdict
        is Verdict.FAIL
    )


def test_a_delayed_replica_may_be_behind_and_is_noted():
    found = judge_versions(facts(node(), node("db2", ["r3"], delayed=timedelta(hours=1))), ALEMBIC)
    assert found.verdict is Verdict.PASS
    assert "db2 is a delayed replica and still at r3" in found.notes[0]
    assert "db2" not in found.reason


def test_a_fork_fails_and_two_histories_do_not():
    forked = Scripts("migrations", (*CHAIN, Revision("fork", ("r3",), "")), ("fork", "r4"), ())
    found = judge_versions(facts(node(), scripts=forked, expected=("fork", "r4")), ALEMBIC)
    assert found.verdict is Verdict.FAIL
    assert "2 heads (fork, r4)" in found.reason
    assert "alembic merge heads" in found.reason
    apart = Scripts("migrations", (*CHAIN, Revision("other", (), "")), ("other", "r4"), ())
    both = node(versions=["other", "r4"])
    assert (
        judge_versions(facts(both, scripts=apart, expected=("other", "r4")), ALEMBIC).verdict is Verdict.PASS
    )


def test_a_complaint_of_alembic_fails():
    scripts = Scripts("migrations", CHAIN, ("r4",), ("Revision r4 is present more than once",))
    assert "more than once" in judge_versions(facts(node(), scripts=scripts), ALEMBIC).reason


def test_a_query_compares_what_it_returned():
    def at(*versions, **more):
        return judge_versions(facts(node(versions=versions, **more), scripts=None, expected=("7",)), QUERY)

    assert at("7").verdict is Verdict.PASS
    assert at("6").reason == "db1 is at 6, expected 7: run the migrations"
    assert "has no row; expected 7" in at().reason
    assert at(missing=True, problem="x").verdict is Verdict.FAIL


def test_nothing_expected_is_never_a_pass():
    assert (
        judge_versions(facts(node(versions=[]), scripts=None, expected=()), QUERY).verdict
        is Verdict.INCONCLUSIVE
    )


@given(st.integers(min_value=0, max_value=12), st.integers(min_value=0, max_value=12))
def test_pending_counts_what_lies_between_a_revision_and_the_head(length, at):
    chain = tuple(Revision(str(i), (str(i - 1),) if i else (), "") for i in range(length))
    expected = tuple(str(i) for i in range(at + 1, length)) if at < length else tuple(r.id for r in chain)
    assert pending(chain, [str(at)]) == expected
