"""A pytest-xdist worker that is killed while its test runs leaves a gap, and a gap is 25, never green."""

from __future__ import annotations

import pytest
from project import GOOD, Project

KILLS_ITSELF = GOOD.replace(
    "def test_migrations(gate):", "def test_migrations(gate):\n    os.kill(os.getpid(), signal.SIGKILL)"
)


@pytest.mark.parametrize("restarts", ["0", "2"])
def test_a_killed_worker_is_25(project: Project, restarts: str) -> None:
    """With or without new workers the run does not look complete, and the reason names the test."""
    project.suite(KILLS_ITSELF)
    ran = project.run_process("-m", "phase2", "-n", "2", f"--max-worker-restart={restarts}")
    assert ran.code == 25, ran.text
    assert project.verdicts()["decision"]["outcome"] == "HOLD"
    assert project.verdict("b.migrations") not in ("pass", "waived", "attested", "not_applicable")
    assert "test_migrations" in ran.text
    assert "GO: proceed" not in ran.text


def test_after_the_worker_is_mended_resume_is_go(project: Project) -> None:
    project.suite(KILLS_ITSELF)
    project.run_process("-m", "phase2", "-n", "2")
    project.suite(GOOD)
    ran = project.run_process("-m", "phase2", "-n", "2", "--resume")
    assert ran.code == 0, ran.text
