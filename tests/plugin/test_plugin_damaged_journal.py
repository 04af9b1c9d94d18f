"""Every command over every damaged form of a journal: a sentence and a documented exit code, never a traceback."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from test_plugin_decide import BACK, CONTACTS, HOLD
from test_plugin_hooks import deployed, deploygate
from test_plugin_incident import listening

from pytest_deploygate import journal
from pytest_deploygate.cli import main
from pytest_deploygate.journal.lines import own_digest, sealed

__all__ = ["deployed", "listening"]
pytestmark = pytest.mark.timeout(300)  # what waits for a FIFO waits for ever

COMMANDS = (
    ("outcome",),
    ("decide",),
    ("decide", "--json"),
    HOLD,
    ("report",),
    ("report", "--format", "markdown"),
    ("verify",),
    ("sign", "--role", "deployment-lead", "--key", "nokey", "--name", "A person"),
    ("rollback", "plan"),
    ("rollback", "execute", "--confirm", "prod"),
    ("rollback", "after"),
    ("diff", "before", "local"),
)
CODES = {0, 2, 4, 21, 22, 23, 24, 25, 26}


def _in_its_place(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def put(file: Path) -> None:
        file.unlink()
        make(file)

    return put


#: What anybody finds at once: exit code 25.
UNREADABLE: dict[str, Callable[[Path], object]] = {
    "a FIFO": _in_its_place(os.mkfifo),
    "a folder": _in_its_place(Path.mkdir),
    "a link to /dev/zero": _in_its_place(lambda file: file.symlink_to("/dev/zero")),
    "text": lambda file: file.write_text("hello\nworld\n"),
    "zeros": lambda file: file.write_bytes(bytes(3000)),
    "nested": lambda file: file.write_bytes(b"[" * 100_000 + b"\n"),
    "a list": lambda file: file.write_bytes(b"[]\n"),
    "compressed": lambda file: file.write_bytes(b"\x1f\x8b" + file.read_bytes()),
    "twice": lambda file: file.write_bytes(file.read_bytes() * 2),
    "without its first line": lambda file: file.write_bytes(file.read_bytes().partition(b"\n")[2]),
    "other line ends": lambda file: file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n")),
    "removed": Path.unlink,
    "empty": lambda file: file.write_bytes(b""),
}


def chain(lines: list[dict[str, Any]]) -> bytes:
    """Return lines as a journal with a chain that holds, as a forger or another version would write it."""
    out: list[bytes] = []
    previous = journal.GENESIS
    for number, line in enumerate(lines, 1):
        plain = {key: value for key, value in line.items() if key != "own"} | {
            "prev": previous,
            "seq": number,
        }
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
            errors="backslashreplace"
        )
        out.append(text[:-1] + sealed(own_digest(text)))
        previous = hashlib.sha256(out[-1]).hexdigest()
    return b"\n".join(out) + b"\n"


def _shapes(lines: list[dict[str, Any]]) -> Iterator[tuple[str, bytes]]:
    """Yield journals in which one key of one kind of line is missing or has another shape."""
    seen = set()
    for number, line in enumerate(lines):
        for key in line:
            if key in ("own", "prev", "seq") or (line["kind"], key) in seen:
                continue
            seen.add((line["kind"], key))
            others: list[Any] = [None, [1, None], {"a": []}]
            for other in others if line["kind"] == "run" else others[len(key) % 3 :][:1]:
                yield (
                    f"{line['kind']}.{key} = {other}",
                    chain([*lines[:number], line | {key: other}, *lines[number + 1 :]]),
                )
            without = {name: value for name, value in line.items() if name != key}
            if key not in ("kind", "at") and line["kind"] == "run":
                yield f"{line['kind']} without {key}", chain([*lines[:number], without, *lines[number + 1 :]])


@pytest.fixture
def gone_back(deployed):
    """A change that went back, and a copy of its folder."""
    file = deployed.path / "inventories" / "prod.yml"
    file.write_text(file.read_text() + CONTACTS)
    deployed.run("-m", "golive")
    assert deploygate(deployed, *BACK).code == 22
    assert deploygate(deployed, "rollback", "execute", "--confirm", "prod").code == 23
    shutil.copytree(deployed.out, deployed.path / "good")
    return deployed


def _again(project) -> Path:
    shutil.rmtree(project.out, ignore_errors=True)
    shutil.copytree(project.path / "good", project.out)
    return project.out / journal.FILE


def test_what_cannot_be_read_is_25(gone_back):
    wrong = []
    for form, damage in UNREADABLE.items():
        for words in COMMANDS:
            damage(_again(gone_back))
            done = CliRunner().invoke(main, list(words))
            code = (
                4 if words[0] == "diff" and form in ("removed", "empty", "zeros") else 25
            )  # no journal: nothing to compare
            if done.exit_code != code or not isinstance(done.exception, SystemExit):
                wrong.append((form, words, done.exit_code, repr(done.exception), done.output[-200:]))
    assert wrong == []


def test_what_has_another_shape_is_a_sentence(gone_back):
    lines = [json.loads(line) for line in (gone_back.path / "good" / journal.FILE).read_text().splitlines()]
    wrong = []
    for number, (form, raw) in enumerate(_shapes(lines)):
        for n, words in enumerate(COMMANDS):
            if (number + n) % 3:  # a third of them: each command sees each kind of line
                continue
            _again(gone_back).write_bytes(raw)
            done = CliRunner().invoke(main, list(words))
            if done.exit_code not in CODES or not isinstance(done.exception, SystemExit | None):
                wrong.append((form, words, done.exit_code, repr(done.exception)))
    assert wrong == []


@pytest.mark.parametrize(
    "change", [{"kind": {}}, {"run": {}}, {"inputs": []}, {"checklist": None}, {"clock": [1]}]
)
def test_a_run_refuses_it_too(gone_back, change):
    lines = [json.loads(line) for line in (gone_back.path / "good" / journal.FILE).read_text().splitlines()]
    _again(gone_back).write_bytes(chain([lines[0] | change, *lines[1:]]))
    ran = gone_back.run("-m", "golive", "--resume")
    assert "INTERNALERROR" not in ran.text, ran.text[-600:]


#: What stands in the place of a value anywhere in a line.
ODD: tuple[Any, ...] = (
    None, True, -1, 10**400, float("nan"), "", "\ud800", "x" * 50_000, "2026-11-29T10:00:00", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", [], {}, [None], [{"a": []}],
)  # fmt: skip
#: So many of them are tried, each with one command; benchmarks/damaged_journals.py tries all.
CASES = 120


def _places(value: Any, start: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    below = (
        value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    )
    for key, one in below:
        yield (*start, key)
        yield from _places(one, (*start, key))


def _with(value: Any, place: tuple[Any, ...], other: Any) -> Any:
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = _with(copy[place[0]], place[1:], other) if len(place) > 1 else other
    return copy


#: Found by the benchmark: kind of the line, the place in it, and what stood there.
FOUND: tuple[tuple[str, tuple[Any, ...], Any], ...] = (
    ("incident", ("at",), "9999-12-31T23:59:59-14:00"),
    ("incident", ("moment", "up_s"), 10**400),
    ("incident", ("moment", "up_s"), "9999-12-31T23:59:59-14:00"),
    ("incident", ("moment",), None),
    ("incident", ("incident",), [{}]),
    ("incident", ("kind",), -1),
    ("rollback", ("kind",), -1),
    ("test", ("run",), [1, "x", None, {}]),
    ("test", ("findings", 0, "at"), "0001-01-01T00:00:00+14:00"),
    ("decision", ("decision",), [None]),
    ("run", ("windows",), [{}, {}]),
)


def test_any_value_of_any_line_may_be_another(gone_back):
    """None of it is a traceback, whatever stands there and whichever command reads it."""
    good = (gone_back.path / "good" / journal.FILE).read_text()
    lines = [json.loads(line) for line in good.splitlines()]
    chance = random.Random(16)
    every = [
        (number, place, other)
        for number, line in enumerate(lines)
        for place in _places(line)
        for other in ODD
        if place[0] not in ("own", "prev", "seq")
    ]
    found = [
        (max(n for n, line in enumerate(lines) if line["kind"] == kind), place, other)
        for kind, place, other in FOUND
    ]
    tried = [(case, words) for case in found for words in COMMANDS]
    tried += [(case, chance.choice(COMMANDS)) for case in chance.sample(every, CASES)]
    wrong = []
    for (number, place, other), words in tried:
        raw = chain([*lines[:number], _with(lines[number], place, other), *lines[number + 1 :]])
        _again(gone_back).write_bytes(raw)
        done = CliRunner().invoke(main, list(words))
        if done.exit_code not in CODES or not isinstance(done.exception, SystemExit | None):
            wrong.append((number, place, repr(other)[:40], words, done.exit_code, repr(done.exception)))
    assert wrong == []


def test_a_run_that_cannot_read_what_was_before_decides_nothing(gone_back):
    good = (gone_back.path / "good" / journal.FILE).read_text()
    lines = [json.loads(line) for line in good.splitlines()]
    number = max(n for n, line in enumerate(lines) if line["kind"] == "incident")
    without = {key: value for key, value in lines[number].items() if key != "moment"}
    _again(gone_back).write_bytes(chain([*lines[:number], without, *lines[number + 1 :]]))
    ran = gone_back.run("-m", "golive")
    assert ran.code == 25
    assert f"line {number + 1} of the journal is not a readable incident event" in ran.text
    assert "HOLD: nothing was decided (exit code 25)" in ran.text


def test_issues_are_not_listed_of_a_damaged_journal(gone_back):
    file = _again(gone_back)
    raw = file.read_bytes()
    file.write_bytes(raw[:90] + bytes([raw[90] ^ 1]) + raw[91:])
    assert deploygate(gone_back, "issues").code == 25


def test_results_of_another_shape_are_refused_by_issues(gone_back):
    for text in ("[]", '{"items": 7}', '{"items": [7]}', '{"items": [{"id": "x"}]}', '{"items": [{"in_scope": true, "id": "x", "verdict": 1}]}', "{"):  # fmt: skip
        _again(gone_back)
        (gone_back.out / "verdicts.json").write_text(text)
        done = deploygate(gone_back, "issues")
        assert (done.code, "cannot be read; run the gate again" in " ".join(done.text.split())) == (2, True)
