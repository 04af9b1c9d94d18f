"""The story of a rollback on real servers: version 2 goes live, breaks, the gate says ROLLBACK, and it is gone back.

Every decision is made by the commands that people use (`pytest`, `deploygate decide`, `deploygate rollback`), run as
they would run them; what they said is in `story.log`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from pytest_deploygate.inventory import loader
from pytest_deploygate.lab import disturbance, releases, up, users
from pytest_deploygate.lab.app import NEW_REPLICAS, NEW_VERSION, OLD_VERSION
from pytest_deploygate.lab.services import front
from pytest_deploygate.lab.state import HOST, Lab, LabError
from pytest_deploygate.lab.users import Users

BEFORE, CHANGE = "version-1", "version-2"
ITEM = "crit.p50"
#: What is wrong with version 2: every request takes so much longer.
_DELAY_S = 0.4
#: The story's load: it shares the machine with its users, two versions and a restore. Text of the inventory, and what for.
_LIGHTER = {"peak_per_second: 400": "peak_per_second: 60", "duration: 10s": "duration: 6s"}
_BOUND_S = 300.0
_GO, _HOLD_FAILED, _ROLLBACK, _BACK = 0, 1, 22, 23
_NOT_KNOWN, _MEASURED_AGAIN = 21, 4


@dataclass(slots=True)
class Telling:
    """Prints the story, a line a thing that happened with the time since its begin, and runs its commands."""

    root: Path
    inventory: str
    out: Path
    console: Console = field(default_factory=lambda: Console(highlight=False))
    began: float = field(default_factory=time.monotonic)

    def say(self, text: str, style: str = "") -> None:
        """Print a line."""
        passed = int(time.monotonic() - self.began)
        self.console.print(
            f"{passed // 60:2}:{passed % 60:02}  {text}", style=style, markup=False, soft_wrap=True
        )

    def detail(self, text: str) -> None:
        """Print a line that belongs to the one before."""
        self.console.print(f"       {text}", style="dim", markup=False, soft_wrap=True)

    def run(self, words: Sequence[str], *expected: int) -> int:
        """Run a command of ours and return its exit code. Raises LabError where that is not one of those expected."""
        command = [sys.executable, "-m", *words]
        env = os.environ | {"NO_COLOR": "1", "COLUMNS": "150"}
        done = subprocess.run(
            command, cwd=self.root, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=_BOUND_S, check=False,
        )  # fmt: skip
        with (self.out / "story.log").open("a") as log:
            log.write(f"$ {shlex.join(words)}\n{done.stdout}\n(exit code {done.returncode})\n\n")
        if done.returncode not in expected:
            last = "\n".join(done.stdout.strip().splitlines()[-25:])
            raise LabError(
                f"`{shlex.join(words)}` ended with {done.returncode}, the story expects {expected[0]}:\n{last}"
            )
        return done.returncode

    def follow(self, words: Sequence[str], expected: int) -> None:
        """Run a rollback and tell each of its steps as it ends. Raises LabError where it ends otherwise than expected."""
        command, said = [sys.executable, "-m", *words], []
        env = os.environ | {"NO_COLOR": "1", "COLUMNS": "150"}
        with (
            (self.out / "story.log").open("a") as log,
            subprocess.Popen(
                command, cwd=self.root, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True,
            ) as process,
        ):  # fmt: skip
            log.write(f"$ {shlex.join(words)}\n")
            for line in process.stdout or ():
                log.write(line)
                said.append(line.rstrip())
                if done := re.match(r"  (.+?): done: (.*)", line):
                    self.say(f"  ✓ {done[1]}: {_short(done[2])}")
            code = process.wait()
            log.write(f"(exit code {code})\n\n")
        if code != expected:
            last = "\n".join(said[-25:])
            raise LabError(f"`{shlex.join(words)}` ended with {code}, the story expects {expected}:\n{last}")

    def gate(self, change: str, expected: int) -> list[str]:
        """Run the gate on the story's items; return the decision and its reasons."""
        words = ["pytest", f"--items={ITEM}", f"--inventory={self.inventory}", f"--change={change}"]
        words += [f"--deploygate-out={self.out / change}", "-q"]
        for _ in range(_MEASURED_AGAIN):
            if self.run(words, expected, _NOT_KNOWN) == expected:
                break
            self.detail("the gate cannot tell: this machine is too busy to measure response times; once more")
        else:
            self.run(words, expected)
        return self.decision(change)

    def decision(self, change: str) -> list[str]:
        """Return what was decided last, and why."""
        found = json.loads((self.out / change / "verdicts.json").read_text())
        return [found["decision"]["outcome"], *(rule["because"] for rule in found["decision"]["rules"][:2])]


