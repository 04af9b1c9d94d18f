"""A file is written completely or not at all, even if the disk is full or the writer is interrupted."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_deploygate.files import sha256, write_new, write_whole


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize("content", ["", "ü\n", b"\xff\x00"])
def test_the_content_is_there_and_nothing_beside_it(tmp_path, content):
    write_whole(tmp_path / "a.json", content)
    assert (tmp_path / "a.json").read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert names(tmp_path) == ["a.json"]


def test_an_existing_file_is_replaced_and_keeps_its_permissions(tmp_path):
    file = tmp_path / "a"
    file.write_text("old")
    file.chmod(0o600)
    with file.open() as reader:
        write_whole(file, "new")
        assert reader.read() == "old"
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fchmod", "replace"])
def test_after_an_error_the_old_content_stays_and_nothing_is_left(tmp_path, monkeypatch, step, error):
    (tmp_path / "a").write_text("old")

    def fails(*_):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(os, step, fails)
        with pytest.raises(type(error)):
            write_whole(tmp_path / "a", "new")
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_disk_that_fills_up_while_writing_leaves_nothing_unfinished(tmp_path):
    """A process with a file size limit of 100 bytes gets a real error in the middle of a write."""
    (tmp_path / "a").write_text("old")
    script = (
        "import resource, signal, sys, pathlib\n"
        "from pytest_deploygate.files import write_whole\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "write_whole(pathlib.Path(sys.argv[1]), 'x' * 1000)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-B", "-c", script, str(tmp_path / "a")], capture_output=True, text=True, check=False
    )
    assert ran.returncode not in (0, -signal.SIGXFSZ)
    assert "OSError: [Errno 27]" in ran.stderr
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "none" / "a", "x")


def test_sha256():
    assert sha256(b"abc") == hashlib.sha256(b"abc").hexdigest()


def test_a_new_file_is_written_once_and_a_part_left_by_a_killed_process_is_completed(tmp_path):
    file = tmp_path / "a"
    write_new(str(file), b"whole")
    before = file.stat().st_ino
    write_new(str(file), b"whole")
    assert (file.read_bytes(), file.stat().st_ino) == (b"whole", before)
    file.write_bytes(b"who")
    write_new(str(file), b"whole")
    assert file.read_bytes() == b"whole"
    assert names(tmp_path) == ["a"]


def test_half_of_a_surrogate_pair_is_written_as_its_escape(tmp_path):
    write_whole(tmp_path / "a", "x\ud800y")
    assert (tmp_path / "a").read_text() == "x\\ud800y"
