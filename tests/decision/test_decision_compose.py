"""From findings to one verdict per item: the worst counts, and silence is never a pass."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.decision.compose import ItemResult, results
from pytest_deploygate.model import WORST_FIRST, Finding, Item, Kind, Severity, Verdict, about

AT = datetime(2026, 3, 4, 12, tzinfo=UTC)


def item(kind=Kind.AUTOMATED):
    return Item("a.b", "Text", "phase2", Severity.MAJOR, kind)


def finding(verdict, *, target="", test="t::x", **more):
    return Finding("a.b", target, Verdict(verdict), f"{target} is {verdict}", test, AT, 0.0, **more)


def compose(*findings, kind=Kind.AUTOMATED, scope=("a.b",), tests=("t::x",), not_applicable=None, earlier=0):
    (found,) = results(
        [item(kind)],
        scope,
        findings,
        tests_of={"a.b": tests},
        not_applicable=not_applicable or {},
        earlier={"a.b": earlier},
    )
    return found


@given(st.lists(st.sampled_from(Verdict), min_size=1, max_size=6))
def test_the_worst_of_the_targets_counts(verdicts):
    """An item is as bad as its worst target, and its findings are sorted worst first."""
    found = compose(*(finding(v, target=str(n)) for n, v in enumerate(verdicts)))
    assert found.verdict is min(verdicts, key=WORST_FIRST.index)
    assert [f.verdict for f in found.findings] == sorted(verdicts, key=WORST_FIRST.index)


@pytest.mark.parametrize(
    ("kind", "tests", "reason"),
    [
        (Kind.AUTOMATED, (), "this version has no check for it (see docs/items.md): "),
        (Kind.AUTOMATED, ("t::x",), "its test did not run or yielded no finding: t::x"),
        (Kind.MANUAL, (), "a person must attest it, and nobody has"),
        (Kind.HYBRID, (), "a person must attest it, and nobody has; and this version has no check"),
    ],
)
def test_nothing_found_is_not_covered_with_what_is_missing(kind, tests, reason):
    """Without a finding an item is not covered, and the reason says who or what is missing."""
    found = compose(kind=kind, tests=tests)
    assert found.verdict is Verdict.NOT_COVERED
    assert reason in found.reason


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("pass", "not_covered"),
        ("attested", "not_covered"),
        ("waived", "not_covered"),
        ("fail", "fail"),
        ("inconclusive", "inconclusive"),
    ],
)
def test_a_silent_test_beside_another_makes_it_not_covered(verdict, expected):
    """Two tests, one of them silent: the item is not covered unless it is worse already; the silent one is named."""
    found = compose(finding(verdict), tests=("t::x", "t::silent"))
    assert found.verdict is Verdict(expected)
    assert found.findings
    if expected == "not_covered":
        assert found.reason == "1 of its tests yielded no finding: t::silent"


def test_not_applicable_is_an_entry_with_its_reason():
    """An item that the inventory declares not applicable stays so, whatever a test found."""
    found = compose(finding("fail"), not_applicable={"a.b": "no CDN here (decided by: lead)"})
    assert (found.verdict, found.reason) == (Verdict.NOT_APPLICABLE, "no CDN here (decided by: lead)")


def test_out_of_scope_keeps_what_was_found():
    """Items out of scope are composed too, and marked."""
    found = compose(finding("pass"), scope=())
    assert (found.in_scope, found.verdict) == (False, Verdict.PASS)


def test_reasons_are_one_line():
    """The reason names the worst target and how many others are equal."""
    assert compose(finding("pass", target="db1"), finding("pass", target="db2")).reason == "2 targets pass"
    assert compose(finding("fail", target="db1")).reason == "db1 is fail"
    found = compose(
        finding("fail", target="db1"), finding("fail", target="db2"), finding("pass", target="db3")
    )
    assert found.reason == "db1 is fail (and 1 more of 3 targets)"


@pytest.mark.parametrize(
    ("target", "reason", "said"),
    [
        ("db1", "db1: fsync is off", "db1: fsync is off"),
        ("timescale a.t", "a.t has no policy", "a.t has no policy"),
        ("arithmetic", "the pools may open more", "arithmetic: the pools may open more"),
        ("", "nothing is named", "nothing is named"),
    ],
)
def test_a_target_is_not_named_twice(target, reason, said):
    """A reason that begins with its object gets no label before it."""
    assert about(target, reason) == said


@pytest.mark.parametrize(
    ("confirmed", "expected"), [((True,), True), ((True, True), True), ((True, False), False), ((), False)]
)
def test_confirmed_means_every_failure_was(confirmed, expected):
    """Each failed target was seen twice; of no failure at all nothing was confirmed."""
    found = ItemResult(
        item(),
        Verdict.FAIL,
        "",
        in_scope=True,
        findings=tuple(finding("fail", confirmed=c) for c in confirmed),
    )
    assert found.confirmed is expected


def test_deferred_only_when_every_target_that_is_not_good_is():
    """One target that is not good for another reason, or until another phase, makes the item not deferred."""
    later = finding("inconclusive", target="1", deferred_to="phase4")
    assert compose(later, finding("pass")).deferred_to == "phase4"
    for other in ("inconclusive", "fail", "not_covered", "waived"):
        assert compose(later, finding(other, target="2")).deferred_to == ""
    assert compose(later, finding("inconclusive", target="2", deferred_to="golive")).deferred_to == ""


def test_an_item_with_a_silent_test_is_not_deferred():
    """One of its tests yielded nothing: its result is unknown now, whatever the others wait for."""
    later = finding("inconclusive", target="1", deferred_to="phase4")
    assert compose(later, tests=("t::heard", "t::silent")).deferred_to == ""
