"""In CI a component that is missing fails the test that needs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from skipped import ACCEPTED, objection

TESTS = """
import pytest

@pytest.mark.skipif(True, reason="no slapd is installed here")
def test_marked(): ...

def test_called():
    pytest.skip("pg_cron is not installed here")

def test_accepted():
    pytest.skip("no IPv6 here")

@pytest.mark.xfail(reason="known")
def test_known():
    assert False
"""


@pytest.mark.parametrize(
    ("ci", "outcomes"),
    [("true", {"failed": 1, "errors": 1, "skipped": 1, "xfailed": 1}), ("", {"skipped": 3, "xfailed": 1})],
)
def test_a_missing_component_fails_in_ci_only(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcomes: dict[str, int]
):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    pytester.makepyfile(TESTS)
    ran = pytester.runpytest_subprocess("-p", "no:deploygate", "-p", "skipped")
    ran.assert_outcomes(**outcomes)
    if ci:
        ran.stdout.fnmatch_lines(["*skipped in CI: pg_cron is not installed here*", "*tests/skipped.py*"])


def test_reasons():
    assert "say why in tests/skipped.py" in objection("no slapd is installed here", {"CI": "true"})
    assert objection("no slapd is installed here", {}) == ""
    assert objection("only root changes user", {"CI": "1"}) == ""


def test_each_accepted_reason_is_still_used():
    """An entry that no test gives any more would accept a reason that nobody has read."""
    texts = "\n".join(
        file.read_text() for file in Path(__file__).parent.rglob("*.py") if file.name != "skipped.py"
    )
    literals = re.sub(r"\{[^}]*\}", "", texts)
    stale = [
        reason
        for reason in ACCEPTED
        if reason not in literals and not re.match(r"no (::1|127\.0\.0\.2) here", reason)
    ]
    assert stale == []
