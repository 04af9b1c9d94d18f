"""`verdicts.json`: the same figures for programs. Keys are stable: new ones may be added, none is removed or redefined."""

from __future__ import annotations

import dataclasses
import json
import math
from datetime import UTC, datetime
from typing import Any

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.judging.spending import Spent
from pytest_deploygate.model import Decision, Evidence, Finding, Reading, Scalar, Verdict
from pytest_deploygate.report import grouping
from pytest_deploygate.report.leaving import cleaned
from pytest_deploygate.report.record import Record

#: Version of the format.
SCHEMA = 1
#: Made once: `json.dumps` makes one for each text.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def build(record: Record) -> dict[str, Any]:
    """Return the verdicts as plain data: one entry per item, all items, in the order of the checklist.

    `measurements` of an item are those of its worst target; `targets` has every target with its own. `weakenings_in_scope`
    are those of `weakenings` that bear, or may bear, on an item in scope. Secrets are already masked.
    """
    known = cleaned(record)
    return {
        "schema": SCHEMA,
        "change": known.change,
        "inventory": known.inventory,
        "decision": _decision(known.decision, known),
        "items": [_item(result) for result in known.items],
        "weakenings": [weakening.text for weakening in known.weakenings],
        "weakenings_in_scope": [weakening.text for weakening in grouping.weakenings(known)[0]],
        "spent": [_spent(started, entry) for started, entry in known.spent],
        "provenance": {
            "tool": known.provenance.tool,
            "python": known.provenance.python,
            "host": known.provenance.host,
            "user": known.provenance.user,
            "commit": known.provenance.commit or None,
            "branch": known.provenance.branch or None,
            "dirty": list(known.provenance.dirty),
            "commit_unknown": known.provenance.commit_unknown or None,
            "records_from": known.provenance.records_from or None,
            "inventory_sha256": known.provenance.inventory_digest,
            "checklist_sha256": known.provenance.checklist_digest,
            "journal_head": known.provenance.journal_head,
        },
    }


def _spent(started: datetime, entry: Spent) -> dict[str, Any]:
    """Return what a probe of the gate sent in the run that started then."""
    return {"run_started": iso(started), **dataclasses.asdict(entry)}


def text(record: Record) -> str:
    """Return `build` as the text of the file: valid JSON in UTF-8, no NaN, one line for each item or other entry."""
    parts = [f"{_json(key)}: {_lines(value)}" for key, value in build(record).items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _lines(value: Any) -> str:
    """Return JSON with a line for each entry of a list. Indenting all of it takes seconds for thousands of targets."""
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(map(_json, value)) + "\n]"
    return _json(value)


def _json(value: Any) -> str:
    return _ENCODER.encode(value)


def _decision(decision: Decision | None, record: Record) -> dict[str, Any]:
    """Return the decision. If there is none, return the same keys with null, never a GO."""
    if decision is None:
        return {
            "outcome": None,
            "scope": record.scope,
            "exit_code": None,
            "rules": [],
            "at": None,
            "counts": _counts(record),
        }
    return {
        "outcome": decision.outcome.value,
        "scope": decision.scope,
        "exit_code": decision.exit_code,
        "rules": [
            {"name": r.name, "says": r.says.value, "because": r.because, "items": list(r.items)}
            for r in decision.rules
        ],
        "at": iso(decision.at),
        "counts": dict(decision.counts) or _counts(record),
    }


def _counts(record: Record) -> dict[str, int]:
    inside = [r.verdict for r in record.items if r.in_scope]
    return {v.value: inside.count(v) for v in Verdict}


def _item(result: ItemResult) -> dict[str, Any]:
    worst = result.findings[0] if result.findings else None
    return {
        "id": result.item.id,
        "phase": result.item.phase,
        "verdict": result.verdict.value,
        "severity": result.item.severity.value,
        "reason": result.reason,
        "measurements": [_reading(r) for r in worst.readings] if worst else [],
        "targets": [_target(f) for f in result.findings],
        "in_scope": result.in_scope,
        "text": result.item.text,
        "kind": result.item.kind.value,
        "area": result.item.area,
        "earlier_findings": result.earlier,
    }


def _target(finding: Finding) -> dict[str, Any]:
    return {
        "target": finding.target,
        "verdict": finding.verdict.value,
        "reason": finding.reason,
        "measurements": [_reading(r) for r in finding.readings],
        "criterion": finding.criterion,
        "notes": list(finding.notes),
        "evidence": list(map(_evidence, finding.evidence)),
        "test": finding.test,
        "at": iso(finding.at),
        "duration_s": _number(finding.duration_s),
        "deferred_to": finding.deferred_to,
        "confirmed": finding.confirmed,
    }


def _evidence(one: Evidence) -> dict[str, str]:
    """Return a file by its path; what is in the journal has an empty path and its content."""
    said = {"path": one.path, "sha256": one.sha256, "title": one.title}
    return said | {"content": one.content} if one.content else said


def _reading(reading: Reading) -> dict[str, Any]:
    return {
        "name": reading.name,
        "value": _number(reading.value),
        "unit": reading.unit,
        "limit": reading.limit,
        "ok": reading.ok,
    }


def _number(value: Scalar) -> Scalar:
    """Write numbers that JSON cannot represent as words: `inf`, `nan`."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def iso(when: datetime) -> str:
    """Format a time as ISO 8601 in UTC with a final `Z`."""
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")
