"""Log files on this host, followed through each way of rotating them: no line is lost, and none is read twice."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_deploygate.checks.access_logs.probe.hosts import Followed, HostLogs
from pytest_deploygate.checks.access_logs.section import Hop
from pytest_deploygate.clients.host import tail

LOCAL = "local://"


class Lines:
    """Stands where what is kept of a log is, and keeps every line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.problem = self.missing = ""
        self.end = ""
        self.file = self.clock = None

    def polling(self) -> None:
        """Note no times."""

    def take_all(self, lines: list[str]) -> None:
        """Keep lines."""
        self.lines += lines

    def rest(self, text: str) -> None:
        """Keep the end that is no line yet."""
        self.end = text

    def stamp_of(self, _line: str) -> None:
        """Read no times."""


def following(path: Path, run_as: str | None = None, **hop: object) -> tuple[HostLogs, Lines]:
    """Begin to follow a file on this host."""
    kept = Lines()
    keys = {"name": "web", "connection": LOCAL, "file": str(path), "format": "common", **hop}
    host = HostLogs(LOCAL, run_as, 20.0)
    host.logs.append(Followed(kept, Hop.model_validate(keys), path=str(path)))  # type: ignore[arg-type]
    host.begin()
    return host, kept


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_text("before 1\nbefore 2\n")
    return path


def add(path: Path, text: str) -> None:
    """Append to a file, as a server does."""
    with path.open("a") as opened:
        opened.write(text)


def test_what_is_new(file):
    host, kept = following(file)
    host.poll()
    assert kept.lines == []
    add(file, "one\ntw")
    host.poll()
    assert (kept.lines, kept.end) == (["one"], "tw")
    add(file, "o\n")
    host.poll()
    assert (kept.lines, kept.end) == (["one", "two"], "")


def renamed(file: Path) -> None:
    """As logrotate does with `create`."""
    file.rename(f"{file}.1")
    file.touch()


def dated(file: Path) -> None:
    """As logrotate does with `dateext` and `extension`."""
    file.rename(file.with_name("access-20261129.log"))
    file.touch()


def copied(file: Path) -> None:
    """As logrotate does with `copytruncate`."""
    shutil.copyfile(file, f"{file}.1")
    os.truncate(file, 0)


def packed(file: Path) -> None:
    """As logrotate does with `compress` and without `delaycompress`."""
    Path(f"{file}.1.gz").write_bytes(gzip.compress(file.read_bytes()))
    file.unlink()
    file.touch()


def copied_and_packed(file: Path) -> None:
    """As logrotate does with `copytruncate` and `compress`."""
    Path(f"{file}.1.gz").write_bytes(gzip.compress(file.read_bytes()))
    os.truncate(file, 0)


@pytest.mark.parametrize("rotate", [renamed, dated, copied, packed, copied_and_packed])
@pytest.mark.parametrize("read_between", [False, True])
def test_a_rotation_in_between(file: Path, rotate: Callable[[Path], None], read_between: bool):
    """A new file may be shorter than the old one, or longer."""
    host, kept = following(file)
    add(file, "one\n")
    if read_between:
        host.poll()
    rotate(file)
    add(file, "two\n")
    host.poll()
    add(file, "three\n" * 20)
    host.poll()
    assert kept.lines == ["one", "two", *["three"] * 20]
    assert kept.problem == ""


def test_a_server_that_still_writes_to_the_renamed_file(file):
    host, kept = following(file)
    renamed(file)
    host.poll()
    add(Path(f"{file}.1"), "late\n")
    add(file, "new\n")
    host.poll()
    assert sorted(kept.lines) == ["late", "new"]


def test_other_files_beside_it_are_not_read(file):
    host, kept = following(file)
    for name in ("access.log.json", "access.log-other", "access-ssl.log", "access.logs"):
        (file.parent / name).write_text("before 1\nbefore 2\nanother\n")
    renamed(file)
    add(file, "one\n")
    host.poll()
    assert kept.lines == ["one"]


def test_two_rotations(file):
    host, kept = following(file)
    add(file, "one\n")
    renamed(file)
    add(file, "two\n")
    host.poll()
    Path(f"{file}.1").rename(f"{file}.2")
    renamed(file)
    add(file, "three\n")
    host.poll()
    assert sorted(kept.lines) == ["one", "three", "two"]


