"""The journal: chained, sealed, locked, and readable after any failure."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_deploygate import disk, journal, redaction
from pytest_deploygate.journal import FILE, JournalError, UnwritableError, Writer
from pytest_deploygate.journal import writer as writing
from pytest_deploygate.model import (
    Decision,
    Distribution,
    Evidence,
    Finding,
    Grid,
    Line,
    Outcome,
    Places,
    Reading,
    Rule,
    Series,
    Shares,
    Spans,
    Takeover,
    Verdict,
)
from pytest_deploygate.redaction import Secret

AT = datetime(2026, 3, 4, 12, tzinfo=UTC)


def written(folder, count=3):
    writer = Writer(folder)
    for number in range(count):
        writer.append("test", {"run": "r1", "n": number, "text": "größer als \x00 und \n Zeilen"})
    writer.close()
    return (folder / FILE).read_bytes()


def test_lines_of_other_journals_are_kept_as_they_would_be_read(tmp_path):
    """Also those with a secret that only the command that merges knows."""
    Secret("a-long-password")
    body = {"run": "r1", "test": "t", "findings": [{"reason": "a-long-password \udc80", "n": [1, 2.5, None]}]}
    writer = Writer(tmp_path)
    writer.append_all([("test", body), ("test", {**body, "findings": []})])
    writer.close()
    assert journal.read(tmp_path)[0] == writer.entries
    assert b"a-long-password" not in (tmp_path / FILE).read_bytes()


def test_what_was_written_is_read(tmp_path):
    """Entries are read back with number, kind, time and body; each line contains the digest of the one before."""
    raw = written(tmp_path)
    entries, size = journal.read(tmp_path)
    assert size == len(raw)
    assert [e.seq for e in entries] == [1, 2, 3]
    assert [e.body["n"] for e in entries] == [0, 1, 2]
    assert [e.body["prev"] for e in entries] == [journal.GENESIS, entries[0].sha256, entries[1].sha256]
    assert all(e.at.tzinfo is not None for e in entries)


def test_no_journal_is_no_entries(tmp_path):
    """A folder without a journal has no entries, which is not an error."""
    assert journal.read(tmp_path) == ([], 0)
    assert journal.read(tmp_path / "nowhere") == ([], 0)


def test_a_second_writer_goes_on_where_the_first_ended(tmp_path):
    """Another segment continues the chain."""
    written(tmp_path)
    written(tmp_path)
    entries, _ = journal.read(tmp_path)
    assert [e.seq for e in entries] == [1, 2, 3, 4, 5, 6]


def test_every_flipped_bit_is_seen(tmp_path):
    """Each byte changed, in any of several ways, is found; only the newline that ends the last line can look like
    a killed run: then that line is dropped, never misread."""
    raw = written(tmp_path)
    path = tmp_path / FILE
    before, _ = journal.read(tmp_path)
    for place in range(len(raw)):
        for flip in (0x01, 0x20, 0x80):
            path.write_bytes(raw[:place] + bytes([raw[place] ^ flip]) + raw[place + 1 :])
            if place == len(raw) - 1:
                assert journal.read(tmp_path)[0] == before[:-1]
                continue
            with pytest.raises(JournalError, match=r"journal\.jsonl:[123]: .*--fresh"):
                journal.read(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0], lines[2]],
        lambda lines: lines[1:],
        lambda lines: [lines[1], lines[0], lines[2]],
        lambda lines: [lines[0], lines[0], *lines[1:]],
        lambda lines: [lines[0], b"\n", *lines[1:]],
        lambda lines: [*lines, b"{}\n"],
        lambda lines: [*lines, b"[]\n"],
        lambda lines: [*lines, b'"x"\n'],
        lambda lines: [*lines, b"null\n"],
        lambda lines: [*lines, b'{"own": 1}\n'],
        lambda lines: [*lines, b"\xff\xfe\n"],
    ],
)
def test_lines_that_go_come_or_move_are_seen(tmp_path, change):
    """A line removed, moved, duplicated or inserted breaks the chain, and the message says where and what to do."""
    lines = written(tmp_path).splitlines(keepends=True)
    (tmp_path / FILE).write_bytes(b"".join(change(lines)))
    with pytest.raises(JournalError, match=r"journal\.jsonl:\d: .*--fresh"):
        journal.read(tmp_path)
    with pytest.raises(JournalError, match="--fresh"):
        Writer(tmp_path)


def test_a_damaged_journal_leaves_no_lock(tmp_path):
    """After a refusal because of damage the lock is released."""
    raw = written(tmp_path)
    (tmp_path / FILE).write_bytes(raw[:50] + b"\n" + raw[50:])
    with pytest.raises(JournalError):
        Writer(tmp_path)
    (tmp_path / FILE).write_bytes(raw)
    Writer(tmp_path).close()


def test_an_unfinished_last_line_is_dropped(tmp_path):
    """At whatever byte a run was killed, all complete lines are read, and the next writer truncates the rest."""
    raw = written(tmp_path, 2)
    ends = [place + 1 for place, byte in enumerate(raw) if byte == 10]
    for cut in range(len(raw)):
        (tmp_path / FILE).write_bytes(raw[:cut])
        entries, size = journal.read(tmp_path)
        assert len(entries) == sum(end <= cut for end in ends)
        assert size == max([end for end in ends if end <= cut], default=0)
    (tmp_path / FILE).write_bytes(raw + b'{"half')
    writer = Writer(tmp_path)
    writer.append("end", {})
    writer.close()
    assert (tmp_path / FILE).read_bytes().startswith(raw)
    assert [e.kind for e in journal.read(tmp_path)[0]] == ["test", "test", "end"]


def test_a_stream_has_the_lines_that_reading_whole_has_and_says_where_it_was_cut(tmp_path):
    """One line after the other: those before a damaged one have been given out, so the error must come before the end."""
    raw = written(tmp_path, 3)
    for cut in range(len(raw) + 1):
        (tmp_path / FILE).write_bytes(raw[:cut])
        entries, unfinished = journal.stream(tmp_path)
        assert list(entries) == journal.read(tmp_path)[0]
        assert unfinished == (raw[:cut][-1:] not in (b"", b"\n"))
    (tmp_path / FILE).write_bytes(raw.replace(b'"n":2', b'"n":7'))
    entries, _ = journal.stream(tmp_path)
    given_out = [next(entries).seq, next(entries).seq]
    with pytest.raises(JournalError, match="3: this line was changed"):
        next(entries)
    assert given_out == [1, 2]
    assert list(journal.stream(tmp_path / "nowhere")[0]) == []


def test_two_writers_are_refused(tmp_path):
    """While one run writes, another is refused with a message that says what to do; afterwards it succeeds."""
    first = Writer(tmp_path)
    with pytest.raises(JournalError, match=r"another run is writing to .*--change ID") as refused:
        Writer(tmp_path)
    assert not isinstance(refused.value, UnwritableError)
    first.append("run", {})
    first.close()
    Writer(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    """A path below a file cannot contain a journal; the message names folder and cause."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UnwritableError, match=r"nothing can be written to .*/file/out: Not a directory"):
        Writer(tmp_path / "file" / "out")


