"""SARIF 2.1.0 (OASIS): a result for each target that is not good, for code scanning and security dashboards.

Readers such as GitHub have no state "unknown" and show every result as an alert. So passes are left out and counted in the
properties of the run; fail, inconclusive and not covered are results of kind `fail`, and waived results are suppressed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.files import sha256
from pytest_deploygate.model import Finding, Severity, Verdict
from pytest_deploygate.report import grouping, words
from pytest_deploygate.report.exports import cases, places
from pytest_deploygate.report.leaving import cleaned
from pytest_deploygate.report.record import Record

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVEL = {Severity.CRITICAL: "error", Severity.MAJOR: "error", Severity.MINOR: "warning"}
_SCORE = {Severity.CRITICAL: "9.5", Severity.MAJOR: "7.0", Severity.MINOR: "3.0"}


def text(record: Record) -> str:
    """Return the log as the text of a file."""
    known = cleaned(record)
    bad = [r for r in grouping.in_scope(known) if not cases.verdict(r).good]
    rules = [_rule(r) for r in bad] + [_decision_rule()]
    index = {rule["id"]: n for n, rule in enumerate(rules)}
    results = [*_decision(known), *(one for r in bad for one in _results(known, r))]
    for result in results:
        result["ruleIndex"] = index[result["ruleId"]]
    return cases.dumped({"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(known, rules, results)]})


def _run(record: Record, rules: list[dict[str, Any]], results: list[dict[str, Any]]) -> dict[str, Any]:
    inside = grouping.in_scope(record)
    invocation: dict[str, Any] = {
        "executionSuccessful": bool(record.decision and record.decision.exit_code != 25),
    }
    if record.decision:
        invocation["exitCode"] = record.decision.exit_code
    return {
        "tool": {"driver": {"name": "pytest-deploygate", "version": cases.version(record), "rules": rules}},
        "invocations": [invocation],
        "automationDetails": {"id": f"deploygate/{record.change}/{record.scope or 'all'}"},
        "results": results,
        "properties": {
            "decision": record.decision.outcome.value if record.decision else "none",
            "verdicts": {v.value: n for v, n in words.tally(cases.verdict(r) for r in inside)},
            "journalHead": record.provenance.journal_head,
        },
    }


def _rule(result: ItemResult) -> dict[str, Any]:
    item = result.item
    return {
        "id": item.id,
        "name": item.id,
        "shortDescription": {"text": item.text or item.id},
        "defaultConfiguration": {"level": _LEVEL[item.severity]},
        "properties": {
            "tags": [tag for tag in (item.phase, item.area, item.severity.value) if tag],
            "security-severity": _SCORE[item.severity],
        },
    }


def _decision_rule() -> dict[str, Any]:
    return {"id": cases.DECISION, "name": "Decision", "shortDescription": {"text": "The decision is GO"}}


def _decision(record: Record) -> Iterator[dict[str, Any]]:
    go, said = cases.decided(record)
    if not go:
        yield {
            "ruleId": cases.DECISION,
            "kind": "fail",
            "level": "error",
            "message": {"text": said},
            "locations": [_location(*places.of_decision(record))],
            "partialFingerprints": {"deploygate/v1": _digest(cases.DECISION, "")},
        }


def _results(record: Record, result: ItemResult) -> Iterator[dict[str, Any]]:
    found = cases.bad_findings(result)
    for finding in found:
        yield _result(record, result, finding, finding.verdict, finding.reason)
    if not found:
        yield _result(record, result, None, cases.verdict(result), result.reason)


def _result(
    record: Record, result: ItemResult, finding: Finding | None, verdict: Verdict, reason: str
) -> dict[str, Any]:
    item = result.item
    target = finding.target if finding else ""
    where = f" [{target}]" if target else ""
    plain: dict[str, Any] = {
        "ruleId": item.id,
        "kind": "fail",
        "level": _LEVEL[item.severity],
        "message": {"text": f"{item.id}{where}: {words.verdict(verdict)}: {reason}"},
        "locations": [_location(*places.of_finding(record, item, finding))],
        "partialFingerprints": {"deploygate/v1": _digest(item.id, target)},
        "properties": {"verdict": verdict.value, "severity": item.severity.value, "target": target},
    }
    if result.verdict is Verdict.WAIVED or verdict is Verdict.WAIVED:
        plain["suppressions"] = [{"kind": "external", "status": "accepted", "justification": result.reason}]
    return plain


def _location(file: str, line: int) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": file},
            "region": {"startLine": line},
        }
    }


def _digest(item: str, target: str) -> str:
    return sha256(f"{item}\0{target}".encode())
