"""`deploygate decide --wait`: a live clock that acts when it runs out, and measures again meanwhile if asked to."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live

from pytest_deploygate.cli.commands.decide import assess
from pytest_deploygate.cli.commands.rollback.execute import execute_decided
from pytest_deploygate.cli.shared import changes, journals
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.cli.show.incident import clock, line
from pytest_deploygate.decision.incidents import Event, State, What
from pytest_deploygate.rollback import situation
from pytest_deploygate.rollback.situation import Now

_TICK_S = 1.0
#: States in which the clock of a decision runs.
_ASKED = (State.ASSESSING, State.FIXING, State.RERUNNING, State.HELD)


def wait(folder: Path, change: str, every_s: float | None) -> None:
    """Draw the clock until somebody decides or it runs out; then record what the policy says, and do it.

    With `every_s` the red items are measured again at that interval, so that a change for the worse is acted on. If the
    policy executes at the deadline, the rollback starts here, and the exit code is the rollback's.
    """
    console = Console(highlight=False)
    measuring = _Measuring(folder, change, every_s)
    acted: list[Event] = []
    try:
        with Live(console=console, refresh_per_second=2, transient=True) as live:
            while True:
                found, new = _tick(folder)
                acted += new
                for event in new:
                    console.print(line(event), soft_wrap=True)
                if found.incident is None or found.incident.state not in _ASKED:
                    break
                live.update(clock(found.incident))
                if said := measuring.step():
                    console.print(said, markup=False)
                time.sleep(_TICK_S)
    finally:
        measuring.end()
    if any(event.what is What.DECIDED for event in acted):
        console.print("the policy executes at the deadline: rolling back now")
        execute_decided(folder)


def _tick(folder: Path) -> tuple[Now, list[Event]]:
    """Record what is due and read the state of the incident; while a run holds the journal, only read."""
    try:
        with changes.writing(folder) as writer:
            due = changes.act_on_clocks(writer, folder)
            return situation.now(writer.entries), due
    except Refused:  # a run holds the journal
        entries = journals.read(folder)
        with journals.plainly():
            return situation.now(entries), []


class _Measuring:
    """The red items, measured again at an interval in a process of its own; at most one at a time."""

    def __init__(self, folder: Path, change: str, every_s: float | None) -> None:
        self._folder, self._change, self._every_s = folder, change, every_s
        self._next = time.monotonic() + (every_s or 0.0)
        self._run: subprocess.Popen[bytes] | None = None

    def step(self) -> str:
        """Start a run if it is due, and return once how the last one ended."""
        if self._run is not None:
            code = self._run.poll()
            if code is None:
                return ""
            self._run = None
            return f"  measured again: exit code {code}"
        if self._every_s is not None and time.monotonic() >= self._next:
            self._next = time.monotonic() + self._every_s
            self._run = assess.begin_rerun(self._folder, self._change)
        return ""

    def end(self) -> None:
        """Let a run that is under way finish: a journal segment without an end says less."""
        if self._run is not None:
            try:
                self._run.wait(assess.BOUND_S)
            except subprocess.TimeoutExpired:
                self._run.kill()
