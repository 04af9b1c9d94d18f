"""Kill runs and commands at random moments, then look at what is left: `python benchmarks/kills.py 1000`.

One change goes from its first phase to rolled back and followed up. Each kill starts one of its commands on the folder as the
commands before it left it, sends SIGKILL after a random part of the time that it takes, and then verifies the folder.
Where that does not verify, the command that `verify` names is run, up to four of them. Counted are journals that cannot be
read, and folders that no documented command finishes. Needs ssh-keygen. The kills so far are in `--work DIR`: the same
command line continues after an interruption.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from pytest_deploygate import journal
from pytest_deploygate.signoff.verify import verify

SEED = 16
CHANGE = "C1"
#: How many commands may follow each other until the folder verifies.
MOST = 4
CHECKLIST = """\
# Release

## Database {#phase2}
- [ ] One {#phase2.one .automated}
- [ ] Two {#phase2.two .automated}
- [ ] Three {#phase2.three .automated}
- [ ] Four {#phase2.four .automated}

## Go-live {#golive}
- [ ] Errors {#golive.errors .automated .critical}

## Sign-off
- [ ] Deployment lead
"""
SUITE = """
import time
from pathlib import Path
import pytest
from pytest_deploygate.model import Judgement, Verdict

VERSION = Path(__file__).parents[1] / "version"

def judge(measured, wanted):
    return Judgement(Verdict.PASS if measured == wanted else Verdict.FAIL, f"it is {measured}", confirmed=True)

@pytest.mark.item("golive.errors")
def test_errors(gate):
    gate.judge(judge, VERSION.read_text().strip(), "1")
""" + "".join(
    f"""
@pytest.mark.item("phase2.{name}")
@pytest.mark.parametrize("target", ["a", "b"])
def test_{name}(gate, target):
    time.sleep(0.01)
    gate.judge(judge, {number}, {number})
"""
    for number, name in enumerate(("one", "two", "three", "four"))
)
INVENTORY = """\
name: prod
rollback:
  baseline: before
  old_side: [{{name: old balancer, tcp: "127.0.0.1:{port}"}}]
  controls:
    - {{name: clock, tcp: "127.0.0.1:{port}"}}
    - {{name: mirror, tcp: "127.0.0.1:{port}"}}
  steps:
    - name: maintenance page on
      run: touch maintenance
      dry_run: echo would touch maintenance
      idempotent: true
      verify: {{run: test -e maintenance, within: 1s}}
    - name: version 1 back
      run: "echo 1 > version"
      dry_run: echo would write 1 to version
      idempotent: true
      verify: {{run: grep -q 1 version, within: 1s}}
"""
_PYTEST = ("pytest", "--inventory", "prod", "-p", "no:cacheprovider", "--change", CHANGE)
_OF = ("--change", CHANGE)
_SIGN = (
    "deploygate",
    "sign",
    "--role",
    "deployment-lead",
    "--key",
    "lead",
    "--name",
    "Deployment lead",
    *_OF,
)
#: The commands of a change, in order.
STORY: dict[str, tuple[str, ...]] = {
    "run": (*_PYTEST, "-m", "phase2"),
    "sign": _SIGN,
    "resume": (*_PYTEST, "-m", "phase2", "--resume"),
    "run of go-live": (*_PYTEST, "-m", "golive"),
    "decide": ("deploygate", "decide", *_OF),
    "decide rollback": (
        *("deploygate", "decide", "rollback", "--role", "deployment-lead", "--reason", "errors for all"),
        *("--key", "lead", *_OF),
    ),
    "rollback execute": ("deploygate", "rollback", "execute", "--confirm", "prod", *_OF),
    "sign again": (*_SIGN, "--reason", "seen, it went back"),
    "report": ("deploygate", "report", *_OF),
    "outcome": ("deploygate", "outcome", *_OF),
    "rollback after": ("deploygate", "rollback", "after", "--done", *_OF),
}
#: Forks a process for each line (the words of a command) with all modules loaded, so that kills hit the command itself.
SERVER = """
import importlib, json, os, pkgutil, sys
import pytest
import pytest_deploygate.session.hooks, pytest_deploygate.session.incident_actions, pytest_deploygate.report.results
import pytest_deploygate.rollback.finishing, pytest_deploygate.session.sign_off
from pytest_deploygate.cli import main
import pytest_deploygate.cli.commands as commands
for found in pkgutil.walk_packages(commands.__path__, "pytest_deploygate.cli.commands."):
    if ".lab" not in found.name:
        importlib.import_module(found.name)
said = os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    program, *words = json.loads(line)
    pid = os.fork()
    if not pid:
        told = os.open("told", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0), os.dup2(told, 1), os.dup2(told, 2)
        code = 70
        try:
            code = int(pytest.main(words)) if program == "pytest" else main(words, prog_name=program)
        except SystemExit as ended:
            code = ended.code
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code or 0)
    print(pid, file=said, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=said, flush=True)
"""


class Place:
    """The project, its server of forks, and the folder of the change as each command of the story found it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.out = self.folder / "deploygate-out" / CHANGE
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        self._write()
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _accept(self) -> None:
        while True:
            self._listening.accept()[0].close()

    def _write(self) -> None:
        shutil.rmtree(self.folder.parent / "project", ignore_errors=True)
        shutil.rmtree(self.folder.parent / "before", ignore_errors=True)
        for name in ("suites", "inventories"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "pytest.ini").write_text("[pytest]\ntestpaths = suites\n")
        (self.folder / "suites" / "checklist.md").write_text(CHECKLIST)
        (self.folder / "suites" / "test_small.py").write_text(SUITE)
        port = self._listening.getsockname()[1]
        (self.folder / "inventories" / "prod.yml").write_text(INVENTORY.format(port=port))
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "lead"]
        subprocess.run(key, cwd=self.folder, check=True)
        public = " ".join((self.folder / "lead.pub").read_text().split()[:2])
        spaces = 'namespaces="deploygate-signoff,deploygate-decision"'
        (self.folder / "allowed_signers").write_text(f"deployment-lead {spaces} {public}\n")

    def run(self, words: tuple[str, ...], kill_after_s: float | None = None) -> int:
        """Run a command, killed after a while or not; return its exit code, -9 if the kill was in time."""
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(json.dumps(words) + "\n")
        self._server.stdin.flush()
        pid = int(self._server.stdout.readline())
        if kill_after_s is not None and not select.select([self._server.stdout], [], [], kill_after_s)[0]:
            with contextlib.suppress(ProcessLookupError):  # it ended at this moment
                os.kill(pid, signal.SIGKILL)
        return int(self._server.stdout.readline())

    def said(self) -> str:
        """Return what the last command printed."""
        return (self.folder / "told").read_text(errors="replace")

    def live(self) -> dict[str, float]:
        """Live the story once, keep the state before each command, and return how long each takes in seconds."""
        (self.folder / "version").write_text("1\n")
        self.run((*_PYTEST[:-1], "before", "-m", "golive"))
        (self.folder / "version").write_text("2\n")
        took = {}
        for name, words in STORY.items():
            self._keep(name)
            began = time.monotonic()
            code = self.run(words)
            took[name] = time.monotonic() - began
            if name not in ("run of go-live", "outcome") and code not in (0, 22, 23):
                raise SystemExit(f"{name} ends with {code}: {self.said()}")
        return took

    def _keep(self, name: str) -> None:
        there = self.folder.parent / "before" / name
        there.mkdir(parents=True)
        for part in ("deploygate-out", "version", "maintenance"):
            if (one := self.folder / part).is_dir():
                shutil.copytree(one, there / part)
            elif one.exists():
                shutil.copy2(one, there / part)

    def put_back(self, name: str) -> None:
        """Put the project into the state in which a command of the story finds it."""
        shutil.rmtree(self.folder / "deploygate-out", ignore_errors=True)
        for part in ("version", "maintenance"):
            (self.folder / part).unlink(missing_ok=True)
        shutil.copytree(self.folder.parent / "before" / name, self.folder, dirs_exist_ok=True)

    def wrong(self) -> list[str]:
        """Return what does not verify in the record; that nobody signed is not counted."""
        if not self.out.exists():
            return []  # nothing was begun
        found = verify(self.out, self.folder / "allowed_signers", root=self.folder, change=CHANGE)
        return [check.text for check in found.checks if check.ok is False and check.code == 25]

    def close(self) -> None:
        """End the server."""
        self._server.communicate(timeout=60)


def kill(place: Place, name: str, after_s: float) -> dict[str, Any]:
    """Kill one command and bring its folder in order; return what was seen."""
    place.put_back(name)
    code = place.run(STORY[name], after_s)
    seen: dict[str, Any] = {
        "command": name,
        "after_s": round(after_s, 4),
        "killed": code == -9,
        "journal": "",
    }
    try:
        journal.read(place.out)
    except journal.JournalError as error:
        seen["journal"] = str(error)
    wrong = place.wrong()
    seen["wrong"], seen["by"] = wrong[:1], []
    while wrong and len(seen["by"]) < MOST:
        named = re.findall(r"`((?:deploygate|pytest) [^`]*)`", " ".join(wrong))
        if not named:
            break
        words = shlex.split(named[0])
        words += ["-p", "no:cacheprovider"] if words[0] == "pytest" else []
        ended = place.run(tuple(words))
        seen["by"].append(f"{named[0]} ({ended})")
        wrong = place.wrong()
    seen["stuck"] = wrong
    if not wrong and name.startswith("sign"):
        place.run(STORY[name])
        found = verify(place.out, place.folder / "allowed_signers", root=place.folder, change=CHANGE)
        seen["stuck"] = [] if found.ok else [f"it cannot be signed: {place.said()[-300:]}"]
    elif not wrong and place.out.exists():
        ended = place.run(STORY["outcome"])
        decided = json.loads((place.out / "verdicts.json").read_text())["decision"]
        if ended != decided["exit_code"]:
            seen["stuck"] = [f"outcome says {ended}, verdicts.json {decided['exit_code']}"]
    return seen


def table(kills: list[dict[str, Any]]) -> None:
    """Print one line for each command, and what is wrong."""
    print(
        "| command | kills | did not verify | finished by the command named | bad journals | not finished |"
    )
    print("|---|---|---|---|---|---|")
    by: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in kills:
        for name in (one["command"], "all"):
            by[name] += Counter(
                kills=1,
                wrong=bool(one["wrong"]),
                finished=bool(one["wrong"] and not one["stuck"]),
                bad=bool(one["journal"]),
                stuck=bool(one["stuck"]),
            )
    for name in [*STORY, "all"]:
        n = by[name]
        print(f"| {name} | {n['kills']} | {n['wrong']} | {n['finished']} | {n['bad']} | {n['stuck']} |")
    for one in kills:
        if one["journal"] or one["stuck"]:
            print(json.dumps(one))


def main() -> None:
    """Kill until the number is reached, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("number", type=int)
    parser.add_argument("--work", type=Path, default=Path("/var/tmp/deploygate-kills"))
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    record = given.work / "kills.jsonl"
    lines = record.read_text().splitlines() if record.exists() else []
    kills = [one for one in map(json.loads, lines) if one["killed"]]
    if len(kills) < given.number:
        place = Place(given.work)
        took = place.live()
        print({name: round(seconds, 2) for name, seconds in took.items()}, flush=True)
        tries = len(lines)
        while len(kills) < given.number:
            rng = random.Random(f"{SEED}-{tries}")
            tries += 1
            name = rng.choice(list(STORY))
            one = kill(place, name, rng.random() * took[name])
            with record.open("a") as file:
                file.write(json.dumps(one) + "\n")
            kills += [one] if one["killed"] else []
        place.close()
    table(kills)


if __name__ == "__main__":
    main()
