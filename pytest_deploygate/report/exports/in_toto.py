"""in-toto Statement v1 with a test-result predicate v0.1, unsigned: its subject is `verdicts.json` by digest.

The predicate has no list of tests that did not run, so everything that is not a pass is in `failedTests`, including waived
items: `warnedTests` are passes by the specification. Items that do not apply are in no list.
"""

from __future__ import annotations

from typing import Any

from pytest_deploygate.files import sha256
from pytest_deploygate.model import Verdict
from pytest_deploygate.report import grouping, verdicts
from pytest_deploygate.report.exports import cases
from pytest_deploygate.report.leaving import cleaned
from pytest_deploygate.report.record import Record

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"


def text(record: Record) -> str:
    """Return the statement as the text of a file."""
    known = cleaned(record)
    digest = sha256(verdicts.text(record).encode())
    return cases.dumped(
        {
            "_type": STATEMENT,
            "subject": [{"name": "verdicts.json", "digest": {"sha256": digest}}],
            "predicateType": PREDICATE,
            "predicate": _predicate(known),
        }
    )


def _predicate(record: Record) -> dict[str, Any]:
    inside = [r for r in grouping.in_scope(record) if cases.verdict(r) is not Verdict.NOT_APPLICABLE]
    good = [r for r in inside if cases.passes(cases.verdict(r))]
    warned = [r.item.id for r in good if any(f.notes for f in r.findings)]
    failed = [r.item.id for r in inside if r not in good]
    go, _ = cases.decided(record)
    return {
        "result": ("WARNED" if warned or failed else "PASSED") if go else "FAILED",
        "configuration": [
            _resource(f"inventory/{record.inventory}", record.provenance.inventory_digest),
            _resource("checklist", record.provenance.checklist_digest),
        ],
        "passedTests": [r.item.id for r in good if r.item.id not in warned],
        "warnedTests": warned,
        "failedTests": failed,
    }


def _resource(name: str, digest: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": digest}}
