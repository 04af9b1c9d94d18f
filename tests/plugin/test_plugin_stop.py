"""The stop of a run: a file or a signal ends its tests, here and in workers, within a second; nothing looks green by it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

SUITE = """
@pytest.mark.item("b.migrations")
def test_migrations(gate):
    says(gate)

@pytest.mark.item("b.tables")
@pytest.mark.parametrize("name", ["users", "alerts"])
def test_tables(gate, name, budget):
    with budget.probe("corpus", unwatched="a test") as spending:
        spending.take(sent_bytes=10)
        spending.give(received_bytes=20)
        open(f"begun-{name}", "w").close()
        try:
            time.sleep(60)
        except Exception:
            says(gate, "fail", "a probe took the stop for an answer")

@pytest.mark.item("b.notes")
def test_notes(gate):
    time.sleep(2)
    says(gate)
"""


def begun(project, *names: str) -> None:
    """Wait until probes run."""
    ends = time.monotonic() + 30
    while not all((project.path / f"begun-{name}").exists() for name in names):
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.parametrize("how", ["file", "signal"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_stop_ends_a_run(project, how: str, workers: int):
    project.suite(SUITE)
    more = ["-n", str(workers)] if workers else []
    process = project.start("--inventory", "prod", "-m", "phase2", *more)
    begun(project, *(["users"] if not workers else ["users", "alerts"]))
    stop = project.out / "STOP"
    if how == "file":
        stop.write_text("the deployment lead\n")
    else:
        os.kill(process.pid, signal.SIGUSR1)
    text, _ = process.communicate(timeout=60)
    lines = [json.loads(line) for line in (project.out / "journal.jsonl").read_text().splitlines()]
    (entry,) = [entry for line in lines if line["kind"] == "spent" for entry in line["entries"]]
    assert entry["ended"] == ["stopped"]
    assert entry["stop_s"] <= 1.0
    assert process.returncode == 21, text
    assert f"kill -USR1 {process.pid}" in text
    assert f"touch {stop}" in text
    for item in ("b.tables", "b.notes"):
        assert project.verdict(item) == "inconclusive"
        assert f"stopped by the stop file {stop}" in project.reason(item)
    assert ("the deployment lead" if how == "file" else "signal SIGUSR1") in project.reason("b.tables")
    left = [path.name for path in project.out.iterdir() if path.name.startswith(".spent")]
    assert left == []


def test_a_stop_file_that_is_there_lets_nothing_begin(project):
    project.suite(SUITE)
    project.out.mkdir(parents=True)
    (project.out / "STOP").touch()
    ran = project.run_process("-m", "phase2")
    assert ran.code == 21
    assert project.verdict("b.migrations") == "inconclusive"
    assert "remove it and run again" in project.reason("b.migrations")
    assert not Path(project.path / "begun-users").exists()


def test_a_budget_that_is_used_up_is_inconclusive(project):
    project.suite(
        """
        @pytest.mark.item("b.tables")
        def test_tables(gate, budget):
            with budget.probe("corpus", unwatched="a test") as spending:
                for _ in range(20_000):
                    spending.take(opens=0)
            says(gate)
        """
    )
    project.run("-m", "phase2")
    assert project.verdict("b.tables") == "inconclusive"
    assert "corpus of b.tables was ended: the 10 000 requests of its budget are used up" in project.reason(
        "b.tables"
    )


def test_no_thread_of_ours_goes_on_after_a_run(project):
    project.suite(SUITE.replace("time.sleep(60)", "pass").replace("time.sleep(2)", "pass"))
    project.run("-m", "phase2")
    time.sleep(0.3)
    assert "stopping" not in [thread.name for thread in threading.enumerate()]


def test_a_new_journal_does_not_lift_the_stop(project):
    project.suite(SUITE.replace("time.sleep(60)", "pass").replace("time.sleep(2)", "pass"))
    project.run("-m", "phase2")
    (project.out / "STOP").touch()
    project.run("-m", "phase2", "--fresh")
    assert project.verdict("b.migrations") == "inconclusive"
    assert (project.out / "STOP").exists()


def test_another_handler_of_the_signal_is_back_after_a_run(project):
    def mine(_number: int, _frame: object) -> None:
        """Somebody else's."""

    before = signal.signal(signal.SIGUSR1, mine)
    try:
        project.suite(SUITE.replace("time.sleep(60)", "pass").replace("time.sleep(2)", "pass"))
        project.run("-m", "phase2")
        assert signal.getsignal(signal.SIGUSR1) is mine
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_what_an_ended_test_held_does_not_change_the_exit_code(project):
    """An ending strikes anywhere, also between a socket and its `with`. Where warnings are errors, pytest ended with 1."""
    project.suite(
        "import socket, time\n"
        '@pytest.mark.item("b.migrations")\n'
        "def test_migrations(gate):\n"
        "    held = [socket.socket()]\n"
        "    held.append(held)\n"
        "    open('begun-users', 'w').close()\n"
        "    time.sleep(60)\n"
    )
    process = project.start(
        "--inventory", "prod", "--items", "b.migrations", "-W", "error", "-p", "no:cacheprovider"
    )
    begun(project, "users")
    os.kill(process.pid, signal.SIGUSR1)
    text, _ = process.communicate(timeout=60)
    assert "Traceback" not in text
    assert process.returncode == 21, text
