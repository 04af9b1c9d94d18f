from __future__ import annotations

import pytest

from pytest_deploygate.checks.structure.facts import Plan
from pytest_deploygate.checks.structure.judge.plans import judge_plan
from pytest_deploygate.checks.structure.section import IndexedQuery

USES = IndexedQuery(name="q", sql="SELECT 1", uses="app.a")
BARE = IndexedQuery(name="q", sql="SELECT 1", uses="a")
ANY = IndexedQuery(name="q", sql="SELECT 1")
BIG, SMALL, EMPTY = {"app.t": 500}, {"app.t": 3}, {"app.t": 0}
A, B, T = ("app.a",), ("app.b",), ("app.t",)


@pytest.mark.parametrize(
    ("query", "found", "verdict", "words"),
    [
        (USES, Plan("q", A, {}), "pass", "uses app.a"),
        (BARE, Plan("q", A, {}), "pass", "uses a"),
        (USES, Plan("q", A, BIG), "pass", "uses app.a"),
        (USES, Plan("q", (), BIG, absent=True), "fail", "app.a does not exist"),
        (USES, Plan("q", (), {}, absent=True), "fail", "app.a does not exist"),
        (USES, Plan("q", B, {}), "fail", "uses app.b instead"),
        (USES, Plan("q", (), BIG, possible=A), "fail", "app.a is not used: the plan scans app.t (500 pages)"),
        (USES, Plan("q", (), BIG, unavoidable=T), "fail", "even with enable_seqscan = off"),
        (USES, Plan("q", (), SMALL, unavoidable=T), "fail", "does not serve"),
        (USES, Plan("q", (), SMALL, possible=A), "inconclusive", "run again after phase 4"),
        (USES, Plan("q", (), EMPTY, possible=A), "inconclusive", "app.t (empty)"),
        (USES, Plan("q", (), {}), "inconclusive", "reads no table"),
        (ANY, Plan("q", B, {}), "pass", "uses app.b"),
        (ANY, Plan("q", B, SMALL), "pass", "uses app.b"),
        (ANY, Plan("q", B, BIG, possible=A), "fail", "a large table is scanned"),
        (ANY, Plan("q", (), BIG, unavoidable=T), "fail", "no index serves"),
        (ANY, Plan("q", (), EMPTY, possible=A), "inconclusive", "run again after phase 4"),
        (ANY, Plan("q", (), {}), "inconclusive", "reads no table"),
    ],
)
def test_plans(query, found, verdict, words):
    said = judge_plan(found, query)
    assert (said.verdict, words in said.reason) == (verdict, True), said.reason
    assert said.deferred_to == ("phase4" if "after phase 4" in said.reason else "")


def test_a_large_scan_beside_the_index_is_noted():
    assert judge_plan(Plan("q", A, BIG), USES).notes == ("it also scans app.t (500 pages)",)
