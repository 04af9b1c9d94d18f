"""HDF (MITRE Heimdall's InSpec exec JSON): a control for each item in scope, and one for the decision.

Heimdall calls a control passed if one result passed and the others were skipped, so a control that did not pass contains
only its bad targets. Not covered and waived become `Not Reviewed`, inconclusive `Profile Error`, not applicable has impact 0.
"""

from __future__ import annotations

from typing import Any

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.model import Finding, Severity, Verdict
from pytest_deploygate.report import grouping, words
from pytest_deploygate.report.exports import cases
from pytest_deploygate.report.leaving import cleaned
from pytest_deploygate.report.record import Record
from pytest_deploygate.report.verdicts import iso

_IMPACT = {Severity.CRITICAL: 0.9, Severity.MAJOR: 0.7, Severity.MINOR: 0.3}
_STATUS = {
    Verdict.FAIL: "failed",
    Verdict.INCONCLUSIVE: "error",
    Verdict.NOT_COVERED: "skipped",
    Verdict.WAIVED: "skipped",
    Verdict.NOT_APPLICABLE: "skipped",
    Verdict.ATTESTED: "passed",
    Verdict.PASS: "passed",
}


def text(record: Record) -> str:
    """Return the report as the text of a file."""
    known = cleaned(record)
    at = iso(known.decision.at) if known.decision else iso(known.runs[-1].started) if known.runs else ""
    controls = [_decision(known, at), *(_control(r, known, at) for r in grouping.in_scope(known))]
    groups = [
        {"id": g.phase.id, "title": g.phase.title, "controls": [r.item.id for r in g.inside]}
        for g in grouping.by_phase(known)
        if g.inside
    ]
    profile = {
        "name": "deploygate-checklist",
        "title": f"Deployment checklist, change {known.change}",
        "version": cases.version(known),
        "sha256": known.provenance.checklist_digest,
        "attributes": [],
        "supports": [],
        "groups": groups,
        "controls": controls,
    }
    return cases.dumped(
        {
            "platform": {
                "name": "pytest-deploygate",
                "release": cases.version(known),
                "target_id": known.inventory,
            },
            "version": cases.version(known),
            "statistics": {
                "duration": sum(f.duration_s for r in known.items if r.in_scope for f in r.findings)
            },
            "profiles": [profile],
        }
    )


def _control(result: ItemResult, record: Record, at: str) -> dict[str, Any]:
    item, value = result.item, cases.verdict(result)
    control: dict[str, Any] = {
        "id": item.id,
        "title": item.text,
        "desc": cases.message(result),
        "impact": 0.0 if value is Verdict.NOT_APPLICABLE else _IMPACT[item.severity],
        "refs": [],
        "tags": {
            "phase": item.phase,
            "area": item.area,
            "severity": item.severity.value,
            "verdict": value.value,
        },
        "source_location": {"ref": "suites/checklist.md", "line": max(item.line, 1)},
        "results": list(_results(result, value, at)),
    }
    if waiver := next((w for w in record.waivers if w.item == item.id and value is Verdict.WAIVED), None):
        control["waiver_data"] = {
            "justification": waiver.reason,
            "expiration_date": iso(waiver.expires),
            "run": True,
            "skipped_due_to_waiver": False,
            "message": result.reason,
        }
    return control


def _results(result: ItemResult, value: Verdict, at: str) -> list[dict[str, Any]]:
    shown = result.findings if cases.passes(value) else cases.bad_findings(result)
    made = [_result(f.verdict, f.target, f.reason, iso(f.at), f) for f in shown]
    if not any(
        f.verdict is value for f in shown
    ):  # the item is worse or better than its targets: waived, a target missing
        made = [] if value in (Verdict.WAIVED, Verdict.NOT_APPLICABLE) else made
        made.insert(0, _result(value, "", result.reason, at))
    return made


def _result(
    value: Verdict, target: str, reason: str, at: str, finding: Finding | None = None
) -> dict[str, Any]:
    status = _STATUS[value]
    made: dict[str, Any] = {
        "status": status,
        "code_desc": f"{target or 'whole item'}: {words.verdict(value)}",
        "start_time": at,
        "skip_message" if status == "skipped" else "message": reason,
    }
    if finding:
        made["run_time"] = finding.duration_s
    return made


def _decision(record: Record, at: str) -> dict[str, Any]:
    go, said = cases.decided(record)
    return {
        "id": cases.DECISION,
        "title": "The decision is GO",
        "desc": said,
        "impact": 0.9,
        "refs": [],
        "tags": {"severity": "critical"},
        "source_location": {},
        "results": [
            {
                "status": "passed" if go else "failed",
                "code_desc": "decision",
                "message": said,
                "start_time": at,
            }
        ],
    }
