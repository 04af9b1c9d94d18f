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
        if len(turns) > 1:
            go_on.wait(10)

    monkeypatch.setattr(disk, "to_disk", slow)
    monkeypatch.setattr(disk, "QUICK_S", 0.0)
    sync = BackgroundSync(7)
    sync.begin()  # at once: nothing is known of the disk yet
    assert turns == [7]
    for _ in range(100):
        sync.begin()
    go_on.set()
    sync.wait()
    sync.close()
    assert 2 <= len(turns) <= 3
    assert set(turns) == {7}


def test_a_disk_that_fails_is_said_by_each_later_call(monkeypatch):
    def full(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(disk, "to_disk", full)
    sync = BackgroundSync(7)
    for again in (sync.begin, sync.wait, sync.begin, sync.wait):
        with pytest.raises(OSError, match="Input/output error"):
            again()
    sync.close()


def test_a_disk_that_fails_in_the_background_is_said_by_each_later_call(monkeypatch):
    def fails_later(_descriptor: int) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(disk, "to_disk", fails_later)
    monkeypatch.setattr(disk, "QUICK_S", 0.0)
    sync = BackgroundSync(7)
    sync.begin()
    sync.begin()
    for again in (sync.wait, sync.begin, sync.wait):
        with pytest.raises(OSError, match="Input/output error"):
            again()
    sync.close()


def test_a_quick_disk_needs_no_thread(monkeypatch):
    before = threading.active_count()
    turns: list[int] = []
    monkeypatch.setattr(disk, "to_disk", turns.append)
    monkeypatch.setattr(disk, "QUICK_S", 10.0)
    sync = BackgroundSync(7)
    for _ in range(5):
        sync.begin()
    sync.wait()
    assert (len(turns), threading.active_count()) == (5, before)
    sync.close()


def test_nothing_to_wait_for_starts_no_thread():
    before = threading.active_count()
    sync = BackgroundSync(7)
    sync.wait()
    sync.close()
    assert threading.active_count() == before
