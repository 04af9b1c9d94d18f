"""A failure in two runs is confirmed, even if a run in between was inconclusive; a pass in between refutes it."""

from __future__ import annotations

import pytest

SUITE = """
from pathlib import Path

@pytest.mark.item("c.errors")
def test_errors(gate):
    says(gate, (Path(__file__).parents[1] / "verdict").read_text(), "7 % errors")
"""


@pytest.mark.parametrize(
    ("runs", "confirmed"),
    [
        (["fail"], False),
        (["fail", "fail"], True),
        (["fail", "inconclusive", "fail"], True),
        (["fail", "pass", "fail"], False),
        (["inconclusive", "fail"], False),
    ],
)
def test_seen_twice(project, runs, confirmed):
    project.suite(SUITE)
    for verdict in runs:
        (project.path / "verdict").write_text(verdict)
        project.run("-m", "golive")
    assert ("seen twice? yes" in project.because()) is confirmed
    assert ("not confirmed by a repeat" in project.because()) is not confirmed