def test_a_journal_that_is_a_folder_is_said(tmp_path):
    """A folder in place of the journal is an error with the cause, for readers too."""
    (tmp_path / FILE).mkdir()
    with pytest.raises(JournalError, match="cannot be read: it is a folder, not a file"):
        journal.read(tmp_path)


@pytest.mark.parametrize("again", [False, True])
def test_a_disk_that_fills_up_loses_nothing(tmp_path, monkeypatch, again):
    """No space for a line: an error says so, the lines before stay, and once there is space the chain continues."""
    writer = Writer(tmp_path)
    writer.append("run", {"n": 1})

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(writing, "to_disk", full)
        for _ in range(2):
            with pytest.raises(UnwritableError, match=r"No space left on device; free disk space .*--resume"):
                writer.append("test", {"n": 2})
    if again:
        writer.append("test", {"n": 3})
    writer.close()
    assert [e.body["n"] for e in journal.read(tmp_path)[0]] == ([1, 3] if again else [1])


@pytest.mark.parametrize("settled", [False, True])
def test_what_could_not_be_brought_to_the_disk_is_said_by_the_next_line(tmp_path, monkeypatch, settled):
    """Lines that were not waited for: the next lines raise, and the chain continues afterwards."""
    writer = Writer(tmp_path)
    writer.append("run", {"n": 1})

    with monkeypatch.context() as patch:
        patch.setattr(disk, "_PROCESS", disk._PROCESS.replace("bring(descriptor)", "os.fdatasync(0)"))
        patch.setattr(disk, "WORTH_S", 0.0)
        writer.append("test", {"n": 2}, wait=False)
        writer.append("test", {"n": 3}, wait=False)
        with pytest.raises(UnwritableError, match=r"Invalid argument; free disk space .*--resume"):
            writer.settle() if settled else writer.append("test", {"n": 4})
    writer.append("end", {"n": 5})
    writer.close()
    assert [e.body["n"] for e in journal.read(tmp_path)[0]] == [1, 2, 3, 5]


