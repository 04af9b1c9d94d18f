"""Files that never end, never answer or grow when they are read: each is refused soon, with file and line."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_deploygate import journal
from pytest_deploygate.checklist import attestations, issue_log, parser, waivers
from pytest_deploygate.checklist.records import RecordsError
from pytest_deploygate.checks.migrations.probe import lint, tools
from pytest_deploygate.checks.migrations.section.versions import Migrations
from pytest_deploygate.checks.people.probe import sarif
from pytest_deploygate.checks.structure import snapshot
from pytest_deploygate.files import bounded
from pytest_deploygate.files.yaml import MOST_VALUES
from pytest_deploygate.inventory import loader
from pytest_deploygate.model import CannotTell, parse_duration
from pytest_deploygate.session import shipped

SOON_S = 2.0  # of processor time

LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
BOMBS = {
    "aliases that grow": (LAUGHS.encode(), r":\d+: .*with what its aliases stand for, it has more than"),
    "an alias of itself": (b"a: &a [*a]\n", r":1: .*stands for something that contains it"),
    "50 MB of comments": (b"# comment\n" * 5_000_000, r":104858: .*it is larger than 1 MB"),
    "many values": (b"a: [" + b"1," * 300_000 + b"1]", r":1: .*more than 150,000 values"),
    "deep flow": (b"a: " + b"[" * 100_000, r":1: .*nested deeper than 50 levels"),
    "deep blocks": (
        b"".join(b" " * n + b"a:\n" for n in range(900)),
        r":\d+: .*nested deeper than 50 levels",
    ),
    "a long number": (b"a: " + b"9" * 5000, r":1: .*more than 300 digits"),
    "half a surrogate pair": (
        b'a: "\\ud800"\n',
        r":1: .*(half of a surrogate pair|invalid Unicode character)",
    ),
    "not UTF-8": (b"a: 1\nb: \xff\n", r":2: .*not UTF-8 text: byte 9 is 0xff"),
    "a control character": (b"a: 1\nb: \x01\n", r":2: .*not YAML"),
    "UTF-16": ("a: 1\n".encode("utf-16"), r":1: .*not UTF-8 text: byte 1 is 0xff"),
}


@contextmanager
def soon() -> Iterator[None]:
    before = time.process_time()
    yield
    assert time.process_time() - before < SOON_S


@pytest.fixture(scope="module")
def checklist() -> parser.Checklist:
    return parser.load(shipped.checklist())


def written(root: Path, name: str, raw: bytes) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("bomb", BOMBS)
def test_an_inventory_is_bounded(tmp_path, bomb):
    raw, said = BOMBS[bomb]
    path = written(tmp_path, "inventories/x.yml", raw)
    with soon(), pytest.raises(loader.InventoryError, match=r"inventories/x\.yml" + said):
        loader.load(str(path), tmp_path)


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("kind", ["waivers", "attestations", "issues"])
def test_records_are_bounded(tmp_path, checklist, kind, bomb):
    raw, said = BOMBS[bomb]
    written(tmp_path, f"{kind}/chg.yml", raw)
    with soon(), pytest.raises(RecordsError, match=rf"{kind}/chg\.yml" + said):
        read_records(tmp_path, kind, checklist)


def read_records(root: Path, kind: str, checklist: parser.Checklist) -> None:
    match kind:
        case "waivers":
            waivers.load_all(root, checklist, None, aside={})
        case "attestations":
            attestations.load_all(root, checklist, aside={})
        case _:
            issue_log.load(root, "chg", checklist)


@pytest.mark.parametrize("bomb", ["50 MB of comments", "not UTF-8", "UTF-16"])
def test_a_checklist_is_bounded(tmp_path, bomb):
    raw, said = BOMBS[bomb]
    path = written(tmp_path, "checklist.md", raw)
    with soon(), pytest.raises(parser.ChecklistError, match=r"checklist\.md" + said):
        parser.load(path)


def fifo(path: Path) -> None:
    os.mkfifo(path)


ODD = {
    "/dev/zero": (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a file"),
    "/proc/kmsg": (lambda path: path.symlink_to("/proc/kmsg"), "empty"),
    "a FIFO": (fifo, "it is a FIFO, not a file"),
    "a folder": (Path.mkdir, "it is a folder, not a file"),
}


@pytest.mark.parametrize("odd", ODD)
def test_a_secret_is_read_from_a_file_only(tmp_path, odd):
    make, said = ODD[odd]
    make(tmp_path / "secret")
    text = "name: x\ndatabase:\n  name: a\n  user: b\n  primary: db1\n  password: file:../secret\n"
    path = written(tmp_path, "inventories/x.yml", text.encode())
    with soon(), pytest.raises(loader.InventoryError, match=rf"inventories/x\.yml:6: .*{said}"):
        loader.load(str(path), tmp_path)


@pytest.mark.parametrize("given", ["pipe", "inventories/pipe.yml"])
def test_an_inventory_that_is_a_pipe_is_named_as_that(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inventories").mkdir()
    fifo(tmp_path / "inventories" / "pipe.yml")
    with pytest.raises(loader.InventoryError, match="it is a FIFO, not a file"):
        loader.load(given, tmp_path, None)


@pytest.mark.parametrize("odd", ["/dev/zero", "a FIFO", "a folder"])
def test_nothing_else_is_read_from_what_is_no_file(tmp_path, checklist, odd):
    make, said = ODD[odd]
    for kind in ("waivers", "attestations", "issues"):
        (tmp_path / kind).mkdir()
        make(tmp_path / kind / "chg.yml")
        with soon(), pytest.raises(RecordsError, match=said):
            read_records(tmp_path, kind, checklist)
    path = tmp_path / journal.FILE
    make(path)
    with soon(), pytest.raises(journal.JournalError, match=said):
        journal.read(tmp_path)
    with soon(), pytest.raises(ValueError, match=said):
        snapshot.load_snapshot(path)
    with soon(), pytest.raises(parser.ChecklistError, match=said):
        parser.load(path)
    with soon():
        assert said in sarif.measure(path).problem


def test_half_of_a_surrogate_pair_in_json_is_a_mistake_with_its_line(tmp_path):
    path = written(tmp_path, "tables.json", b'{"format": 1,\n"a": "\\ud800"}')
    with pytest.raises(ValueError, match="line 2, has half of a surrogate pair"):
        snapshot.load_snapshot(path)
    assert bounded.from_json(b'"\\ud83d\\ude80"') == "\U0001f680"


def test_a_changelog_that_is_none_is_unknown(tmp_path):
    for name, raw in (
        ("c.yaml", LAUGHS.encode()),
        ("c.json", b"\xff"),
        ("c.sql", b"\xff"),
        ("c.xml", b"<a>"),
    ):
        folder = tmp_path / name
        written(folder, name, raw)
        with soon(), pytest.raises(CannotTell, match="cannot be read"):
            tools.scripts(Migrations(tool="liquibase", scripts=folder))


@pytest.mark.parametrize("text", ["99999999999999999999h", "999999999d", f"{'9' * 400}s", "5000000w"])
def test_a_duration_that_no_clock_has_is_a_mistake(text):
    with pytest.raises(ValueError, match="no clock of the gate runs that long"):
        parse_duration(text)


def test_aliases_of_reasonable_size_are_read(tmp_path):
    path = written(tmp_path, "inventories/x.yml", b"name: x\n" + b"# note\n" * 9000)
    assert loader.load(str(path), tmp_path).inventory.name == "x"
    assert MOST_VALUES >= 20_000


def test_a_file_of_proc_that_never_ends_is_empty():
    with soon():
        assert bounded.read("/proc/kmsg") == b""


def test_a_migration_of_50_mb_is_unknown(tmp_path):
    path = written(tmp_path, "0001.sql", b"-- comment\n" * 5_000_000)
    with soon(), pytest.raises(CannotTell, match="it is larger than 5 MB"):
        lint._texts([path])
