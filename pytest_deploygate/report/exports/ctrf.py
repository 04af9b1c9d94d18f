"""CTRF (Common Test Report Format): a test for each item in scope, and one for the decision.

The format has no state for "unknown": inconclusive and not covered are `failed` if they hold, `skipped` if minor.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.model import Finding
from pytest_deploygate.report import grouping, words
from pytest_deploygate.report.exports import cases
from pytest_deploygate.report.leaving import cleaned
from pytest_deploygate.report.record import Record

SPEC = "0.0.0"
_STATES = ("passed", "failed", "skipped", "pending", "other")


def text(record: Record) -> str:
    """Return the report as the text of a file."""
    known = cleaned(record)
    tests = [_decision(known), *(_test(r) for r in grouping.in_scope(known))]
    start, stop = _times(known)
    summary: dict[str, Any] = {"tests": len(tests)}
    summary |= {state: sum(1 for test in tests if test["status"] == state) for state in _STATES}
    summary |= {"start": _ms(start), "stop": _ms(stop)}
    tool = {"name": "pytest-deploygate", "version": cases.version(known)}
    results = {"tool": tool, "summary": summary, "tests": tests, "environment": _environment(known)}
    return cases.dumped({"reportFormat": "CTRF", "specVersion": SPEC, "results": results})


def state(result: ItemResult) -> str:
    """Return the CTRF state of an item."""
    if cases.passes(cases.verdict(result)):
        return "passed"
    return "failed" if cases.holds(result) else "skipped"


def _test(result: ItemResult) -> dict[str, Any]:
    value = cases.verdict(result)
    return {
        "name": result.item.id,
        "status": state(result),
        "rawStatus": value.value,
        "duration": round(1000 * sum(f.duration_s for f in result.findings)),
        "suite": [result.item.phase],
        "message": cases.message(result),
        "tags": [tag for tag in (result.item.severity.value, result.item.area) if tag],
        "extra": {
            "text": result.item.text,
            "targets": [_target(f) for f in result.findings],
        },
    }


def _target(finding: Finding) -> dict[str, Any]:
    return {
        "target": finding.target,
        "verdict": finding.verdict.value,
        "reason": finding.reason,
        "readings": [
            {"name": r.name, "value": words.measured(r), "limit": r.limit} for r in finding.readings
        ],
    }


def _decision(record: Record) -> dict[str, Any]:
    go, said = cases.decided(record)
    return {
        "name": cases.DECISION,
        "status": "passed" if go else "failed",
        "duration": 0,
        "suite": ["decision"],
        "message": said,
    }


def _environment(record: Record) -> dict[str, Any]:
    return {"testEnvironment": record.inventory, "extra": {"change": record.change, "scope": record.scope}}


def _times(record: Record) -> tuple[datetime | None, datetime | None]:
    last = record.runs[-1] if record.runs else None
    end = record.decision.at if record.decision else None
    start = last.started if last else end
    return start, (last.finished if last and last.finished else end) or start


def _ms(when: datetime | None) -> int:
    return round(when.timestamp() * 1000) if when else 0
