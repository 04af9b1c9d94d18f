"""GitLab's code quality report, a JSON list. Source: GitLab, "Code Quality", "Implement a custom tool"."""

from __future__ import annotations

import json

from pytest_deploygate.files import sha256
from pytest_deploygate.model import Severity
from pytest_deploygate.report.exports import places
from pytest_deploygate.report.record import Record

_SEVERITY = {Severity.CRITICAL: "critical", Severity.MAJOR: "major", Severity.MINOR: "minor", None: "info"}


def text(record: Record) -> str:
    """Return the list. A fingerprint is item and target, so that a finding stays the same over several runs."""
    found = {sha256(f"{p.item}\0{p.target}".encode()): p for p in reversed([*places.of(record)])}
    plain = [
        {
            "description": place.text,
            "check_name": place.item,
            "fingerprint": digest,
            "severity": _SEVERITY[place.severity],
            "location": {"path": place.file, "lines": {"begin": place.line}},
        }
        for digest, place in reversed(found.items())
    ]
    return json.dumps(plain, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
