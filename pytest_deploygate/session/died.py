"""Tests whose process died while they ran, although another plugin ran them again.

What the first attempt did and found is lost with its process, and nobody may see that from a later pass. pytest-xdist
reports such a test with no phase; without a second attempt it has no finding, which is a gap of its own.
"""

from __future__ import annotations

from collections.abc import Collection

import pytest

from pytest_deploygate.journal import utcnow
from pytest_deploygate.model import Finding, Verdict
from pytest_deploygate.redaction import redact

_PHASES = ("setup", "call", "teardown")


def died(report: pytest.TestReport) -> bool:
    """Tell whether a report stands for a process that died while it ran the test."""
    return report.when not in _PHASES


def findings(test: str, items: Collection[str], said: str) -> list[Finding]:
    """Return one inconclusive finding for each item of a test that has a result besides the attempt that died."""
    reason = (
        f"{said.rstrip('.')}, and a plugin ran the test again: what the attempt that died did and found is unknown; "
        "find out what ended the process (out of memory, a time limit, a signal), then run this again without reruns"
    )
    return [
        Finding(
            item=item,
            target="",
            verdict=Verdict.INCONCLUSIVE,
            reason=redact(reason),
            test=test,
            at=utcnow(),
            duration_s=0.0,
        )
        for item in sorted(items)
    ]
