"""The trial of the stop, and the look for what restores left, on this machine."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pytest_deploygate.checks.blast_radius import judge, probe
from pytest_deploygate.checks.blast_radius.probe import waiting
from pytest_deploygate.clients.host.place import Place
from pytest_deploygate.model import Verdict


def test_a_stop_is_tried_in_every_way_of_waiting(tmp_path: Path):
    found = probe.try_stop(tmp_path)
    assert {tried.waited_in for tried in found.tried} == {*waiting.WAYS}
    assert judge.judge_stop(found, judge.Ends()).verdict is Verdict.PASS
    assert [*tmp_path.iterdir()] == []


def test_a_folder_without_a_stop_file_is_unknown(tmp_path: Path):
    found = probe.try_stop(tmp_path / "gone")
    assert "the stop was not tried" in found.problem
    assert judge.judge_stop(found, judge.Ends()).verdict is Verdict.INCONCLUSIVE


def test_a_stop_that_is_seen_late_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As on a file system that shows a new file only after seconds."""
    module = tmp_path / "late.py"
    module.write_text(
        "import sys\nfrom pathlib import Path\nfrom pytest_deploygate.clients import stopping\n"
        "stopping.POLL_S = 2.0\nfrom pytest_deploygate.checks.blast_radius.probe import waiting\nwaiting.main(Path(sys.argv[-1]))\n"
    )
    from pytest_deploygate.checks.blast_radius.probe import stop

    real = stop.subprocess.Popen
    monkeypatch.setattr(
        stop.subprocess, "Popen", lambda command, **how: real([command[0], str(module), command[-1]], **how)
    )
    verdict = judge.judge_stop(probe.try_stop(tmp_path), judge.Ends())
    assert verdict.verdict is Verdict.FAIL
    assert "1 s are allowed" in verdict.reason


def test_folders_of_restores_that_did_not_end_are_found(tmp_path: Path):
    old, new, other = tmp_path / "dgr-1", tmp_path / "dgr-2", tmp_path / "mine"
    for folder in (old, new, other):
        folder.mkdir()
    then = time.time() - 3600
    os.utime(old, (then, then))
    (trace,) = probe.traces(None, (Place("local://", None), tmp_path))
    assert trace.place == f"{tmp_path} on this host"
    (left,) = trace.left
    assert left.startswith(f"{old} of a restore that did not end is left")


def test_nowhere_to_write_is_nothing_left():
    assert probe.traces(None, None) == ()
