"""Annotations for GitHub and code quality for GitLab: each bad target is there, and no value becomes a command."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
import sample
import sample_night

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.model import Item, Kind, Severity, Verdict
from pytest_deploygate.report.exports import github, gitlab
from pytest_deploygate.report.record import Record

COMMAND = re.compile(
    r"::(error|warning|notice) file=suites/checklist\.md,line=([1-9]\d*),title=[^:,\n]+::\S.*"
)
RECORDS = {"hold": sample.hold, "go": sample.go, "night": sample_night.bad, "hostile": sample_night.hostile}


def one(verdict: Verdict, severity: Severity, reason: str = "why") -> Record:
    """A GO over one item on line 7 of the checklist."""
    item = dataclasses.replace(Item("x.y", "text", "phase2", severity, Kind.AUTOMATED), line=7)
    return dataclasses.replace(sample.go(), items=(ItemResult(item, verdict, reason, True, ()),))


@pytest.mark.parametrize("name", RECORDS)
def test_every_line_is_a_command_and_every_code_quality_entry_is_whole(name: str) -> None:
    record = RECORDS[name]()
    lines = github.text(record).splitlines()
    assert all(COMMAND.fullmatch(line) for line in lines)
    found = json.loads(gitlab.text(record))
    assert all(set(f) == {"description", "check_name", "fingerprint", "severity", "location"} for f in found)
    assert len({f["fingerprint"] for f in found}) == len(found) <= len(lines)


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_COVERED])
@pytest.mark.parametrize(
    ("severity", "command", "level"),
    [
        (Severity.CRITICAL, "error", "critical"),
        (Severity.MAJOR, "error", "major"),
        (Severity.MINOR, "warning", "minor"),
    ],
)
def test_what_is_unknown_is_annotated_like_a_failure(
    verdict: Verdict, severity: Severity, command: str, level: str
) -> None:
    record = one(verdict, severity)
    assert github.text(record).startswith(f"::{command} file=suites/checklist.md,line=7,title=x.y::x.y: ")
    assert [f["severity"] for f in json.loads(gitlab.text(record))] == [level]


def test_a_pass_has_no_annotation_and_a_waived_item_is_a_notice() -> None:
    assert github.text(one(Verdict.PASS, Severity.MAJOR)) == ""
    assert gitlab.text(one(Verdict.PASS, Severity.MAJOR)) == "[]\n"
    assert github.text(one(Verdict.WAIVED, Severity.MAJOR)).startswith("::notice ")


def test_no_decision_is_the_first_annotation() -> None:
    record = dataclasses.replace(sample.go(), decision=None)
    assert github.text(record).startswith(
        "::error file=suites/checklist.md,line=1,title=deploygate.decision::NO DEC"
    )


def test_a_line_break_in_a_reason_begins_no_command() -> None:
    said = github.text(one(Verdict.FAIL, Severity.MAJOR, "100%\n::error::forged\r::notice::too"))
    assert len(said.splitlines()) == 1
    assert "100%25" in said
