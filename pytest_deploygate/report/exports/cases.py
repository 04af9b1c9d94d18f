"""Shared by all exports: the verdict of an item that counts, its bad targets, and the decision as a case of its own."""

from __future__ import annotations

import json
from typing import Any

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.model import Finding, Outcome, Severity, Verdict, worst
from pytest_deploygate.report import grouping, words
from pytest_deploygate.report.record import Record

#: Id of the decision in formats that only know items: it keeps a HOLD red even if every item is green.
DECISION = "deploygate.decision"
_PASSES = (Verdict.PASS, Verdict.ATTESTED)
_OPEN = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_COVERED)


def verdict(result: ItemResult) -> Verdict:
    """Return the verdict of an item. A pass with a target that did not pass is not trusted."""
    bad = [f.verdict for f in result.findings if f.verdict in _OPEN]
    return worst(bad) if bad and result.verdict in _PASSES else result.verdict


def passes(value: Verdict) -> bool:
    """Return whether a verdict may be exported as passed."""
    return value in _PASSES


def holds(result: ItemResult) -> bool:
    """Return whether an item is red for programs: unknown counts like failed unless the item is minor."""
    value = verdict(result)
    return value is Verdict.FAIL or (value in _OPEN and result.item.severity is not Severity.MINOR)


def bad_findings(result: ItemResult) -> tuple[Finding, ...]:
    """Return the findings that are not good, worst first."""
    return grouping.bad_findings(result)


def message(result: ItemResult) -> str:
    """Return the verdict of an item with severity and reason: `fail (critical): …`."""
    return f"{words.verdict(verdict(result))} ({result.item.severity.value}): {result.reason}"


def decided(record: Record) -> tuple[bool, str]:
    """Return whether the decision is GO, and its text. No decision is not GO."""
    decision = record.decision
    if decision is None:
        return False, "NO DECISION: nothing was decided, do not proceed"
    because = " ".join(rule.because for rule in grouping.deciding(decision.rules, decision.outcome))
    return decision.outcome is Outcome.GO, f"{decision.outcome.value}: {because}"


def version(record: Record) -> str:
    """Return the tool's version, `0.1.0`."""
    return record.provenance.tool.rpartition(" ")[2]


def dumped(plain: dict[str, Any]) -> str:
    """Return JSON as all exports write it: UTF-8, no NaN, one final newline."""
    return json.dumps(plain, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
