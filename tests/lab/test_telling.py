"""The story's output: each long wait says what it waits for."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from pytest_deploygate.lab import story, telling
from pytest_deploygate.lab.state import LabError
from pytest_deploygate.lab.telling import Telling


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Telling:
    monkeypatch.setattr(telling, "_SAID_AFTER_S", 0.05)
    return Telling(tmp_path, "lab", tmp_path, Console(file=io.StringIO(), width=200))


def lines(told: Telling) -> list[str]:
    return told.console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_a_long_wait_is_said_and_a_short_one_is_not(told: Telling) -> None:
    with told.waiting("nothing"):
        pass
    assert lines(told) == []
    with told.waiting("the first replica") as wait:
        until = time.monotonic() + 10
        while not lines(told) and time.monotonic() < until:
            time.sleep(0.01)
        wait.what = "the second replica"
        while "second" not in lines(told)[-1] and time.monotonic() < until:
            time.sleep(0.01)
    assert "waiting for the first replica" in lines(told)[0]
    assert "waiting for the second replica" in lines(told)[-1]


def test_a_wait_for_a_command_names_the_command(told: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollback's wait names the step that has begun."""
    monkeypatch.setenv("PYTHONPATH", str(told.root))
    (told.root / "pytest_deploygate.py").write_text(
        "import time\nprint('  database back: begun', flush=True)\ntime.sleep(1)\n"
        "print('  database back: done: restored', flush=True)\n"
    )
    told.follow(["pytest_deploygate", "rollback", "execute"], 0)
    said = "\n".join(lines(told))
    assert "waiting for the step database back" in said
    assert "✓ database back" in said


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["pytest", "--items=crit.p50", "-q"], "the gate to measure crit.p50"),
        (["pytest_deploygate", "decide", "rollback"], "`deploygate decide`"),
        (["pytest_deploygate", "rollback", "after"], "`deploygate rollback after`"),
    ],
)
def test_commands_as_waits_describe_them(words: list[str], named: str) -> None:
    assert telling._named(words) == named


@pytest.fixture
def gated(told: Telling, tmp_path: Path) -> Telling:
    """A story whose inventory has nothing to measure: the gate is HOLD with exit code 21."""
    (tmp_path / "here.yml").write_text("name: here\n")
    told.inventory = str(tmp_path / "here.yml")
    told.out = tmp_path / "story"
    told.out.mkdir()
    told.root = story.project(told.out)
    return told


def test_what_is_around_the_storys_folder_is_not_collected(gated: Telling) -> None:
    """A story told in /tmp ended with exit code 0 and no verdict: a test of somebody else there ended the process."""
    other = gated.root.parent / "other"
    other.mkdir()
    (other / "conftest.py").write_text("import os\nos._exit(0)\n")
    (other / "test_other.py").write_text(
        "import pytest\n@pytest.mark.item('crit.p50')\ndef test_other(gate): pass\n"
    )
    (gated.root / "secrets.py").write_text("raise SystemExit(0)\n")  # a name of Python's
    decision, *reasons = gated.gate("local", "crit.p50", 21)
    assert decision == "HOLD"
    assert "crit.p50" in " ".join(reasons)


@pytest.mark.parametrize("code", [0, 21])
def test_a_run_that_ended_without_a_decision_is_said(gated: Telling, code: int) -> None:
    """No traceback: what the run printed last, its exit code, and where the log is."""
    (gated.out / "conftest.py").write_text(
        f"import os\ndef pytest_sessionstart():\n    os.write(1, b'that was all')\n    os._exit({code})\n"
    )
    with pytest.raises(LabError) as caught:
        gated.gate("local", "crit.p50", code)
    said = str(caught.value)
    assert f"ended with exit code {code}, but its journal in {gated.out / 'local'} gives 25" in said
    assert "It printed last:\nthat was all" in said
    assert str(gated.out / "story.log") in said


def test_an_unexpected_end_says_what_was_printed_last(gated: Telling) -> None:
    (gated.out / "conftest.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    with pytest.raises(LabError, match=r"(?s)was ended by SIGKILL, the story expects 0\. It printed nothing"):
        gated.gate("local", "crit.p50", 0)


def test_two_stories_are_not_told_in_one_folder(tmp_path: Path) -> None:
    """The second one would take away what the first one records: its run would end with exit code 25."""
    (tmp_path / "old").mkdir()
    with story._empty(tmp_path):
        assert list(tmp_path.iterdir()) == []
        (tmp_path / "journal.jsonl").touch()
        with pytest.raises(LabError, match="another story is being told in"), story._empty(tmp_path):
            pass
        assert (tmp_path / "journal.jsonl").exists()
