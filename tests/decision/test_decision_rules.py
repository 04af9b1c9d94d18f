"""GO, HOLD or ROLLBACK: what each rule decides, which exit code wins, and that unknown is never GO."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.decision.rules import EXIT_PRECEDENCE, Circumstances, Evidence, Question, decide
from pytest_deploygate.model import Finding, Item, Kind, Outcome, Severity, Verdict

AT = datetime(2026, 3, 4, 12, tzinfo=UTC)
PHASES = ("preflight", "phase2", "phase4", "golive", "postdeploy")
SURE = Circumstances(red_before=frozenset(), old_side_healthy=True, blind=False)
BAD = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_COVERED)


def result(
    verdict, severity="major", *, item="a.b", phase="phase2", in_scope=True, deferred_to="", confirmed=True
):
    verdict = Verdict(verdict)
    finding = Finding(
        item, "", verdict, "because", "t", AT, 0.0, deferred_to=deferred_to, confirmed=confirmed
    )
    return ItemResult(
        Item(item, "Text", phase, Severity(severity), Kind.AUTOMATED),
        verdict,
        "because",
        in_scope,
        () if verdict in (Verdict.NOT_COVERED, Verdict.NOT_APPLICABLE) else (finding,),
    )


def ask(*results, **more):
    """Decide about items, each with an id of its own."""
    numbered = [replace(r, item=replace(r.item, id=f"i.{n}")) for n, r in enumerate(results)]
    return decide(Question("phase2", numbered, PHASES, AT, **more))


def said(decision):
    return " | ".join(rule.because for rule in decision.rules)


GOOD = result("pass")


@pytest.mark.parametrize(
    ("verdict", "severity", "outcome", "code"),
    [
        ("fail", "critical", "HOLD", 1),
        ("fail", "major", "HOLD", 1),
        ("fail", "minor", "GO", 0),
        ("inconclusive", "critical", "HOLD", 21),
        ("inconclusive", "major", "HOLD", 21),
        ("inconclusive", "minor", "GO", 0),
        ("not_covered", "critical", "HOLD", 21),
        ("not_covered", "major", "HOLD", 21),
        ("not_covered", "minor", "GO", 0),
        ("waived", "critical", "GO", 0),
        ("attested", "critical", "GO", 0),
        ("not_applicable", "critical", "GO", 0),
        ("pass", "critical", "GO", 0),
    ],
)
def test_one_item_beside_a_good_one(verdict, severity, outcome, code):
    """Critical and major items that are failed, inconclusive or uncovered hold; a minor one is named and does not."""
    decision = ask(GOOD, result(verdict, severity))
    assert (decision.outcome, decision.exit_code) == (Outcome(outcome), code)
    if Verdict(verdict) in BAD:
        assert any("i.1" in rule.items for rule in decision.rules)
        assert "i.1" in said(decision)


results = st.builds(
    result,
    st.sampled_from(Verdict),
    st.sampled_from(Severity),
    phase=st.sampled_from(PHASES),
    in_scope=st.booleans(),
    deferred_to=st.sampled_from(["", *PHASES, "nowhere"]),
    confirmed=st.booleans(),
)
circumstances = st.builds(
    Circumstances,
    st.none() | st.frozensets(st.sampled_from([f"i.{n}" for n in range(6)])),
    st.none() | st.booleans(),
    st.none() | st.booleans(),
)
evidence = st.builds(
    Evidence,
    st.lists(st.just("t::x"), max_size=2).map(tuple),
    st.lists(st.just("gone"), max_size=1).map(tuple),
)


@given(
    st.lists(results, max_size=6),
    circumstances,
    evidence,
    st.booleans(),
    st.sampled_from([*PHASES, "nowhere"]),
)
@settings(max_examples=400)
def test_go_is_never_said_over_something_bad_or_unknown(found, facts, missing, waived_exit, rollback_from):
    """Whatever the findings: GO has no failed, uncovered or (undeferred) inconclusive critical or major item in scope,
    at least one item measured or attested, and complete evidence; outcome and exit code agree."""
    decision = ask(
        *found,
        circumstances=facts,
        evidence=missing,
        waived_exit=waived_exit,
        rollback_from=rollback_from,
    )
    inside = [r for r in found if r.in_scope]
    weighty = [r for r in inside if r.item.severity is not Severity.MINOR]
    assert (decision.outcome is Outcome.GO) == (decision.exit_code in (0, 20))
    assert (decision.outcome is Outcome.ROLLBACK) == (decision.exit_code == 22)
    assert decision.rules
    assert decision.rules[0].says is decision.outcome
    assert sum(decision.counts.values()) == len(inside)
    if decision.outcome is Outcome.GO:
        assert not missing.silent
        assert not missing.lost
        assert not [r for r in weighty if r.verdict in (Verdict.FAIL, Verdict.NOT_COVERED)]
        assert all(
            r.deferred_to in PHASES and PHASES.index(r.item.phase) <= PHASES.index(r.deferred_to)
            for r in weighty
            if r.verdict is Verdict.INCONCLUSIVE
        )
        assert any(
            r.verdict in (Verdict.PASS, Verdict.ATTESTED, Verdict.WAIVED, Verdict.FAIL) for r in inside
        )
    if decision.outcome is Outcome.ROLLBACK:
        assert (facts.old_side_healthy, facts.blind) == (True, False)
        assert facts.red_before is not None
        assert any(
            r.in_scope
            and r.verdict is Verdict.FAIL
            and r.item.severity is Severity.CRITICAL
            and r.confirmed
            and f"i.{n}" not in facts.red_before
            and PHASES.index(r.item.phase) >= PHASES.index(rollback_from)
            for n, r in enumerate(found)
        )


@pytest.mark.parametrize(
    "found",
    [
        [],
        [result("pass", in_scope=False)],
        [result("not_applicable")],
        [result("not_covered", "minor")],
        [result("inconclusive", "minor")],
        [result("inconclusive", deferred_to="phase4")],
        [result("not_applicable"), result("inconclusive", deferred_to="phase4")],
    ],
)
def test_nothing_measured_is_never_go(found):
    """An empty scope, or one in which nothing was measured or attested, holds with 21 and a reason."""
    decision = ask(*found)
    assert (decision.outcome, decision.exit_code) == (Outcome.HOLD, 21)
    assert "no item of this scope was measured or attested" in said(decision)


def test_half_an_item_is_not_called_nothing():
    """A hybrid item whose automated part passed, and which nobody has attested."""
    half = replace(result("pass"), verdict=Verdict.NOT_COVERED, reason="a person must attest it")
    decision = ask(half)
    assert (decision.outcome, decision.exit_code) == (Outcome.HOLD, 21)
    assert "no item of this scope has all that it needs; a part of it passed: i.0" in said(decision)
    assert "measured or attested" not in said(decision)


def test_what_is_out_of_scope_has_no_say():
    """A failed critical item out of scope changes neither decision nor counts."""
    decision = ask(GOOD, result("fail", "critical", in_scope=False))
    assert decision.exit_code == 0
    assert decision.counts == {"pass": 1}


@pytest.mark.parametrize(
    ("scope_phases", "deferred_to", "code"),
    [
        (["phase2"], "phase4", 0),
        (["preflight", "phase2"], "phase4", 0),
        (["phase2", "phase4"], "phase4", 0),
        (["phase2", "golive"], "phase4", 21),
        (["phase2", "postdeploy"], "phase4", 21),
        (["phase2"], "nowhere", 21),
        (["phase2"], "", 21),
    ],
)
def test_deferred_items_hold_once_their_phase_is_behind(scope_phases, deferred_to, code):
    """An item measurable only after phase 4 holds no scope up to it, but every scope after it, and every scope if the
    checklist has no such phase."""
    decision = ask(
        result("inconclusive", deferred_to=deferred_to),
        *(result("pass", phase=phase) for phase in scope_phases),
    )
    assert decision.exit_code == code
    if not code:
        assert "cannot be measured before phase4; run again after it: i.0" in said(decision)


def test_minor_items_are_listed():
    """Bad minor items are named in a rule of their own that holds nothing."""
    decision = ask(GOOD, *(result(verdict, "minor") for verdict in BAD))
    (rule,) = [rule for rule in decision.rules if "minor" in rule.name]
    assert (rule.says, rule.items, decision.exit_code) == (Outcome.GO, ("i.1", "i.2", "i.3"), 0)


@pytest.mark.parametrize(("waived_exit", "code"), [(False, 0), (True, 20)])
def test_waivers_are_listed_and_may_have_their_own_code(waived_exit, code):
    """A GO with waivers is exit 0, or 20 if requested; the waived items are named."""
    decision = ask(GOOD, result("waived", "critical"), waived_exit=waived_exit)
    assert (decision.outcome, decision.exit_code) == (Outcome.GO, code)
    assert any(rule.items == ("i.1",) for rule in decision.rules)


def test_precedence_is_that_of_the_contract():
    """24, 23, 22, 25, 1, 21, 26, 20, 0."""
    assert EXIT_PRECEDENCE == (24, 23, 22, 25, 1, 21, 26, 20, 0)


CAUSES = {
    22: ([result("fail", "critical", phase="golive")], {"circumstances": SURE}),
    25: ([], {"evidence": Evidence(silent=("t::x",))}),
    1: ([result("fail", "major")], {}),
    21: ([result("not_covered")], {}),
    20: ([result("waived")], {"waived_exit": True}),
    0: ([GOOD], {}),
}


@pytest.mark.parametrize("codes", [c for n in range(1, 7) for c in itertools.combinations(CAUSES, n)])
def test_of_several_codes_the_first_in_the_order_wins(codes):
    """Any combination of causes gives the code with the highest precedence, and every cause is in the rules."""
    found = [GOOD, *(r for code in codes for r in CAUSES[code][0])]
    more = {key: value for code in codes for key, value in CAUSES[code][1].items()}
    assert ask(*found, **more).exit_code == codes[0]


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"red_before": None}, "there is no baseline, so it may have failed before the change"),
        ({"old_side_healthy": None}, "the health of the old side is unknown"),
        ({"old_side_healthy": False}, "the old side is not healthy"),
        ({"blind": None}, "it is unknown whether our own view is sound"),
        ({"blind": True}, "our runner or network is suspect"),
    ],
)
def test_a_rollback_condition_that_is_missing_holds_and_is_named(facts, why):
    """Each circumstance that is unknown or speaks against it turns ROLLBACK into a HOLD that names it."""
    red = result("fail", "critical", phase="golive")
    assert ask(red, circumstances=SURE).outcome is Outcome.ROLLBACK
    decision = ask(red, circumstances=replace(SURE, **facts))
    assert (decision.outcome, decision.exit_code) == (Outcome.HOLD, 1)
    assert why in said(decision)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"confirmed": False}, "the failure was not confirmed by a repeat"),
        ({"severity": "major"}, "failed"),
        ({"phase": "phase4"}, "failed"),
        ({"verdict": "inconclusive"}, "inconclusive"),
    ],
)
def test_a_failure_that_is_no_reason_to_go_back_holds(change, why):
    """Unconfirmed, only major, before users are on the new system, or unknown: HOLD."""
    red = {"verdict": "fail", "severity": "critical", "phase": "golive", "confirmed": True} | change
    decision = ask(GOOD, result(red.pop("verdict"), **red), circumstances=SURE)
    assert decision.outcome is Outcome.HOLD
    assert why in said(decision)


def test_red_before_the_change_is_no_reason_to_go_back():
    """An item red in the baseline holds with that reason; a newly red one still counts."""
    red = result("fail", "critical", phase="golive")
    before = replace(SURE, red_before=frozenset({"i.0"}))
    alone = ask(red, circumstances=before)
    assert (alone.outcome, alone.exit_code) == (Outcome.HOLD, 1)
    assert "failed before the change as well" in said(alone)
    both = ask(red, red, circumstances=before)
    assert both.outcome is Outcome.ROLLBACK
    assert both.rules[0].items == ("i.1",)


def test_only_confirmed_failures_are_called_so():
    """Of two failures only the repeated one is a reason to roll back."""
    decision = ask(
        result("fail", "critical", phase="golive", confirmed=False),
        result("fail", "critical", phase="golive"),
        circumstances=SURE,
    )
    assert decision.outcome is Outcome.ROLLBACK
    assert decision.rules[0].items == ("i.1",)
    assert "i.0" not in decision.rules[0].because


def test_the_policy_says_from_when_on():
    """`rollback_from` moves the start; a phase missing from the checklist never begins."""
    red = result("fail", "critical", phase="phase2")
    assert ask(red, circumstances=SURE, rollback_from="phase2").outcome is Outcome.ROLLBACK
    assert ask(red, circumstances=SURE, rollback_from="nowhere").outcome is Outcome.HOLD


def test_missing_evidence_names_tests_and_causes():
    """Silent tests and lost evidence are named, counted and shortened."""
    decision = ask(GOOD, evidence=Evidence(tuple(f"t::{n}" for n in range(9)), ("disk full",)))
    assert decision.exit_code == 25
    assert "9 bound tests yielded no finding: t::0, t::1, t::2, t::3 …" in said(decision)
    assert "disk full" in said(decision)
