"""Bringing data to the disk in the background."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from pytest_deploygate import disk
from pytest_deploygate.disk import BackgroundSync


@pytest.fixture
def file(tmp_path):
    """A file that is open for writing."""
    with (tmp_path / "file").open("ab", buffering=0) as file:
        yield file


@pytest.fixture
def at_once(monkeypatch):
    """The process is started for the second write."""
    monkeypatch.setattr(disk, "WORTH_S", 0.0)


def children() -> set[str]:
    """Return the processes that this one has started and not waited for."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def answering(monkeypatch, does: str) -> None:
    """Let the process do something else instead of its work on each turn."""
    monkeypatch.setattr(disk, "_PROCESS", disk._PROCESS.replace("bring(descriptor)", does))


def test_a_disk_that_took_long_in_all_is_waited_for_by_a_process(file, at_once):
    before = children()
    sync = BackgroundSync(file.fileno())
    for n in range(3):
        file.write(b"x")
        sync.begin()
        assert len(children() - before) == (n > 0)
        sync.wait()
    sync.close()
    assert children() == before


def test_the_disk_is_waited_for_once_for_many_writes(file, at_once, monkeypatch, tmp_path):
    """What is written while the process waits for the disk goes along with its next turn."""
    turns = tmp_path / "turns"
    answering(
        monkeypatch,
        f"(open({str(turns)!r}, 'a').write('.'), __import__('time').sleep(0.2), bring(descriptor))",
    )
    sync = BackgroundSync(file.fileno())
    for _ in range(100):
        sync.begin()
    sync.wait()
    sync.close()
    assert 1 <= len(turns.read_text()) <= 3


def test_nobody_need_ask_for_the_answers(file, at_once):
    """The answers to many more writes than fit into a pipe."""
    sync = BackgroundSync(file.fileno())
    for _ in range(20_000):
        sync.begin()
    sync.wait()
    sync.close()


def test_a_disk_that_fails_is_said_by_each_later_call(monkeypatch):
    def full(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(disk, "to_disk", full)
    sync = BackgroundSync(7)
    for again in (sync.begin, sync.wait, sync.begin, sync.wait):
        with pytest.raises(OSError, match="Input/output error"):
            again()
    sync.close()


def test_a_disk_that_fails_in_the_background_is_said_by_each_later_call(file, at_once, monkeypatch):
    answering(monkeypatch, "os.fdatasync(0)")  # a pipe has no disk
    before = children()
    sync = BackgroundSync(file.fileno())
    sync.begin()
    sync.begin()
    for again in (sync.wait, sync.begin, sync.wait):
        with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
            again()
    sync.close()
    assert children() == before


@pytest.mark.parametrize("when", ["before it is asked", "before it has answered"])
def test_without_its_process_the_disk_is_waited_for_at_once(file, at_once, monkeypatch, when):
    before = children()
    sync = BackgroundSync(file.fileno())
    if when == "before it has answered":
        answering(monkeypatch, "__import__('time').sleep(60)")
    sync.begin()
    sync.begin()
    if when == "before it is asked":
        sync.wait()
    (process,) = children() - before
    os.kill(int(process), signal.SIGKILL)
    brought = []
    monkeypatch.setattr(disk, "to_disk", brought.append)
    if when == "before it is asked":
        os.waitid(os.P_PID, int(process), os.WEXITED | os.WNOWAIT)
        sync.begin()
    sync.wait()
    assert brought == [file.fileno()]
    sync.close()


def test_what_is_interrupted_while_it_waits_can_wait_again(file, at_once, monkeypatch):
    """The answer that was read at that moment may be lost."""
    sync = BackgroundSync(file.fileno())
    sync.begin()
    sync.begin()

    def interrupted(_process) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sync, "_hear", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sync.wait()
    sync.wait()
    sync.close()


def test_where_no_process_can_be_started_the_disk_is_waited_for_at_once(file, at_once, monkeypatch):
    brought = []
    monkeypatch.setattr(disk, "to_disk", brought.append)
    monkeypatch.setattr(disk.sys, "executable", "/nowhere/python")
    sync = BackgroundSync(file.fileno())
    for _ in range(3):
        sync.begin()
    sync.wait()
    sync.close()
    assert len(brought) == 3


def test_a_quick_disk_needs_no_process(file, monkeypatch):
    before = children()
    monkeypatch.setattr(disk, "WORTH_S", 10.0)
    sync = BackgroundSync(file.fileno())
    for _ in range(5):
        sync.begin()
    sync.wait()
    assert children() == before
    sync.close()


def test_nothing_to_wait_for_starts_no_process(at_once):
    before = children()
    sync = BackgroundSync(7)
    sync.wait()
    sync.close()
    assert children() == before


def test_a_fork_that_goes_on_holds_up_no_end(file, at_once):
    """It has the process's input open, too, so that this would not end by itself."""
    before = children()
    sync = BackgroundSync(file.fileno())
    sync.begin()
    sync.begin()
    sync.wait()
    fork = os.fork()
    if not fork:
        signal.pause()
        os._exit(0)
    try:
        sync.close()
        assert children() - before == {str(fork)}
    finally:
        os.kill(fork, signal.SIGKILL)
        os.waitpid(fork, 0)
