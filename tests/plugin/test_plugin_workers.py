"""What workers of pytest-xdist load and send: each of them does it, so it counts as often as there are workers."""

from __future__ import annotations

import json

from project import Project

SUITE = """
import json, sys
import pytest

@pytest.mark.item("b.migrations", "b.tables", "b.notes")
def test_what_is_loaded(gate):
    writing = ("rich", "jinja2.environment", "pytest_deploygate.report.html", "pytest_deploygate.session.run")
    says(gate, "pass", "loaded: " + ", ".join(name for name in writing if name in sys.modules))
"""
CONFTEST = """
import json
from pathlib import Path
import pytest
from pytest_deploygate.session import outcome

@pytest.hookimpl(wrapper=True)
def pytest_report_from_serializable(data):
    if outcome.FINDINGS in data:
        with (Path(__file__).parent / "sent.jsonl").open("a") as file:
            file.write(json.dumps(data[outcome.FINDINGS]) + "\\n")
    return (yield)
"""


def test_a_worker_loads_nothing_that_only_the_writing_process_needs(project: Project) -> None:
    """Report, terminal and journal segment belong to the process that writes."""
    project.suite(SUITE)
    ran = project.run_process("-m", "phase2", "-n", "2", "-p", "no:html")
    assert project.verdict("b.migrations") == "pass", ran.text
    assert project.reason("b.migrations") == "loaded: "


def test_the_findings_of_a_test_are_sent_as_one_text(project: Project) -> None:
    """execnet writes every value of a report by itself, in Python: findings took longer to send than to make."""
    project.suite(SUITE)
    (project.path / "conftest.py").write_text(CONFTEST)
    ran = project.run_process("-m", "phase2", "-n", "2", "-p", "no:html")
    sent = [json.loads(line) for line in (project.path / "sent.jsonl").read_text().splitlines()]
    assert len(sent) == 1, ran.text
    assert isinstance(sent[0], str)
    assert [finding["item"] for finding in json.loads(sent[0])] == ["b.migrations", "b.tables", "b.notes"]


SILENT = """
import contextlib
from pathlib import Path
from pytest_deploygate.clients import reach

HERE = Path(__file__).parents[1]

@pytest.mark.item("b.migrations")
def test_first(gate):
    with contextlib.suppress(TimeoutError), reach.attempt("db1:5432"):
        raise TimeoutError
    (HERE / "tried").touch()
    says(gate)

@pytest.mark.item("b.tables", "b.notes")
def test_other_worker(gate):
    until = time.monotonic() + 20
    while not (HERE / "tried").exists() and time.monotonic() < until:
        time.sleep(0.01)
    known = reach.known("db1:5432")
    says(gate, "pass" if known and known.item == "b.migrations" else "fail", str(known))
"""


def test_workers_share_what_was_silent(project: Project) -> None:
    """A dead address costs its timeout once for all items, however many workers ask for them."""
    project.suite(SILENT)
    ran = project.run_process("-m", "phase2", "-n", "2")
    assert project.verdict("b.tables") == "pass", ran.text
    assert not list(project.out.glob(".silent-*"))
