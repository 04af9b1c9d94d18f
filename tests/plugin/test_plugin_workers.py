"""What workers of pytest-xdist load and send: each of them does it, so it counts as often as there are workers."""

from __future__ import annotations

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
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_report_from_serializable(data):
    values = {name: type(value).__name__ for name, value in data.items()}
    report = yield
    report.user_properties.append(("sent", values))
    return report

def pytest_terminal_summary(terminalreporter):
    for report in terminalreporter.stats["passed"]:
        values = dict(report.user_properties)
        print("sent", values["sent"], type(report.location), type(report.user_properties[0]), values["mine"])
"""


def test_a_worker_loads_nothing_that_only_the_writing_process_needs(project: Project) -> None:
    """Report, terminal and journal segment belong to the process that writes."""
    project.suite(SUITE)
    ran = project.run_process("-m", "phase2", "-n", "2", "-p", "no:html")
    assert project.verdict("b.migrations") == "pass", ran.text
    assert project.reason("b.migrations") == "loaded: "


def test_a_report_is_sent_as_one_value(project: Project) -> None:
    """execnet writes every value of a report by itself, in Python: findings took longer to send than to make.

    The report arrives as it was, with tuples, and with what other plugins put into it.
    """
    project.suite(
        SUITE
        + "\n@pytest.fixture(autouse=True)\ndef mine(record_property):\n    record_property('mine', (1, b'2'))\n"
    )
    (project.path / "conftest.py").write_text(CONFTEST)
    ran = project.run_process("-m", "phase2", "-n", "2", "-p", "no:html")
    own = "'item_index': 'int', 'worker_id': 'str', 'testrun_uid': 'str'"
    said = f"sent {{'deploygate_packed': 'bytes', {own}}} <class 'tuple'> <class 'tuple'> (1, b'2')"
    assert said in ran.text, ran.text
    assert project.verdict("b.notes") == "pass"


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


COLLECTED = """
import gc

@pytest.mark.item("b.migrations", "b.tables", "b.notes")
def test_garbage(gate):
    says(gate, "pass" if gc.get_threshold()[0] > 700 else "fail", f"collects each {gc.get_threshold()} objects")
"""


def test_a_worker_leaves_out_what_it_collected(project: Project) -> None:
    """Each worker collects all tests, and would look at them again in every collection of garbage."""
    project.suite(COLLECTED)
    ran = project.run_process("-m", "phase2", "-n", "1")
    assert project.verdict("b.migrations") == "pass", ran.text