def test_a_line_that_was_not_waited_for_has_left_the_process(tmp_path):
    writer = Writer(tmp_path)
    for n in range(50):
        writer.append("test", {"n": n}, wait=False)
        assert [e.body["n"] for e in journal.read(tmp_path)[0]] == list(range(n + 1))
    writer.close()


FULL = """
import resource, signal, sys
from pathlib import Path
from pytest_deploygate.journal import UnwritableError, Writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = Writer(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    for n in range(1000):
        writer.append("test", {"n": n, "padding": "x" * 300})
except UnwritableError as error:
    print(n, error)
"""


def test_a_real_limit_on_the_file_leaves_whole_lines(tmp_path):
    """If the system fails a write in the middle of a line, every line before it is intact and readable."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path], check=False, capture_output=True, text=True, timeout=60
    )
    count, _, sentence = done.stdout.partition(" ")
    assert "File too large; free disk space" in sentence, done.stderr
    entries, size = journal.read(tmp_path)
    assert [e.body["n"] for e in entries] == list(range(int(count)))
    assert len(entries) > 3
    assert size == (tmp_path / FILE).stat().st_size


KILLED = """
import os, sys
from pathlib import Path
from pytest_deploygate.journal import Writer
while True:
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        os.write(1, b"died\\n")
        continue
    writer = Writer(Path(sys.argv[1]))
    os.write(1, f"pid {os.getpid()} {len(writer.entries)}\\n".encode())
    n = len(writer.entries)
    while True:
        writer.append("test", {"n": n, "padding": "x" * 3000})
        n += 1
