"""The story's output: each long wait says what it waits for."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from pytest_deploygate.lab import telling
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
        while len(lines(told)) < 2 and time.monotonic() < until:
            time.sleep(0.01)
    assert "waiting for the first replica" in lines(told)[0]
    assert "waiting for the second replica" in lines(told)[1]


def test_a_wait_for_a_command_names_the_command(told: Telling) -> None:
    """A rollback's wait names the step that has begun."""
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
