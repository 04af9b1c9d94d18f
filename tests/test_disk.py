"""Bringing data to the disk in the background."""

from __future__ import annotations

import errno
import threading

import pytest

from pytest_deploygate import disk
from pytest_deploygate.disk import BackgroundSync


def test_the_disk_is_waited_for_once_for_many_writes(tmp_path, monkeypatch):
    """What is written while the thread waits for the disk goes along with its next turn."""
    turns, go_on = [], threading.Event()

    def slow(descriptor: int) -> None:
        turns.append(descriptor)
        go_on.wait(10)

    monkeypatch.setattr(disk, "to_disk", slow)
    sync = BackgroundSync(7)
    for _ in range(100):
        sync.begin()
    go_on.set()
    sync.wait()
    sync.close()
    assert 1 <= len(turns) <= 2
    assert set(turns) == {7}


def test_a_disk_that_fails_is_said_by_each_later_call(monkeypatch):
    def full(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(disk, "to_disk", full)
    sync = BackgroundSync(7)
    sync.begin()
    for again in (sync.wait, sync.begin, sync.wait):
        with pytest.raises(OSError, match="Input/output error"):
            again()
    sync.close()


def test_nothing_to_wait_for_starts_no_thread():
    before = threading.active_count()
    sync = BackgroundSync(7)
    sync.wait()
    sync.close()
    assert threading.active_count() == before
