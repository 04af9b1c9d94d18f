"""Findings from how a test ended: every outcome has a verdict, and none is a pass by default."""

from __future__ import annotations

import pytest

from pytest_deploygate.clients.stopping import Ended
from pytest_deploygate.journal import finding_to_json
from pytest_deploygate.model import CannotTell, Finding, NotCovered, Verdict, worst
from pytest_deploygate.redaction import redact
from pytest_deploygate.session.evidence import EvidenceLost
from pytest_deploygate.session.gate import Gate
from pytest_deploygate.session.time_limit import TimeUp

#: Attributes of a test report, read by the process that writes the journal (they survive pytest-xdist).
FINDINGS, VERDICT, LOST = "deploygate_findings", "deploygate_verdict", "deploygate_lost"

_WORDS = {
    Verdict.FAIL: ("failed", "F", ("FAIL", {"red": True})),
    Verdict.INCONCLUSIVE: ("inconclusive", "?", ("INCONCLUSIVE", {"yellow": True})),
    Verdict.NOT_COVERED: ("not covered", "-", ("NOT COVERED", {"yellow": True})),
}


def settle(gate: Gate, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
    """Attach the findings of a bound test to its report and set the report's outcome from the worst verdict."""
    told = len(gate.findings) if call.when == "teardown" else 0
    try:
        _record_ending(gate, call)
    except EvidenceLost as lost:
        setattr(report, LOST, str(lost))
        _fail(report, str(lost))
        return
    if call.when == "setup" and not gate.findings:
        return
    if call.when == "teardown" and call.excinfo is None:
        return
    if not gate.findings:
        _fail(
            report,
            "the test ended without a finding: it never called gate.judge, so it proves nothing about its item",
        )
        return
    setattr(report, FINDINGS, [finding_to_json(finding) for finding in gate.findings[told:]])
    verdict = worst(finding.verdict for finding in gate.findings)
    setattr(report, VERDICT, verdict.value)
    if verdict.good or verdict is Verdict.WAIVED:
        report.outcome = "passed"
        report.longrepr = None
    else:
        _fail(report, _reason(gate.findings, verdict))


def status(report: pytest.TestReport) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Return category, letter and word for pytest's own lines, or None to keep pytest's."""
    verdict = getattr(report, VERDICT, None)
    return _WORDS.get(Verdict(verdict)) if verdict else None


def _fail(report: pytest.TestReport, reason: str) -> None:
    report.outcome = "failed"
    report.longrepr = redact(reason)


def _reason(findings: list[Finding], verdict: Verdict) -> str:
    return "\n".join(
        f"{finding.item}{f' [{finding.target}]' if finding.target else ''}: {finding.reason}"
        for finding in findings
        if finding.verdict is verdict
    )


def _record_ending(gate: Gate, call: pytest.CallInfo[None]) -> None:
    """Record a finding for an exception in the test; one in the teardown adds to its findings."""
    if call.excinfo is None:
        return
    error = call.excinfo.value
    text = " ".join(str(error).split())
    if isinstance(error, EvidenceLost):
        raise error
    if isinstance(error, TimeUp | Ended):
        gate.record_unjudged(Verdict.INCONCLUSIVE, text)
    elif isinstance(error, NotCovered):
        gate.record_unjudged(Verdict.NOT_COVERED, text)
    elif isinstance(error, CannotTell):
        gate.record_unjudged(Verdict.INCONCLUSIVE, text)
    elif isinstance(error, pytest.skip.Exception):
        gate.record_unjudged(Verdict.NOT_COVERED, f"the test was skipped: {text or 'no reason given'}")
    elif text.startswith("Timeout "):
        gate.record_unjudged(Verdict.INCONCLUSIVE, f"the test exceeded its time limit: {text}")
    elif isinstance(error, AssertionError | pytest.fail.Exception):
        gate.record_unjudged(Verdict.FAIL, text or "an assertion failed", trace=_trace(call))
    elif call.when == "teardown":
        gate.record_unjudged(Verdict.INCONCLUSIVE, f"cleanup failed: {_named(error)}", trace=_trace(call))
    else:
        gate.record_unjudged(
            Verdict.INCONCLUSIVE,
            f"the check itself failed with an error, so the item is unknown: {_named(error)}",
            trace=_trace(call),
        )


def _named(error: BaseException) -> str:
    return redact(f"{type(error).__name__}: {' '.join(str(error).split())}")[:500]


def _trace(call: pytest.CallInfo[None]) -> str:
    return redact(str(call.excinfo.getrepr(style="short", truncate_locals=True))) if call.excinfo else ""
