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


#: What plugins do that run a test again after its worker died: pytest-xdist's own hook for it.
RUNS_AGAIN = """
def pytest_handlecrashitem(crashitem, report, sched):
    sched.mark_test_pending(crashitem)
    report.outcome = "rerun"
"""

#: Dies in its first attempt, at a moment named by the test.
FIRST = """
def die_once():
    try:
        os.close(os.open("died", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)

@pytest.fixture
def leaves():
    yield
    if MOMENT == "teardown":
        time.sleep(1)  # until the finding has left this process
        die_once()

@pytest.mark.item("b.migrations", "b.notes")
def test_migrations(gate, leaves):
    if MOMENT == "body":
        die_once()
    says(gate)
    if MOMENT == "judged":
        die_once()

@pytest.mark.item("b.tables")
@pytest.mark.parametrize("name", ["users", "alerts"])
def test_table(gate, name):
    if MOMENT == "parameter" and name == "alerts":
        die_once()
    says(gate)
"""


@pytest.mark.parametrize(
    ("moment", "items"),
    [
        ("body", ["b.migrations", "b.notes"]),
        ("judged", ["b.migrations", "b.notes"]),
        ("teardown", ["b.migrations", "b.notes"]),
        ("parameter", ["b.tables"]),
    ],
)
def test_a_second_attempt_does_not_hide_the_first(project: Project, moment: str, items: list[str]) -> None:
    """A test that died with its worker and then passed is inconclusive and names the worker, not a pass."""
    project.suite(f'MOMENT = "{moment}"\n{FIRST}')
    (project.path / "conftest.py").write_text(RUNS_AGAIN)
    ran = project.run_process("-m", "phase2", "-n", "2")
    assert ran.code not in (0, 1), ran.text
    assert project.verdicts()["decision"]["outcome"] == "HOLD"
    for item in items:
        assert project.verdict(item) == "inconclusive", ran.text
    reasons = " ".join(i["reason"] for i in project.verdicts()["items"])
    assert "crashed while running" in reasons
    assert "what the attempt that died did and found is unknown" in reasons


def test_a_second_attempt_of_a_whole_process_is_a_pass(project: Project) -> None:
    """Nothing died: the same plugin changes nothing."""
    project.suite(f'MOMENT = "never"\n{FIRST}')
    (project.path / "conftest.py").write_text(RUNS_AGAIN)
    ran = project.run_process("-m", "phase2", "-n", "2")
    assert ran.code == 0, ran.text
