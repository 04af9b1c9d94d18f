"""What a test run in CI may skip: a component that is missing there is a failure, or nobody would notice its absence.

`bin/test` installs what the tests need. What a platform cannot have, or what is not meant to run, is listed here with
the reason; everything else that is skipped with `CI` set fails.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping

import pytest

#: The beginning of a skip's reason, and why it is accepted.
ACCEPTED = {
    "bin/test --matrix runs it on every version": "PostgreSQL 13 and 18 are always tested; those between with --matrix",
    "only root": "this situation does not exist for other users",
    "no IPv6 here": "a container's network may have none; apt cannot add it",
    "no ::1 here": "a container's network may have none; apt cannot add it",
    "no network namespaces here": "a container may lack the permission for them; apt cannot add it",
    "no 127.0.0.2 here": "macOS has only 127.0.0.1 on loopback",
    "older servers do not record it": "PostgreSQL before 15 does not know the collation version of a database",
    "this machine runs systemd": "the test is about a machine that does not",
    "schemathesis is not in the extra dev": "its plugin would make each of the many starts of pytest seconds slower",
    "this ssh-keygen does not sign with a certificate file": "OpenSSH before 8.9 cannot",
}


def objection(reason: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return why a test must not be skipped for this reason; nothing if it may be."""
    if environment.get("CI", "").lower() not in ("1", "true") or reason.startswith(tuple(ACCEPTED)):
        return ""
    return (
        f"skipped in CI: {reason}\n"
        "Install the component in bin/test; or if this platform cannot have it, say why in tests/skipped.py."
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that may not be skipped."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
        words = objection(report.longrepr[2].removeprefix("Skipped: "))
        if words:
            report.outcome, report.longrepr = "failed", words
    return report