"""


def test_fifty_kills_at_random_moments_leave_it_readable(tmp_path):
    """kill -9 of a writing process, fifty times: the journal is readable every time, grows, and the next run continues."""
    chance = random.Random(4)
    parent = subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    counts, found = [], [0]
    try:
        for _ in range(50):
            _, pid, before = parent.stdout.readline().split()
            # Not compared with the last count: the writer may have appended before it was read.
            found.append(int(before))
            assert found[-1] >= found[-2]
            time.sleep(chance.uniform(0, 0.02))
            os.kill(int(pid), 9)
            assert parent.stdout.readline() == "died\n"
            # The parent has already started the next writer; what it appends cannot make the chain unreadable.
            counts.append(len(journal.read(tmp_path)[0]))
    finally:
        os.killpg(parent.pid, 9)  # the writer too: alone it would write forever
        parent.stdout.close()
        parent.wait()
        time.sleep(0.05)
    entries, _ = journal.read(tmp_path)
    assert len(entries) >= counts[-1] > 5  # a slow disk takes few of them between two kills
    assert [e.body["n"] for e in entries] == list(range(len(entries)))


@pytest.mark.parametrize("weak", ["test", "kind", "1", '"', "pass", "own", "prev", "a", "\\", "2026", "r1"])
def test_a_weak_password_breaks_no_journal(tmp_path, monkeypatch, weak):
    """A password equal to a word or digit of the format is masked where a password stands, and the journal stays readable."""
    monkeypatch.setattr(redaction, "_known", ())
    monkeypatch.setattr(redaction, "_weak", {})
    monkeypatch.setattr(redaction, "_weak_anywhere", {})
    Secret(weak)
    writer = Writer(tmp_path)
    writer.append(
        "test",
        {"run": "r1", "test": "t", "findings": [{"verdict": "pass", "reason": f"<{weak}> password={weak}"}]},
    )
    writer.append("end", {"run": "r1"})
    writer.close()
    entries, _ = journal.read(tmp_path)
    assert [e.kind for e in entries] == ["test", "end"]
    assert entries == writer.entries
    (finding,) = entries[0].body["findings"]
    assert finding["verdict"] == "pass"
    assert finding["reason"] == f"<{weak}> password=[secret]"


def test_half_a_character_is_written(tmp_path):
    """Text that is not UTF-8 (a file name, a server's message) is recorded, not an error."""
    writer = Writer(tmp_path)
    writer.append("test", {"reason": "file p\udcff"})
    writer.close()
    assert journal.read(tmp_path)[0][0].body["reason"] == "file p\udcff"


words = st.text(max_size=12)
#: Years of clocks that are wrong, too; nearer to the ends of the calendar a time is refused.
times = st.datetimes(datetime(1900, 1, 1), datetime(9000, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
numbers = st.floats(allow_nan=False) | st.integers(-(2**53), 2**53)
readings = st.builds(
    Reading,
    name=words,
    value=numbers | words | st.booleans() | st.none(),
    unit=words,
    limit=words,
    ok=st.none() | st.booleans(),
)
number = st.floats(0, 1e9)
points = st.lists(st.tuples(number, number), max_size=3).map(tuple)
figures = st.one_of(
    st.builds(Distribution, words, words, points, st.none() | number, st.none() | number),
    st.builds(Series, words, words, st.lists(st.builds(Line, words, points), max_size=2).map(tuple)),
    st.builds(Shares, words, words, st.just((("A", (("blocked", 4), ("passed", 1)), 0.95), ("B", (), None)))),
    st.builds(Places, words, words, st.just((("a", (0, 3, 0)), ("b", ())))),
    st.builds(
        Grid, words, st.just(("here", "web1")), st.just((("db1 tcp/5432", (("pass", "open"), ("", ""))),))
    ),
    st.builds(Spans, words, st.just((("vantage 1", ((0.0, 5.0, "up"), (5.0, 9.5, "unknown"))),)), number),
    st.builds(
        Takeover,
        words,
        st.just((3, 0, 4)),
        number,
        st.just((("db1", ((0.0, 1.0),)), ("db2", ()))),
        st.none() | number,
    ),
)
findings = st.builds(
    Finding,
    item=words,
    target=words,
    verdict=st.sampled_from(Verdict),
    reason=words,
    test=words,
    at=times,
    duration_s=st.floats(0, 1e6),
    readings=st.lists(readings, max_size=3).map(tuple),
    criterion=words,
    notes=st.lists(words, max_size=2).map(tuple),
    evidence=st.lists(st.builds(Evidence, words, words, words), max_size=2).map(tuple),
    deferred_to=words,
    confirmed=st.booleans(),
    figures=st.lists(figures, max_size=2).map(tuple),
)
rules = st.builds(Rule, words, st.sampled_from(Outcome), words, st.lists(words, max_size=3).map(tuple))
decisions = st.builds(
    Decision,
    outcome=st.sampled_from(Outcome),
    scope=words,
    exit_code=st.integers(0, 26),
    rules=st.lists(rules, max_size=3).map(tuple),
    at=times,
    counts=st.dictionaries(words, st.integers(0, 200), max_size=3),
)


@given(findings)
@settings(max_examples=60)
def test_a_finding_comes_back_as_it_was(finding):
    """Finding to JSON text and back is the same finding."""
    text = json.dumps(journal.finding_to_json(finding))
    assert journal.finding_from_json(json.loads(text)) == finding


@given(decisions)
@settings(max_examples=60)
def test_a_decision_comes_back_as_it_was(decision):
    """Decision to JSON text and back is the same decision."""
    text = json.dumps(journal.decision_to_json(decision))
    assert journal.decision_from_json(json.loads(text)) == decision


@pytest.mark.parametrize(
    "damage",
    [{"verdict": "green"}, {"at": "noon"}, {"readings": [{"nonsense": 1}]}, {"reason": None, "at": None}],
)
def test_what_is_no_finding_is_refused(damage):
    """A finding with an unknown verdict, time or shape is an error, never a guess."""
    plain = journal.finding_to_json(Finding("a.b", "", Verdict.PASS, "", "t", AT, 0.0))
    with pytest.raises(JournalError, match="a finding in the journal cannot be read"):
        journal.finding_from_json({**plain, **damage})
    with pytest.raises(JournalError, match="a decision in the journal cannot be read"):
        journal.decision_from_json({**plain, **damage})


def test_segments_tell_a_killed_run_from_an_ended_one(tmp_path):
    """A run without an `end` line was killed: its tests count, but it has no end and no decision."""
    writer = Writer(tmp_path)
    found = journal.finding_to_json(Finding("a.b", "db1", Verdict.PASS, "", "t", AT, 0.0))
    decided = Decision(Outcome.GO, "phase2", 0, (), AT + timedelta(seconds=1))
    writer.append("run", {"run": "r1"})
    writer.append("test", {"run": "r1", "test": "t", "findings": [found]})
    writer.append("run", {"run": "r2"})
    writer.append("test", {"run": "r2", "test": "t", "findings": [found, found]})
    writer.append("decision", {"run": "r2", "decision": journal.decision_to_json(decided)})
    writer.append("end", {"run": "r2"})
    writer.close()
    killed, ended = journal.segments(journal.read(tmp_path)[0])
    assert (killed.run, killed.ended, killed.decision, len(killed.tests)) == ("r1", None, None, 1)
    assert ended.decision == decided
    assert ended.ended is not None
    assert [len(test.findings) for test in ended.tests] == [2]


@pytest.mark.parametrize(
    "figure",
    [
        {"points": [[0.1, 0.5], {"": []}]},
        {"points": [[0.1, "x"]]},
        {"points": 7},
        {"limit": "x"},
        {"samples": None},
        {"title": 7},
        {"kind": "series", "lines": [{"name": "a", "points": [[1, 2, 3]]}]},
        {"kind": "series", "lines": [], "start": "yesterday"},
        {"kind": "spans", "rows": [["db1", [[0, 1]]]], "until": 1.0},
        {"kind": "spans", "rows": [["db1", [[0, 1, 7]]]], "until": 1.0},
        {"kind": "pie"},
    ],
)
def test_a_figure_that_cannot_be_drawn_is_refused(figure):
    shape = {"kind": "distribution", "title": "p99", "unit": "s", "points": [[0.1, 0.5]]}
    if figure.get("kind", "distribution") != "distribution":
        shape = {"title": "lag", "unit": "s"} if figure["kind"] == "series" else {"title": "up"}
    plain = journal.finding_to_json(Finding("a.b", "db1", Verdict.PASS, "", "t", AT, 0.0))
    with pytest.raises(JournalError, match="a finding in the journal cannot be read"):
        journal.finding_from_json(plain | {"figures": [shape | figure]})
    good = {"kind": "distribution", "title": "p99", "unit": "s", "points": [[0.1, 0.5]]}
    assert journal.finding_from_json(plain | {"figures": [good]}).figures


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("readings", [{"name": "n", "value": []}]),
        ("readings", [{"name": None, "value": 1}]),
        ("readings", [{"name": "n", "value": 1, "ok": "yes"}]),
        ("readings", {"name": "n", "value": 1}),
        ("evidence", [{"path": 7, "sha256": "x"}]),
        ("notes", "a text"),
        ("notes", [7]),
        ("duration_s", "1"),
        ("duration_s", float("nan")),
        ("confirmed", 1),
        ("item", None),
        ("at", "2026-11-29T10:00:00"),
        ("at", "9999-12-31T23:59:59-14:00"),
    ],
)
def test_a_value_of_another_type_is_no_finding(key, value):
    with pytest.raises(JournalError, match="a finding in the journal cannot be read"):
        journal.finding_from_json(
            journal.finding_to_json(Finding("a.b", "db1", Verdict.PASS, "", "t", AT, 0.0)) | {key: value}
        )
