"""Damage each value of each kind of journal line, and give it to every command that reads a journal.

    python benchmarks/damaged_journals.py
    python benchmarks/damaged_journals.py --cases 5000 --part 1/2 --seed 1

A change goes from its first phase to rolled back and followed up, with checkpoints, signatures, waivers, hooks and all kinds
of figures. From the journal after each of its commands, cases are made: one value is missing, has another type or size, is
nested, no time, or not UTF-8; a line is missing, twice, elsewhere or cut. Values are changed with the chain made again, as a
forger or another version would write it, so that nothing but the reading of the value is asked. Each case is given to one
command or run, in a fork with all modules loaded, on a copy of the folder. It must end with a documented exit code and a
sentence: no traceback, and nothing that takes longer than a minute. Where the chain was not made again, it must not end well.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import importlib
import itertools
import json
import os
import pkgutil
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pytest_deploygate.report.results
import pytest_deploygate.rollback.finishing
import pytest_deploygate.session.hooks
import pytest_deploygate.session.incident_actions
import pytest_deploygate.session.sign_off  # noqa: F401 (these are loaded before the forks)
from pytest_deploygate import journal
from pytest_deploygate.cli import commands
from pytest_deploygate.cli import main as deploygate
from pytest_deploygate.decision import condensed
from pytest_deploygate.journal.lines import own_digest, sealed

HANG_S = 60
CHANGE = "C1"
CHECKLIST = """\
# Release

