"""Output of the story: lines with the time since its start, and our commands run as people would run them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from datetime import datetime
from pathlib import Path
from typing import TextIO

from rich.console import Console

from pytest_deploygate.journal import utcnow
from pytest_deploygate.lab.state import LabError
from pytest_deploygate.lazy import dataclass

_BOUND_S = 300.0
_NOT_KNOWN, _MEASURED_AGAIN = 21, 4
_PATIENCE_S = 30.0
_LAST_LINES = 25
#: A wait is said after this time, and again each time that it has become twice as long.
_SAID_AFTER_S = 5.0


@dataclass(frozen=True)
class Kill:
    """Where a rollback is killed: after it printed `after`, as soon as `when` holds. `where` says that in words."""

    after: str
    where: str
    when: Callable[[], bool] = lambda: True

    def wait(self) -> None:
        """Wait for the moment, but not forever."""
        deadline = time.monotonic() + _PATIENCE_S
        while not self.when() and time.monotonic() < deadline:
            time.sleep(0.005)


@dataclass()
class Waiting:
    """What is being waited for now, and whether that is over."""

    what: str
    over: threading.Event = field(default_factory=threading.Event)


@dataclass()
class Telling:
    """Prints the story, one line per event with the time since its start, and runs its commands."""

    root: Path
    inventory: str
    out: Path
    console: Console = field(default_factory=lambda: Console(highlight=False))
    began: float = field(default_factory=time.monotonic)
    lab: Path | None = None  # its folder; None: where commands look for it

    def say(self, text: str, style: str = "") -> None:
        """Print a line."""
        passed = int(time.monotonic() - self.began)
        clock = f"{passed // 60:2}:{passed % 60:02}"
        self.console.print(f"{clock}  {text}", style=style, markup=False, soft_wrap=True)

    def detail(self, text: str) -> None:
        """Print a line that belongs to the previous one."""
        self.console.print(f"       {text}", style="dim", markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[Waiting]:
        """Say what the story waits for, if it takes longer than some seconds."""
        wait = Waiting(what)
        thread = threading.Thread(target=self._say_waiting, args=(wait,), daemon=True)
        thread.start()
        try:
            yield wait
        finally:
            wait.over.set()
            thread.join()

    def _say_waiting(self, wait: Waiting) -> None:
        began, pause = time.monotonic(), _SAID_AFTER_S
        while not wait.over.wait(began + pause - time.monotonic()):
            self.detail(f"waiting for {wait.what} ({pause:.0f} s)")
            pause *= 2

    def run(self, words: Sequence[str], *expected: int) -> int:
        """Run one of our commands and return its exit code. Raises LabError unless the code is expected."""
        code, said = self._ran(words)
        self._as_expected(words, code, expected, said)
        return code

    def _ran(self, words: Sequence[str]) -> tuple[int, list[str]]:
        """Run one of our commands; return its exit code and the lines that it printed."""
        with self._log(words) as log, self.waiting(_named(words)), self._begin(words) as process:
            bound = threading.Timer(_BOUND_S, process.kill)
            bound.start()
            said, _ = process.communicate()
            bound.cancel()
            log.write(f"{said}\n(exit code {process.returncode})\n\n")
        return process.returncode, said.splitlines()

    def follow(self, words: Sequence[str], expected: int, kills: Sequence[Kill] = ()) -> None:
        """Run a rollback and print each step as it ends; kill it where `kills` says so, and run it again.

        Raises LabError unless its last run ends as expected.
        """
        for kill in kills:
            self._followed(words, kill)
            self.say(f"  kill -9 {kill.where}; the same command again", "yellow")
        code, said = self._followed(words, None)
        self._as_expected(words, code, (expected,), said)

    def _followed(self, words: Sequence[str], kill: Kill | None) -> tuple[int, list[str]]:
        said: list[str] = []
        with (
            self._log(words) as log,
            self.waiting(_named(words)) as wait,
            self._begin(words) as process,
        ):
            bound = threading.Timer(_BOUND_S, process.kill)
            bound.start()
            for line in process.stdout or ():
                log.write(line)
                said.append(line.rstrip())
                if begun := re.match(r"  (.+?): begun", line):
                    wait.what = f"the step {begun[1]}"
                if done := re.match(r"  (.+?): done: (.*)", line):
                    self.say(f"  ✓ {done[1]}: {_short(done[2])}")
                if kill is not None and line.strip().startswith(kill.after):
                    kill.wait()
                    process.kill()
                    break
            code = process.wait()
            bound.cancel()
            log.write(f"(exit code {code})\n\n")
        if kill is not None and code >= 0:
            raise LabError(f"the rollback ended with {code} before it could be killed {kill.where}")
        return code, said

    def gate(self, change: str, item: str, expected: int) -> list[str]:
        """Run the gate on an item; return the decision and its reasons. Raises LabError for another outcome."""
        words = ["pytest", f"--items={item}", f"--inventory={self.inventory}", f"--change={change}"]
        words += [f"--deploygate-out={self.out / change}", "-q"]
        for _ in range(_MEASURED_AGAIN):
            began = utcnow()
            code, said = self._ran(words)
            if code != _NOT_KNOWN or expected == _NOT_KNOWN:
                break
            self.detail(
                "the gate is inconclusive: this machine is too busy to measure response times; trying again"
            )
        self._as_expected(words, code, (expected,), said)
        return self._recorded(change, began, expected, said)

    def _recorded(self, change: str, began: datetime, expected: int, said: Sequence[str]) -> list[str]:
        """Return what the journal says of a run since then: anything in its process can end it with any exit code."""
        words = ["pytest_deploygate", "outcome", f"--change={change}", f"--out={self.out / change}", "--json"]
        code, told = self._ran([*words, f"--since={began.isoformat()}"])
        try:
            found = json.loads("\n".join(told))
            reasons: list[str] = found["reasons"]
        except (ValueError, KeyError, TypeError):
            found, reasons = {}, told[-1:]
        if code != expected or not found.get("decision"):
            why = "; ".join(reasons) or "it began, and recorded no decision"
            raise LabError(
                f"the gate's run ended with exit code {expected}, but its journal in {self.out / change} gives {code}: "
                f"{why}.\n{self._last(said)}"
            )
        return [found["decision"], *reasons[:2]]

    def _log(self, words: Sequence[str]) -> TextIO:
        log = (self.out / "story.log").open("a")
        log.write(f"$ {shlex.join(words)}\n")
        log.flush()
        return log

    def _begin(self, words: Sequence[str]) -> subprocess.Popen[str]:
        # -P: a module in the folder must not take the place of one of ours or Python's.
        return subprocess.Popen(
            [sys.executable, "-P", "-m", *words],
            cwd=self.root,
            env=os.environ
            | {"NO_COLOR": "1", "COLUMNS": "150"}
            | ({"DEPLOYGATE_LAB": str(self.lab)} if self.lab else {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _as_expected(
        self, words: Sequence[str], code: int, expected: Sequence[int], said: Sequence[str]
    ) -> None:
        if code in expected:
            return
        ended = f"ended with {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
        raise LabError(f"`{shlex.join(words)}` {ended}, the story expects {expected[0]}. {self._last(said)}")

    def _last(self, said: Sequence[str]) -> str:
        """Return the last lines of what a command printed, and where all of it is."""
        last = "\n".join(said[-_LAST_LINES:]).strip()
        printed = f"It printed last:\n{last}" if last else "It printed nothing."
        return f"{printed}\nAll that was run and printed: {self.out / 'story.log'}"


def _short(text: str, most: int = 110) -> str:
    return text if len(text) <= most else f"{text[:most].rpartition(' ')[0]} …"


def _named(words: Sequence[str]) -> str:
    """Return what a command does, as a wait is described."""
    if words[0] == "pytest":
        return "the gate to measure " + next(word for word in words if word.startswith("--items="))[8:]
    return f"`deploygate {words[1]}{f' {words[2]}' if words[1] == 'rollback' else ''}`"
