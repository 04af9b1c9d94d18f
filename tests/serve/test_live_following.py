"""A journal that another process writes is read line by line, and nothing that happens to it goes unnoticed."""

from __future__ import annotations

import dataclasses
import gc
import os
import shutil
import subprocess
import sys
import urllib.request
import weakref
from pathlib import Path

import pytest
from live_journal import Change

from pytest_deploygate.journal import FILE, tail
from pytest_deploygate.model import Verdict
from pytest_deploygate.report.live.following import Following


def done(seen):
    assert seen, "nothing was seen"
    assert seen.change, seen.problem
    return sum(item.at is not None for item in seen.change.items)


@pytest.fixture
def file(tmp_path):
    return tmp_path / FILE


@pytest.fixture
def change(tmp_path):
    """A change whose run goes on."""
    change = Change(tmp_path).begin()
    yield change
    change.writer.close()


def test_each_line_is_read_once(change, tmp_path, monkeypatch):
    read = []
    parse_line = tail.parse_line
    monkeypatch.setattr(tail, "parse_line", lambda *given: read.append(given[1]) or parse_line(*given))
    following = Following(tmp_path)
    assert done(following.look()) == 0
    assert following.look() is None
    for number, item in enumerate(change.items, 1):
        change.finds(item)
        assert done(following.look()) == number
    change.ends()
    assert following.look().change.decision
    assert read == list(range(1, len(read) + 1))
    assert len(read) == 2 + 4 + 2


def test_nothing_of_a_line_is_kept_but_what_the_page_shows(change, tmp_path, monkeypatch):
    """The first line of a run has the whole checklist, several megabytes of values where it is long."""
    kept, parse_line = [], tail.parse_line

    class Body(dict):
        """A body to which there can be a weak reference."""

    def read(*given):
        entry = parse_line(*given)
        body = Body(entry.body)
        kept.append(weakref.ref(body))
        return dataclasses.replace(entry, body=body)

    monkeypatch.setattr(tail, "parse_line", read)
    following = Following(tmp_path)
    change.finds(change.items[0])
    assert done(following.look()) == 1
    gc.collect()
    assert [one() for one in kept] == [None] * 3


def test_a_line_is_counted_once_it_is_whole(change, tmp_path, file):
    following = Following(tmp_path)
    following.look()
    change.finds(change.items[0])
    raw = file.read_bytes()
    cut = raw.rindex(b"\n", 0, -1) + 100
    file.write_bytes(raw[:cut])
    seen = following.look()
    assert (done(seen), "is unfinished" in seen.notes[0]) == (0, True)
    file.write_bytes(raw)
    seen = following.look()
    assert (done(seen), seen.notes) == (1, ())
    file.write_bytes(raw + b'{"at":')
    following.look()
    file.write_bytes(raw)
    assert following.look().notes == (), "what is dropped of an unfinished line is no line that was shown"


def test_a_copy_of_the_same_bytes_is_the_same_journal(change, tmp_path, file):
    following = Following(tmp_path)
    following.look()
    change.finds(change.items[0])
    change.writer.close()
    shutil.copy(file, tmp_path / "copy")
    (tmp_path / "copy").replace(file)
    seen = following.look()
    assert (done(seen), seen.notes) == (1, ())


def forged(file):
    """A later line is added, and an early one says something else."""
    file.write_bytes(file.read_bytes().replace(b"0.2 s", b"0.1 s", 1))


def test_bytes_that_change_behind_are_noticed_while_the_journal_grows(change, tmp_path, file):
    change.finds(change.items[0])
    following = Following(tmp_path)
    assert done(following.look()) == 1
    forged(file)
    change.finds(change.items[1])
    seen = following.look()
    assert seen.change is None
    assert "changed after it was written" in seen.problem
    assert "were changed at" in seen.notes[0]


def test_no_decision_is_shown_before_all_bytes_were_looked_at_again(change, tmp_path, file, monkeypatch):
    monkeypatch.setattr(tail, "_SHARE", 1e12)  # as if hashing a second time took too long
    for item in change.items:
        change.finds(item)
    following = Following(tmp_path)
    following.look()
    change.finds(change.items[0])
    following.look()
    forged(file)
    assert following.look().change, "while a run goes on it is found later"
    assert following.look() is None
    change.ends()
    assert following.look().change is None


def test_what_was_not_looked_at_again_in_time_is_looked_at_later(change, tmp_path, file, monkeypatch):
    for item in change.items:
        change.finds(item)
    following = Following(tmp_path)
    following.look()
    change.finds(change.items[0])
    following.look()
    monkeypatch.setattr(tail, "_SHARE", 1e12)
    forged(file)
    assert following.look().change
    monkeypatch.setattr(tail, "_SHARE", 0.0)  # the time has come
    assert following.look().change is None, "although the file has not changed since"
    assert following.look() is None, "a damaged journal is not read again and again"


def test_another_continuation_of_the_same_beginning_is_said(tmp_path):
    folder, other = tmp_path / "change", tmp_path / "other"
    change = Change(folder).begin()
    change.writer.close()
    shutil.copytree(folder, other)
    for place, verdict in ((folder, Verdict.PASS), (other, Verdict.FAIL)):
        again = Change(place).reopened()
        again.run = "run-1"
        again.finds(again.items[0], verdict)
        again.writer.close()
    following = Following(folder)
    assert following.look().change.items[0].verdict is Verdict.PASS
    shutil.copy(other / FILE, folder / FILE)
    seen = following.look()
    assert seen.change.items[0].verdict is Verdict.FAIL
    assert "were changed at" in seen.notes[0]


def test_a_damaged_journal_that_is_put_right_is_shown_again(tmp_path, file):
    change = Change(tmp_path).passes()
    raw = file.read_bytes()
    following = Following(tmp_path)
    assert done(following.look()) == len(change.items)
    forged(file)
    assert "cannot be trusted" in following.look().problem
    file.write_bytes(raw)
    assert done(following.look()) == len(change.items)


def test_a_policy_beyond_the_calendar_is_said(tmp_path):
    Change(tmp_path).passes(valid_s=1e20)
    assert "cannot read" in Following(tmp_path).look().problem


def test_a_journal_that_is_too_large_is_said(tmp_path, monkeypatch):
    Change(tmp_path).passes()
    monkeypatch.setattr(tail, "MOST_BYTES", 100)
    assert "it is larger than" in Following(tmp_path).look().problem


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the memory of a process is read from /proc"
)
def test_the_server_of_5000_items_has_less_than_50_mb(tmp_path):
    change = Change(tmp_path, 5000).begin()
    for item in change.items:
        change.finds(item, Verdict.FAIL if item.endswith("7") else Verdict.PASS, "db1 lags 0.2 s, limit 5 s")
    change.writer.close()
    command = (sys.executable, "-m", "pytest_deploygate", "serve", "--out", str(tmp_path), "--port", "0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as server:
        try:
            address = server.stdout.readline().split()[0]
            page = urllib.request.urlopen(address, timeout=30).read().decode()
            lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
        finally:
            server.terminate()
    assert "5000 of 5000 items" in page.replace(",", "")
    assert "And 460 more" in page
    (most,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    assert most < 50_000
