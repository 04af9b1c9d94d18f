"""junit.xml against the rules of Jenkins' schema; no state except a pass looks like one."""

from __future__ import annotations

import dataclasses
from xml.etree import ElementTree as ET

import pytest
import sample

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.model import Item, Kind, Severity, Verdict
from pytest_deploygate.report import junit
from pytest_deploygate.report.record import Record

# element: (required attributes, optional attributes, optional children), from jenkins-junit.xsd
SCHEMA = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "disabled", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests"},
        {"failures", "errors", "time", "disabled", "skipped", "timestamp", "hostname", "id", "package"},
        {"properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, set(), set()),
    "testcase": (
        {"name", "classname"},
        {"assertions", "time", "status"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": (set(), {"type", "message"}, set()),
    "skipped": (set(), {"type", "message"}, set()),
    "system-out": (set(), set(), set()),
}


def parsed(record: Record) -> ET.Element:
    return ET.fromstring(junit.build(record).encode())


def check(element: ET.Element) -> None:
    must, may, children = SCHEMA[element.tag]
    assert must <= set(element.attrib) <= must | may, element.tag
    for child in element:
        assert child.tag in children, f"{child.tag} in {element.tag}"
        check(child)


@pytest.mark.parametrize(
    "record", [sample.hold(), sample.go(), sample.hostile(), sample.large(200)], ids=str.__call__
)
def test_it_follows_the_schema_and_counts_right(record: Record) -> None:
    root = parsed(record)
    assert root.tag == "testsuites"
    check(root)
    for suite in root:
        cases = suite.findall("testcase")
        assert int(suite.attrib["tests"]) == len(cases)
        assert int(suite.attrib["failures"]) == len(suite.findall("testcase/failure"))
        assert int(suite.attrib["skipped"]) == len(suite.findall("testcase/skipped"))
    assert int(root.attrib["tests"]) == len(root.findall(".//testcase"))
    assert int(root.attrib["failures"]) == len(root.findall(".//failure"))


def test_a_case_for_each_target_in_scope_and_one_for_the_decision() -> None:
    names = [c.attrib["name"] for c in parsed(sample.hold()).iter("testcase")]
    assert names[0] == "decision for phase2"
    assert "phase2.replication[replica1]" in names
    assert "phase2.replication[replica2]" in names
    assert "phase2.backup-jobs" in names
    assert not any(n.startswith("infra.") for n in names)
    assert len(names) == len(set(names)) == 17


def one(verdict: Verdict, severity: Severity, measured: Verdict | None = None) -> str:
    """Return the state of the only item's cases, worst first: failure, skipped or pass."""
    item = Item("x.y", "text", "phase2", severity, Kind.AUTOMATED)
    found = (sample.finding("x.y", "t", measured, "why"),) if measured else ()
    record = dataclasses.replace(sample.go(), items=(ItemResult(item, verdict, "why", True, found),))
    cases = parsed(record).findall("testsuite[@name='phase2']/testcase")
    assert cases
    states = [next((c.tag for c in case if c.tag in ("failure", "skipped")), "pass") for case in cases]
    return min(states, key=["failure", "skipped", "pass"].index)


@pytest.mark.parametrize("severity", list(Severity))
@pytest.mark.parametrize("verdict", list(Verdict))
def test_what_is_not_a_pass_never_looks_like_one(verdict: Verdict, severity: Severity) -> None:
    for measured in (None, verdict):
        state = one(verdict, severity, measured)
        if verdict in (Verdict.PASS, Verdict.ATTESTED):
            assert state == "pass"
        elif verdict in (Verdict.WAIVED, Verdict.NOT_APPLICABLE) or severity is Severity.MINOR:
            assert state == "skipped"
        else:
            assert state == "failure"


def test_a_waived_failure_is_skipped_and_a_missing_target_is_a_failure() -> None:
    assert one(Verdict.WAIVED, Severity.CRITICAL, Verdict.FAIL) == "skipped"
    assert one(Verdict.NOT_COVERED, Severity.MAJOR, Verdict.PASS) == "failure"


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.ATTESTED])
def test_a_pass_over_a_failed_target_is_not_believed(verdict: Verdict) -> None:
    assert one(verdict, Severity.CRITICAL, Verdict.FAIL) == "failure"


def test_a_hold_over_green_items_is_red() -> None:
    record = sample.go()
    assert record.decision
    held = dataclasses.replace(record, decision=sample.hold().decision)
    assert parsed(held).attrib["failures"] == "1"
    assert parsed(record).attrib["failures"] == "0"
    assert parsed(dataclasses.replace(record, decision=None)).attrib["failures"] == "1"


def test_control_characters_and_surrogates_do_not_get_in() -> None:
    record = sample.hold()
    text = junit.build(dataclasses.replace(record, change="a\x00\x1b[2J\ud800\ufffeb"))
    text.encode()
    assert not {c for c in text if ord(c) < 32} - {"\n", "\t"}
