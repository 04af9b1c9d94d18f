"""`junit.xml`, as Jenkins' schema has it: one test case for each item and target in scope, and one for the decision.

JUnit has fewer states than we do, and CI shows skipped as green. So a critical or major item that failed, is inconclusive
or is not covered is a failure; minor items, waived items and those that do not apply are skipped; only a pass or an
attestation passes. The case of the decision keeps a HOLD red even if every item is green.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC
from xml.etree import ElementTree as ET

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import WORST_FIRST, Finding, Outcome, Severity, Verdict
from pytest_deploygate.report import grouping, view, words
from pytest_deploygate.report.leaving import cleaned, plain
from pytest_deploygate.report.record import Record

#: Characters that XML 1.0 cannot contain, even escaped.
_NOT_XML = "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"


@dataclass(frozen=True)
class _Case:
    """A test case. `state` is `failure`, `skipped` or empty; `kind` is the verdict behind it."""

    group: str
    name: str
    seconds: float
    state: str
    kind: str
    message: str
    detail: str


def build(record: Record) -> str:
    """Return the XML text with its declaration in UTF-8, without control characters and secrets."""
    known = cleaned(record)
    suites = [_suite(known, "decision", [_decision_case(known)])]
    for group in grouping.by_phase(known):
        cases = [case for result in group.inside for case in _cases(result)]
        if cases:
            suites.append(_suite(known, group.phase.id, cases))
    root = ET.Element("testsuites", _totals(suites, known))
    root.extend(suites)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{plain(ET.tostring(root, encoding="unicode"))}\n'


def _totals(suites: list[ET.Element], record: Record) -> dict[str, str]:
    return {
        "name": _xml(f"deploygate {record.change}"),
        "time": f"{sum(float(s.attrib['time']) for s in suites):.3f}",
        **{k: str(sum(int(s.attrib[k]) for s in suites)) for k in ("tests", "failures", "errors")},
    }


def _suite(record: Record, name: str, cases: list[_Case]) -> ET.Element:
    states = [c.state for c in cases]
    suite = ET.Element(
        "testsuite",
        {
            "name": _xml(name),
            "tests": str(len(cases)),
            "failures": str(states.count("failure")),
            "errors": "0",
            "skipped": str(states.count("skipped")),
            "time": f"{sum(c.seconds for c in cases):.3f}",
            "hostname": _xml(record.provenance.host),
        },
    )
    if record.decision:
        suite.set("timestamp", f"{record.decision.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}")
    properties = ET.SubElement(suite, "properties")
    for key, value in (
        ("change", record.change),
        ("inventory", record.inventory),
        ("scope", view.scope_words(record)),
    ):
        ET.SubElement(properties, "property", {"name": key, "value": _xml(value)})
    for case in cases:
        suite.append(_element(case))
    return suite


def _element(case: _Case) -> ET.Element:
    element = ET.Element(
        "testcase",
        {"classname": _xml(case.group), "name": _xml(case.name), "time": f"{case.seconds:.3f}"},
    )
    if case.state == "failure":
        found = ET.SubElement(element, "failure", {"type": case.kind, "message": _xml(case.message)})
        found.text = _xml(case.detail)
    elif case.state == "skipped":
        ET.SubElement(element, "skipped", {"message": _xml(case.message)})
    if case.state != "failure":
        ET.SubElement(element, "system-out").text = _xml(case.detail)
    return element


def _cases(result: ItemResult) -> Iterator[_Case]:
    """Yield a case for each target, and one for the item itself if its verdict is worse than all of them."""
    for finding in result.findings:
        yield _case(result, _governed(result, finding), finding)
    worst = min((WORST_FIRST.index(f.verdict) for f in result.findings), default=len(WORST_FIRST))
    if WORST_FIRST.index(result.verdict) < worst:
        yield _case(result, result.verdict, None)


def _governed(result: ItemResult, finding: Finding) -> Verdict:
    """Return the verdict that counts for a target: a bad target of a waived item is waived, never a plain pass."""
    if not finding.verdict.good and result.verdict in (Verdict.WAIVED, Verdict.NOT_APPLICABLE):
        return result.verdict
    return finding.verdict


def _case(result: ItemResult, verdict: Verdict, finding: Finding | None) -> _Case:
    reason = finding.reason if finding else result.reason
    measured = finding.verdict if finding else verdict
    said = (
        words.verdict(verdict)
        if verdict is measured
        else f"{words.verdict(verdict)}, measured {words.verdict(measured)}"
    )
    return _Case(
        group=f"{result.item.phase}.{result.item.id}"
        if not result.item.id.startswith(f"{result.item.phase}.")
        else result.item.id,
        name=f"{result.item.id}[{finding.target}]" if finding and finding.target else result.item.id,
        seconds=max(finding.duration_s, 0.0) if finding else 0.0,
        state=_state(verdict, result.item.severity),
        kind=verdict.value,
        message=f"{said} ({result.item.severity.value}): {reason}",
        detail="\n".join(_detail(result, said, reason, finding)),
    )


def _state(verdict: Verdict, severity: Severity) -> str:
    """Map a verdict to a JUnit state. Only a good verdict is a plain pass."""
    if verdict in (Verdict.PASS, Verdict.ATTESTED):
        return ""
    if verdict in (Verdict.WAIVED, Verdict.NOT_APPLICABLE) or severity is Severity.MINOR:
        return "skipped"
    return "failure"


def _detail(result: ItemResult, said: str, reason: str, finding: Finding | None) -> Iterator[str]:
    yield f"{result.item.text}: {said}"
    yield reason
    if finding is None:
        return
    for r in finding.readings:
        yield f"  {r.name}: {words.measured(r)}" + (f" (limit {r.limit}, {words.met(r)})" if r.limit else "")
    for note in finding.notes:
        yield f"  note: {note}"
    for evidence in finding.evidence:
        yield f"  evidence: {evidence.path or 'in the journal,'} sha256 {evidence.sha256}"


def _decision_case(record: Record) -> _Case:
    """Return the case of the decision: red unless it is GO."""
    decision = record.decision
    outcome = decision.outcome if decision else None
    rules = grouping.deciding(decision.rules, decision.outcome) if decision else ()
    because = " ".join(rule.because for rule in rules) or "no decision was reached"
    return _Case(
        group="deploygate",
        name=f"decision for {view.scope_words(record)}",
        seconds=0.0,
        state="" if outcome is Outcome.GO else "failure",
        kind=outcome.value if outcome else "none",
        message=f"{outcome.value if outcome else 'NO DECISION'}: {because}",
        detail=f"exit code {view.exit_words(record)}\n{because}",
    )


def _xml(text: str) -> str:
    # Most texts have none of them, and compiling a pattern of the whole of Unicode takes milliseconds.
    return (
        text if text.isascii() and text.replace("\n", "").isprintable() else re.sub(_NOT_XML, "\ufffd", text)
    )
