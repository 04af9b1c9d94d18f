"""Where an item that is not good is shown in a repository, shared by CI's formats.

A finding is shown at its target's entry in the inventory, else at the section that its test reads, where its limits are;
what has no line there at the item's line of the checklist.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Finding, Item, Severity, Verdict
from pytest_deploygate.report import grouping, words
from pytest_deploygate.report.exports import cases
from pytest_deploygate.report.leaving import cleaned
from pytest_deploygate.report.record import Record

#: The shipped checklist's place in a repository; what an earlier version recorded has no other.
CHECKLIST = "suites/checklist.md"
#: The path of a file below a repository; a journal may say anything.
_FILE = re.compile(r"(?!.*\.\./)[\w.+@-][\w ./+@-]{0,300}")


@dataclass(frozen=True)
class Place:
    """One thing that is not good. `line` of `file` counts from 1; `severity` is None for a waived item, which holds nothing."""

    item: str
    target: str
    file: str
    line: int
    severity: Severity | None
    text: str


def of(record: Record) -> Iterator[Place]:
    """Yield the decision, unless it is GO, then each bad target of each item in scope, critical ones first."""
    known = cleaned(record)
    go, said = cases.decided(known)
    if not go:
        yield Place(cases.DECISION, "", *of_decision(known), Severity.CRITICAL, said)
    order = list(Severity)
    found = [place for result in grouping.in_scope(known) for place in _of(known, result)]
    yield from sorted(found, key=lambda p: order.index(p.severity) if p.severity else len(order))


def of_finding(record: Record, item: Item, finding: Finding | None) -> tuple[str, int]:
    """Return file and line of a finding; without one, those of its item."""
    lines = record.lines
    if finding is not None and _FILE.fullmatch(lines.inventory):
        line = next((lines.names[word] for word in _words(finding.target) if word in lines.names), 0)
        if line := line or lines.items.get(item.id, 0):
            return _from_the_top(record, lines.inventory), line
    return _checklist(record), max(item.line, 1)


def of_decision(record: Record) -> tuple[str, int]:
    """Return where the decision is shown: the beginning of the checklist."""
    return _checklist(record), 1


def _checklist(record: Record) -> str:
    known = _FILE.fullmatch(record.lines.checklist)
    return _from_the_top(record, record.lines.checklist if known else CHECKLIST)


def _from_the_top(record: Record, file: str) -> str:
    """Return a file's path from the top of the repository, where a CI looks for it: pytest may have run below."""
    path = f"{record.lines.below}{file}"
    return path if _FILE.fullmatch(path) else file


def _words(target: str) -> Iterator[str]:
    """Yield how an inventory may name a target: as it is, without its port, or one of its words."""
    yield from (target, target.rpartition(":")[0])
    for word in target.split():
        yield from (word, word.rpartition(":")[0])


def _of(record: Record, result: ItemResult) -> Iterator[Place]:
    verdict = cases.verdict(result)
    if verdict.good and verdict is not Verdict.WAIVED:
        return
    item = result.item
    waived = verdict is Verdict.WAIVED
    severity = None if waived else item.severity
    findings = cases.bad_findings(result)
    for finding in findings:
        where = f" [{finding.target}]" if finding.target else ""
        measured = words.verdict(finding.verdict)
        said = f"{words.verdict(verdict)}, measured {measured}" if waived else measured
        file, line = of_finding(record, item, finding)
        yield Place(
            item.id, finding.target, file, line, severity, f"{item.id}{where}: {said}: {finding.reason}"
        )
    if not findings:
        file, line = of_finding(record, item, None)
        yield Place(
            item.id, "", file, line, severity, f"{item.id}: {words.verdict(verdict)}: {result.reason}"
        )