## Database {#phase2}
- [ ] One {#phase2.one .automated}
- [ ] Two {#phase2.two .automated}
- [ ] Three {#phase2.three .automated .minor}
- [ ] Audit {#phase2.audit .manual}
- [ ] Later {#phase2.later .automated}

## Go-live {#golive}
- [ ] Errors {#golive.errors .automated .critical}

## Sign-off
- [ ] Deployment lead
- [ ] Technical lead
"""
SUITE = """
from pathlib import Path
import pytest
from pytest_deploygate.model import *
from pytest_deploygate.model import Line

VERSION = Path(__file__).parents[1] / "version"
FIGURES = (
    Distribution("p99", "s", ((0.1, 0.5), (0.2, 0.99), (0.4, 1.0)), 0.99, 0.3, 0.1, 0.3, 100),
    Series("lag", "s", (Line("db2", ((0.0, 1.0), (1.0, None), (2.0, 3.0))),), 5.0, "2026-11-29T10:00:00+00:00"),
    Spans("up", (("db1", ((0.0, 5.0, "up"), (5.0, 6.0, "down"))),), 10.0, "2026-11-29T10:00:00+00:00"),
)

def judge(measured, wanted):
    good = measured == wanted
    return Judgement(Verdict.PASS if good else Verdict.FAIL, f"it is {measured}", confirmed=True, notes=("a note",),
                     readings=(Reading("n", 1.5, "ms", "at most 2 ms", ok=good), Reading("words", "x")), figures=FIGURES)

@pytest.mark.item("golive.errors")
def test_errors(gate):
    gate.judge(judge, VERSION.read_text().strip(), "1")

@pytest.mark.item("phase2.one")
@pytest.mark.parametrize("target", ["a", "b"])
def test_one(gate, target):
    gate.judge(judge, 1, 1, target=target)

@pytest.mark.item("phase2.two")
def test_two(gate):
    gate.judge(judge, 1, 2)

@pytest.mark.item("phase2.three")
def test_three(gate):
    raise CannotTell("db1 cannot be accessed")

@pytest.mark.item("phase2.later")
def test_later(gate):
    gate.judge(lambda m, c: Judgement(Verdict.INCONCLUSIVE, "no rows yet", deferred_to="golive"), 1, 1)

def test_of_nobody():
    assert VERSION.exists() and 0
"""
HOOKS = """
def pytest_deploygate_classify(finding):
    return f"see the runbook of {finding.item}"

def pytest_deploygate_report_section():
    return "Flags", "new-checkout is on"

def pytest_deploygate_notify(event, text):
    raise RuntimeError("no route to host")

def pytest_deploygate_post_rollback(verified, tasks):
    pass
"""
INVENTORY = """\
name: prod
description: a small platform
rollback:
  baseline: before
  old_side: [{{name: old balancer, tcp: "127.0.0.1:{port}"}}]
  controls:
    - {{name: clock, tcp: "127.0.0.1:{port}"}}
    - {{name: mirror, tcp: "127.0.0.1:{port}"}}
  quick_fixes:
    - {{name: restart, items: [golive.errors], dry_run: "true", run: "true", undo: "true"}}
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
contacts:
  - {{role: deployment-lead, phone: "+15550100"}}
  - {{role: technical-lead, mail: technical-lead@example.com}}
not_applicable:
  - {{item: phase2.audit, reason: audited by somebody else, owner: technical-lead}}
"""
_PYTEST = ("pytest", "--inventory", "prod", "-p", "no:cacheprovider", "--change", CHANGE)
_OF = ("--change", CHANGE)


def _gate(*words: str) -> tuple[str, ...]:
    return ("deploygate", *words, *_OF)


_SIGN = _gate(
    "sign", "--role", "deployment-lead", "--key", "lead", "--name", "Deployment lead", "--reason", "seen"
)
_SAID = ("--role", "deployment-lead", "--reason", "errors for all")
#: The commands of a change, in order; journals are taken after those with a name.
STORY: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", (*_PYTEST, "-m", "phase2")),
    ("", _gate("waive", "phase2.two", "--owner", "Database admin", "--approver", "Operations", "--ticket", "OPS-17",
               "--expires", "7d", "--reason", "it is replaced next week")[:-2]),
    ("run", (*_PYTEST, "-m", "phase2", "--resume")),
    ("signed", _SIGN),
    ("", (*_PYTEST, "-m", "phase2")),
    ("", (*_PYTEST, "-m", "phase2")),
    ("", (*_PYTEST, "-m", "phase2")),
    ("condensed", (*_PYTEST, "-m", "phase2")),
    ("incident", (*_PYTEST, "-m", "golive")),
    ("held", _gate("decide", "hold", *_SAID)),
    ("quick fix", _gate("decide", "--quick-fix")),
    ("decided", _gate("decide", "rollback", *_SAID, "--key", "lead")),
    ("went back", _gate("rollback", "execute", "--confirm", "prod")),
    ("followed up", _gate("rollback", "after", "--done")),
    ("signed again", _SIGN),
)  # fmt: skip
#: Every command and run that reads a journal.
READERS: tuple[tuple[str, ...], ...] = (
    _gate("outcome"),
    _gate("outcome", "--json"),
    _gate("decide"),
    _gate("decide", "--json"),
    _gate("decide", "hold", *_SAID),
    _gate("decide", "rollback", *_SAID),
    _gate("decide", "--quick-fix"),
    _gate("decide", "--rerun"),
    _gate("report"),
    *(_gate("report", "--format", form) for form in ("html", "json", "junit", "markdown", "sarif", "ctrf", "hdf", "in-toto")),
    _gate("verify"),
    _gate("verify", "--json"),
    _SIGN,
    _gate("issues"),
    _gate("rollback", "plan"),
    _gate("rollback", "plan", "--json"),
    _gate("rollback", "execute", "--confirm", "prod"),
    _gate("rollback", "after"),
    _gate("rollback", "after", "--done"),
    _gate("rollback", "after", "--retry", "2099-01-01T00:00Z"),
    _gate("plan", "--inventory", "prod"),
    ("deploygate", "diff", "before", CHANGE),
    ("deploygate", "diff", CHANGE, "before", "--json"),
    (*_PYTEST, "-m", "phase2", "--resume"),
    (*_PYTEST, "-m", "golive"),
)  # fmt: skip
#: Exit codes that the documentation has for one of these; 70 is a traceback.
DOCUMENTED = {0, 1, 2, 4, 20, 21, 22, 23, 24, 25, 26}
MISSING = object()
#: What stands in the place of a value.
OTHERS: tuple[Any, ...] = (
    MISSING, None, True, 7, -1, 1.5e308, 10**400, float("nan"), "", "x", "x" * 100_000, "\ud800", "a\x00b\x1b[2J\nGO: go on",
    "2026-13-45T99:99:99", "2026-11-29T10:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", [], {}, [None],
    [[]], [{}], {"a": None}, {"": []}, [1, "x", None, {}], "deep", "twice",
)  # fmt: skip


def deep() -> Any:
    """Return a value of 900 levels, which is still read."""
    value: Any = 1
    for _ in range(900):
        value = [value]
    return value


def chained(lines: list[dict[str, Any]]) -> bytes:
    """Return lines as a journal with a chain that holds; each checkpoint is about the bytes before it."""
    raw = b""
    previous = journal.GENESIS
    for number, line in enumerate(lines, 1):
        plain = {key: value for key, value in line.items() if key != "own"}
        plain |= {"prev": previous, "seq": number}
        if plain.get("kind") == "checkpoint" and plain.pop("own digest", True) and "sha256" in plain:
            plain["sha256"] = hashlib.sha256(raw).hexdigest()
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
            errors="backslashreplace"
        )
        own = text[:-1] + sealed(own_digest(text))
        raw += own + b"\n"
        previous = hashlib.sha256(own).hexdigest()
    return raw


def paths(value: Any, start: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the places in a value: each key, and first and last of each list."""
    places = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list) and value:
        places = {0: value[0], len(value) - 1: value[-1]}.items()
    for key, below in places:
        yield (*start, key)
        yield from paths(below, (*start, key))


def with_other(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    """Return a copy of a value in which one place has another value."""
    copy = dict(value) if isinstance(value, dict) else list(value)
    first, *rest = path
    if rest:
        copy[first] = with_other(copy[first], tuple(rest), other)
    elif other is MISSING:
        del copy[first]
    elif other == "deep":
        copy[first] = deep()
    elif other == "twice":
        copy[first] = (
            [copy[first], copy[first]] if not isinstance(copy[first], list) else [*copy[first], *copy[first]]
        )
    else:
        copy[first] = other
    return copy


#: The stage, what was changed, how to make it, and whether a command may end well with it.
Case = tuple[str, str, Callable[[], bytes], bool]


def shapes(stage: str, raw: bytes, chance: random.Random) -> Iterator[Case]:
    """Yield journals in which one value is another, with a chain that holds. One of each kind of line, and the last."""
    lines = [json.loads(line) for line in raw.splitlines()]
    kinds: dict[str, list[int]] = {}
    for number, line in enumerate(lines):
        kinds.setdefault(line["kind"] + str(line.get("mark") or line.get("what") or ""), []).append(number)
    for kind, numbers in kinds.items():
        for number in {chance.choice(numbers), numbers[-1]}:
            for path in paths(lines[number]):
                if path[0] in ("own", "prev", "seq"):
                    continue
                for other in OTHERS:
                    said = "missing" if other is MISSING else repr(other)[:30]
                    make = functools.partial(changed, lines, number, path, other)
                    yield stage, f"{kind}:{number + 1} {'.'.join(map(str, path))} = {said}", make, True


def changed(lines: list[dict[str, Any]], number: int, path: tuple[Any, ...], other: Any) -> bytes:
    """Return a journal in which one line has another value, with a chain that holds."""
    return chained([*lines[:number], with_other(lines[number], path, other), *lines[number + 1 :]])


def cuts(stage: str, raw: bytes, chance: random.Random) -> Iterator[Case]:
    """Yield journals whose lines are missing, twice, elsewhere, cut or no UTF-8: with the chain made again, and without."""
    lines = raw.splitlines(keepends=True)
    for number, line in enumerate(lines):
        rest = lines[:number], lines[number + 1 :]
        at = chance.randrange(1, len(line) - 1)
        for said, middle in (
            ("missing", []), ("twice", [line, line]), ("cut", [line[:at] + b"\n"]), ("without a line end", [line[:-1]]),
            ("not UTF-8", [line[:at] + b"\xff\xfe" + line[at:]]), ("CRLF", [line[:-1] + b"\r\n"]), ("zeros", [b"\0" * len(line)]),
            ("another byte", [line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]]), ("after an empty one", [b"\n", line]),
        ):  # fmt: skip
            made = b"".join([*rest[0], *middle, *rest[1]])
            harmless = (
                said in ("missing", "cut", "without a line end") and number == len(lines) - 1
            )  # as of a killed run
            yield stage, f"line {number + 1} {said}", functools.partial(bytes, made), harmless
    plain = [json.loads(line) for line in lines]
    for number in range(len(plain)):
        for said, made in (
            ("missing", [*plain[:number], *plain[number + 1 :]]),
            ("twice", [*plain[: number + 1], *plain[number:]]),
            ("first", [plain[number], *plain[:number], *plain[number + 1 :]]),
            ("last", [*plain[:number], *plain[number + 1 :], plain[number]]),
            ("of another run", [*plain[:number], plain[number] | {"run": "x"}, *plain[number + 1 :]]),
        ):
            form = f"line {number + 1} ({plain[number]['kind']}) {said}, chained"
            yield stage, form, functools.partial(chained, made), True


class Place:
    """The project, and its folder as each named command of the story left it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.kept = folder / "kept"
        self.out = self.folder / "deploygate-out" / CHANGE
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        for name in ("suites", "inventories"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "pytest.ini").write_text("[pytest]\ntestpaths = suites\n")
        (self.folder / "conftest.py").write_text(HOOKS)
        (self.folder / "suites" / "checklist.md").write_text(CHECKLIST)
        (self.folder / "suites" / "test_small.py").write_text(SUITE)
        port = self._listening.getsockname()[1]
        (self.folder / "inventories" / "prod.yml").write_text(INVENTORY.format(port=port))
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "lead"]
        subprocess.run(key, cwd=self.folder, check=True)
        public = " ".join((self.folder / "lead.pub").read_text().split()[:2])
        spaces = 'namespaces="deploygate-signoff,deploygate-decision"'
        (self.folder / "allowed_signers").write_text(f"deployment-lead {spaces} {public}\n")

    def _accept(self) -> None:
        while True:
            self._listening.accept()[0].close()

    def run(self, words: tuple[str, ...]) -> tuple[int, str]:
        """Run a command in a fork; return its exit code (70: a traceback, -9: it took too long) and what it printed."""
        told = self.folder.parent / "told"
        pid = os.fork()
        if not pid:
            with contextlib.suppress(BaseException):
                _child(self.folder, told, words)
            os._exit(71)
        ends = time.monotonic() + HANG_S
        while True:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(status), told.read_text(errors="replace")
            if time.monotonic() > ends:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return -9, told.read_text(errors="replace")
            time.sleep(0.003)

    def live(self) -> dict[str, bytes]:
        """Live the story; return the journal after each named command."""
        (self.folder / "version").write_text("1\n")
        self.run((*_PYTEST[:-1], "before", "-m", "golive"))
        (self.folder / "version").write_text("2\n")
        found = {}
        for name, words in STORY:
            code, said = self.run(words)
            if code not in (0, 1, 21, 22, 23):
                raise SystemExit(f"{' '.join(words)} ends with {code}: {said}")
            if name:
                shutil.copytree(self.folder, self.kept / name)
                found[name] = (self.out / journal.FILE).read_bytes()
        return found

    def put(self, stage: str, raw: bytes) -> None:
        """Put the project into the state after a command of the story, with another journal."""
        shutil.rmtree(self.folder / "deploygate-out", ignore_errors=True)
        for part in ("version", "maintenance"):
            (self.folder / part).unlink(missing_ok=True)
        shutil.copytree(self.kept / stage, self.folder, dirs_exist_ok=True)
        (self.out / journal.FILE).write_bytes(raw)


def _child(folder: Path, told: Path, words: tuple[str, ...]) -> None:
    os.chdir(folder)
    out = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0), os.dup2(out, 1), os.dup2(out, 2)
    code: Any = 70
    try:
        program, *arguments = words
        code = (
            int(pytest.main(arguments)) if program == "pytest" else deploygate(arguments, prog_name=program)
        )
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001 (what a person would see as a traceback)
        traceback.print_exc()
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code or 0)


def wrong(code: int, said: str, may_be_well: bool, words: tuple[str, ...]) -> str:
    """Say what is wrong with how a command ended; empty if nothing is."""
    if code == -9:
        return f"took longer than {HANG_S} s"
    if "INTERNALERROR" in said or "Traceback (most recent call last)" in said or code not in DOCUMENTED:
        last = [line for line in said.splitlines() if line.strip()][-1:]
        where = [line.strip() for line in said.splitlines() if line.lstrip().startswith("File ")][-1:]
        return f"exit {code}: {' '.join(last + where)[:300]}"
    if not may_be_well and code == 0 and "plan" not in words:
        return "exit 0 for a damaged journal"
    return ""


def main() -> None:
    """Make the cases, give them to the commands, and print how they ended."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument(
        "--cases", type=int, default=0, help="so many of them, chosen at random; default: all"
    )
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--part", default="1/1", help="I/N: every Nth case, from the Ith on")
    options.add_argument("--stage", default="", help="only the journal after this command")
    said = options.parse_args()
    for found in pkgutil.walk_packages(commands.__path__, "pytest_deploygate.cli.commands."):
        if ".lab" not in found.name:
            importlib.import_module(found.name)
    condensed.BYTES = 1000
    chance = random.Random(said.seed)
    with tempfile.TemporaryDirectory() as temporary:
        place = Place(Path(temporary))
        stages = place.live()
        print({name: len(raw.splitlines()) for name, raw in stages.items()}, flush=True)
        places: dict[str, list[Case]] = {}
        for name, raw in stages.items():
            if said.stage in ("", name):
                for case in itertools.chain(shapes(name, raw, chance), cuts(name, raw, chance)):
                    places.setdefault(
                        re.sub("[0-9]+", "", case[1]) if " = " in case[1] else " ".join(case[:2]), []
                    ).append(case)
        # The same place and value of several journals once, each with one of the commands.
        cases = [(chance.choice(alike), chance.choice(READERS)) for alike in places.values()]
        chance.shuffle(cases)
        cases = cases[: said.cases or None]
        first, of = map(int, said.part.split("/"))
        ended: Counter[int] = Counter()
        kinds: Counter[str] = Counter()
        print(f"{len(cases)} cases", flush=True)
        for (stage, form, make, may_be_well), words in cases[first - 1 :: of]:
            place.put(stage, make())
            code, told = place.run(words)
            ended[code] += 1
            if ended.total() % 200 == 0:
                print(
                    f"{ended.total()} so far: {dict(sorted(ended.items()))}; wrong: {kinds.total()}",
                    flush=True,
                )
            if problem := wrong(code, told, may_be_well, words):
                kind = re.sub(r"[0-9]+|'[^']*'", "", problem)
                kinds[kind] += 1
                if kinds[kind] <= 3:
                    print(f"{stage} | {form} | {' '.join(words)} | {problem}", flush=True)
        print(
            f"all: {ended.total()}; by exit code: {dict(sorted(ended.items()))}; wrong: {kinds.total()} of {len(kinds)} kinds"
        )


if __name__ == "__main__":
    main()