def tell(folder: Path, root: Path, inventory: str, *, keep: bool) -> None:
    """Tell the story on the lab in `folder`, which is started where it does not run. Raises LabError."""
    out = root / "deploygate-out" / "story"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    telling = Telling(root, _inventory(root, inventory, out), out)
    telling.console.print(
        f"A rollback on real servers. Commands and their output: {out / 'story.log'}",
        style="bold",
        soft_wrap=True,
    )
    lab = _lab(telling, folder)
    try:
        _go_live(telling, lab)
        _roll_back(telling, lab)
    finally:
        if not keep:
            releases.forget(lab)
    if not keep:
        telling.say("the lab is as it was before the story")
    telling.say("for the change ticket:", "bold")
    telling.console.print(f"       {out / CHANGE / 'signoff.html'}", soft_wrap=True, markup=False)


def _inventory(root: Path, name: str, out: Path) -> str:
    """Write the inventory with a lighter load into the story's folder; return its path. Raises LabError."""
    try:
        file = loader.locate(name, root)
        text = file.read_text()
    except (loader.InventoryError, OSError) as error:
        raise LabError(str(error)) from None
    for given, lighter in _LIGHTER.items():
        text = text.replace(given, lighter)
    text = text.replace("snapshot: lab.tables.json", f"snapshot: {file.resolve().parent / 'lab.tables.json'}")
    (out / "lab.yml").write_text(text)
    return str(out / "lab.yml")


def _lab(telling: Telling, folder: Path) -> Lab:
    if not (folder / "state.json").exists():
        telling.say("the lab does not run: starting it (half a minute)")
    # The drills of `lab up` are no part of the story.
    lab, _ = up.up(folder, lambda _what, _seconds: None)
    if lab.faults():
        raise LabError(f"the lab is broken by {', '.join(lab.faults())}: `deploygate lab heal` first")
    if releases.cutover_file(lab).exists():
        telling.say("an earlier story is still in the lab: clearing it away")
        releases.forget(lab)
    return lab


def _go_live(telling: Telling, lab: Lab) -> None:
    """Measure a baseline with version 1, deploy version 2, let it break, and have the gate say ROLLBACK."""
    releases.start_before(lab)
    telling.say(f"version {OLD_VERSION} serves users at {front.OLD_HOST}; the gate measures the baseline")
    telling.detail(
        f"{telling.gate(BEFORE, _GO)[0]}: {ITEM} (median response time) is green before the change"
    )
    with Users(lab) as busy:
        releases.deploy_new(lab, CHANGE)
        telling.say(
            f"version {NEW_VERSION} is deployed: restore point {releases.point(CHANGE)}, migration, HAProxy, DNS to {HOST}"
        )
        disturbance.write(lab, {name: {"delay_s": _DELAY_S} for name in NEW_REPLICAS})
        telling.say(
            f"users write to it; a fault appears: every request takes {_DELAY_S * 1000:.0f} ms longer"
        )
        telling.say("the gate measures")
        _decided(telling, telling.gate(CHANGE, _HOLD_FAILED))
        telling.say("an incident is open, 15 minutes to decide; what is red is measured again")
        _decided(telling, telling.gate(CHANGE, _ROLLBACK))
        telling.detail(f"users wrote {busy.accepted.get(HOST, 0)} readings to version 2 so far")
        reason = "users wait too long for everything, and the gate advises it"
        words = ["decide", "rollback", "--role=deployment-lead", "--name=the lab's deployment lead"]
        words.append(f"--reason={reason}")
        telling.run(["pytest_deploygate", *words, *_of(telling)], _ROLLBACK)
        telling.say("the deployment lead decides: ROLLBACK; the executive sponsor answers for what is lost")


def _short(text: str, most: int = 110) -> str:
    return text if len(text) <= most else f"{text[:most].rpartition(' ')[0]} …"


def _of(telling: Telling) -> list[str]:
    return [f"--change={CHANGE}", f"--out={telling.out / CHANGE}"]


def _decided(telling: Telling, said: Sequence[str]) -> None:
    telling.say(said[0], "bold red" if said[0] == "ROLLBACK" else "bold yellow")
    for reason in said[1:]:
        telling.detail(reason)


def _roll_back(telling: Telling, lab: Lab) -> None:
    """Go the runbook, look where users are afterwards, and write what follows."""
    began = time.monotonic()
    words = ["rollback", "--execute", "--confirm=lab", f"--inventory={telling.inventory}", *_of(telling)]
    words += ["--accept-loss", "--role=executive-sponsor", "--name=the lab's executive sponsor"]
    telling.follow(["pytest_deploygate", *words], _BACK)
    address = users.where(lab)
    version = users.version(lab, address)
    if version != OLD_VERSION:
        raise LabError(f"users are led to {address} and meet {version}, not version {OLD_VERSION}")
    took = time.monotonic() - began
    telling.say(
        f"ROLLED BACK and verified in {took:.0f} s: users are at {address}, on version {version}",
        "bold green",
    )
    retry = f"--retry={datetime.now(UTC) + timedelta(days=7):%Y-%m-%dT20:00Z}"
    after = ["rollback", "--after", retry, f"--inventory={telling.inventory}", *_of(telling)]
    telling.run(["pytest_deploygate", *after], _GO)
