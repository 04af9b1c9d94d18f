"""Where an item that is not good is shown in a repository: its line of the checklist, shared by CI's formats."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Severity, Verdict
from pytest_deploygate.report import grouping, words
from pytest_deploygate.report.exports import cases
from pytest_deploygate.report.leaving import cleaned
from pytest_deploygate.report.record import Record

CHECKLIST = "suites/checklist.md"


@dataclass(frozen=True)
class Place:
    """One thing that is not good. `line` counts from 1; `severity` is None for a waived item, which holds nothing."""

    item: str
    target: str
    line: int
    severity: Severity | None
    text: str


def of(record: Record) -> Iterator[Place]:
    """Yield the decision, unless it is GO, then each bad target of each item in scope, critical ones first."""
    known = cleaned(record)
    go, said = cases.decided(known)
    if not go:
        yield Place(cases.DECISION, "", 1, Severity.CRITICAL, said)
    order = list(Severity)
    found = [place for result in grouping.in_scope(known) for place in _of(result)]
    yield from sorted(found, key=lambda p: order.index(p.severity) if p.severity else len(order))


def _of(result: ItemResult) -> Iterator[Place]:
    verdict = cases.verdict(result)
    if verdict.good and verdict is not Verdict.WAIVED:
        return
    item, line = result.item, max(result.item.line, 1)
    waived = verdict is Verdict.WAIVED
    severity = None if waived else item.severity
    findings = cases.bad_findings(result)
    for finding in findings:
        where = f" [{finding.target}]" if finding.target else ""
        measured = words.verdict(finding.verdict)
        said = f"{words.verdict(verdict)}, measured {measured}" if waived else measured
        yield Place(item.id, finding.target, line, severity, f"{item.id}{where}: {said}: {finding.reason}")
    if not findings:
        yield Place(item.id, "", line, severity, f"{item.id}: {words.verdict(verdict)}: {result.reason}")
