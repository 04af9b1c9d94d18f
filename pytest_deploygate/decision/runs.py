"""The runs of a change: what each test found in them, and which of them a run resumed."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_deploygate.journal import Segment, TestRecord
from pytest_deploygate.model import Finding


def joined(segment: Segment) -> list[TestRecord]:
    """Return one record per test: findings of its teardown or of a repetition are added to its own."""
    found: dict[str, TestRecord] = {}
    for test in segment.tests:
        before = found[test.test].findings if test.test in found else ()
        found[test.test] = TestRecord(test.run, test.test, before + test.findings)
    return list(found.values())


def newest(runs: Sequence[Segment]) -> dict[str, tuple[Finding, ...]]:
    """Return what each test found in the latest run that it was part of."""
    return {test.test: test.findings for segment in runs for test in joined(segment)}


def chain(runs: Sequence[Segment]) -> list[Segment]:
    """Return the last run and the runs that it resumed, oldest first."""
    found: list[Segment] = []
    for segment in reversed(runs):
        found.append(segment)
        if not segment.begin.get("resumes"):
            break
    return list(reversed(found))
