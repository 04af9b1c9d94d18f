"""Everything that is not green has an entry with owner and decision, and nothing serious is open at the end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pytest_deploygate.checklist.vocabulary import Issue
from pytest_deploygate.checks.people.judge.issue_log import (
    BadItem,
    Documented,
    IssueLogSeen,
    NothingOpen,
    bad_of,
    judge,
    undocumented,
)
from pytest_deploygate.model import Closing, Finding, Item, Kind, Severity, Verdict

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
ENTRY = Issue("phase1.logs", "", "The operations manager", "major", "fix", "late", NOW, None, 1)
BAD = BadItem("phase1.logs", "web1", Verdict.FAIL, "late")
PHASE = Documented("phase1")


def seen(*entries, bad=(BAD,), items=7, exists=True):
    return IssueLogSeen("issues/CHG-1.yml", exists, entries, bad, items)


def item(item_id="phase1.logs"):
    return Item(item_id, "Logs", "phase1", Severity.MAJOR, Kind.AUTOMATED)


@pytest.mark.parametrize(
    ("facts", "verdict", "says"),
    [
        (seen(ENTRY), Verdict.PASS, "all 1 are documented"),
        (seen(replace(ENTRY, target="web1")), Verdict.PASS, "documented"),
        (seen(bad=()), Verdict.PASS, "all 7 items are green"),
        (seen(), Verdict.FAIL, "phase1.logs [web1] is failing and has no entry in issues/CHG-1.yml"),
        (seen(replace(ENTRY, target="web2")), Verdict.FAIL, "has no entry"),
        (seen(replace(ENTRY, incomplete=("owner",))), Verdict.FAIL, "CHG-1.yml:1: phase1.logs is a stub: fill in owner"),
        (seen(replace(ENTRY, closed=NOW)), Verdict.FAIL, "is closed, but it is failing: reopen it"),
        (seen(replace(ENTRY, closed=NOW), ENTRY), Verdict.PASS, "documented"),
        (seen(bad=(), items=0), Verdict.INCONCLUSIVE, "has a verdict yet"),
        (replace(seen(), begun=False), Verdict.NOT_COVERED, "phase1 has not begun for this change"),
        (replace(seen(ENTRY), begun=False), Verdict.PASS, "all 1 are documented"),
        (replace(seen(bad=()), begun=False), Verdict.PASS, "all 7 items are green"),
    ],
)  # fmt: skip
def test_documented(facts, verdict, says):
    judged = judge(facts, PHASE)
    assert judged.verdict is verdict
    assert says in judged.reason.replace("  ", " ")


def test_many_are_counted_and_the_first_named():
    bad = tuple(BadItem(f"phase1.x{n}", "", Verdict.NOT_COVERED) for n in range(9))
    judged = judge(seen(bad=bad), PHASE)
    assert "phase1.x5 is not covered" in judged.reason
    assert "and 3 more" in judged.reason


@pytest.mark.parametrize(
    ("facts", "verdict", "says"),
    [
        (seen(ENTRY), Verdict.PASS, "nothing at critical or worse is open"),
        (seen(bad=()), Verdict.PASS, "nothing at critical"),
        (seen(replace(ENTRY, severity="critical"), bad=()), Verdict.FAIL, "critical and open, owner The operations"),
        (seen(replace(ENTRY, severity="blocker"), bad=()), Verdict.FAIL, "blocker and open"),
        (seen(replace(ENTRY, severity="blocker", closed=NOW), bad=()), Verdict.PASS, "nothing at critical"),
        (seen(replace(ENTRY, severity="TODO", incomplete=("severity",)), bad=()), Verdict.FAIL, "is a stub"),
        (seen(), Verdict.FAIL, "has no entry"),
        (seen(exists=False, bad=()), Verdict.NOT_COVERED, "there is no issue log"),
    ],
)  # fmt: skip
def test_nothing_open(facts, verdict, says):
    judged = judge(facts, NothingOpen())
    assert judged.verdict is verdict
    assert says in judged.reason


def test_blocking_severity_is_a_parameter():
    assert judge(seen(ENTRY, bad=()), NothingOpen("major")).verdict is Verdict.FAIL
    assert judge(seen(ENTRY, bad=()), NothingOpen("huge")).verdict is Verdict.INCONCLUSIVE


def finding(verdict, target="", **changed):
    return Finding("phase1.logs", target, verdict, "r", "t", NOW, 0.1, **changed)


def test_what_is_not_green():
    findings = [finding(verdict, verdict.value) for verdict in Verdict]
    assert {bad.verdict for bad in bad_of(item(), findings)} == {
        Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_COVERED, Verdict.WAIVED,
    }  # fmt: skip
    assert [bad.verdict for bad in bad_of(item(), [])] == [Verdict.NOT_COVERED]
    for closing, looked_for in ((Closing.DOCUMENTED, 0), (Closing.RESOLVED, 0), (Closing.SIGNED, 1)):
        assert len(bad_of(replace(item("phase1.issues"), closing=closing), [])) == looked_for
    assert bad_of(item(), [finding(Verdict.INCONCLUSIVE, deferred_to="phase4")]) == ()


def test_stubs_are_made_only_for_what_has_no_entry():
    stub = replace(ENTRY, target="web2", incomplete=("owner",))
    other = BadItem("phase1.logs", "web2", Verdict.FAIL)
    assert undocumented([BAD, other], [stub]) == [BAD]