def test_a_file_that_comes_later(tmp_path):
    host, kept = following(tmp_path / "access.log")
    assert kept.missing == "there is no such file"
    (tmp_path / "access.log").write_text("one\n")
    host.poll()
    assert (kept.lines, kept.missing) == (["one"], "")


def test_bytes_that_are_no_text(file):
    host, kept = following(file)
    with file.open("ab") as opened:
        opened.write(b"\xff\x00\x80 one\r\ntwo\n")
    host.poll()
    assert kept.lines == ["\\xff\0\\x80 one", "two"]


def test_a_name_that_a_shell_would_read(tmp_path):
    path = tmp_path / "a b'$(date)*.log"
    path.write_text("before\n")
    host, kept = following(path)
    add(path, "one\n")
    renamed(path)
    add(path, "two\n")
    host.poll()
    assert kept.lines == ["one", "two"]


def test_a_host_without_base64(file, monkeypatch):
    monkeypatch.setattr(tail, "ENCODER", "E='od -An -v -tx1'; echo \"$E\"")
    host, kept = following(file)
    add(file, "one\n" * 100 + "é")
    host.poll()
    assert (kept.lines, kept.end) == (["one"] * 100, "é")


def test_a_large_part_is_read_piece_by_piece_and_no_more_than_the_bound(file, monkeypatch):
    monkeypatch.setattr(tail, "_PART", 1000)
    monkeypatch.setattr(tail, "MOST", 5000)
    host, kept = following(file)
    add(file, "".join(f"{number:09}\n" for number in range(1000)))
    for _ in range(4):
        host.poll()
    assert kept.lines == [f"{number:09}" for number in range(400)]
    assert kept.problem == ""
    for _ in range(4):
        host.poll()
    assert "not all of it was read" in kept.problem
    assert len(kept.lines) == 500


def test_no_permission(file):
    if os.getuid():
        pytest.skip("only root can become another user without a password")
    file.chmod(0o600)
    _, kept = following(file, run_as="nobody")
    assert kept.problem.startswith("permission to")


def test_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "access.log")
    _, kept = following(tmp_path / "access.log")
    assert kept.problem.startswith("it is no file that can be read again, but a fifo")


def test_a_link_to_a_file_is_followed(file):
    link = file.with_name("current.log")
    link.symlink_to(file)
    host, kept = following(link)
    add(file, "one\n")
    host.poll()
    assert kept.lines == ["one"]


def test_a_host_that_cannot_be_asked(file):
    host = HostLogs("ssh://nobody@127.0.0.1:1", None, 5.0)
    kept = Lines()
    host.logs.append(Followed(kept, path=str(file)))  # type: ignore[arg-type]
    host.begin()
    host.poll()
    assert kept.problem == "the host cannot be asked: it refuses the connection: start its SSH server"


def test_mode_owner_and_rotated_files(file):
    file.chmod(0o604)
    file.parent.chmod(0o700)
    Path(f"{file}.2.gz").touch()
    os.utime(f"{file}.2.gz", (1_000_000_000, 1_000_000_000))
    _, kept = following(file)
    assert kept.file is not None
    assert (kept.file.mode, kept.file.in_open_folders, kept.file.size) == (0o604, False, 18)
    assert kept.file.owner == file.owner()
    assert kept.file.rotated is not None
    assert kept.file.rotated.timestamp() == 1_000_000_000


@pytest.mark.parametrize(
    ("name", "rotated"),
    [
        ("/a/x.log", False),
        ("/a/x.log.1", True),
        ("/a/x.log.14.gz", True),
        ("/a/x.log-20261129", True),
        ("/a/x.log-20261129.zst", True),
        ("/a/x-20261129.log", True),
        ("/a/x-2026-11-29.log.gz", True),
        ("/a/x.2026-11-29T11.log", True),
        ("/a/x.log.old", True),
        ("/a/x.log.json", False),
        ("/a/xy.log.1", False),
        ("/a/x-ssl.log", False),
    ],
)
def test_names_of_rotated_files(name, rotated):
    assert tail.is_rotated("/a/x.log", name) is rotated
