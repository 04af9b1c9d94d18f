"""Log files on this machine: rotated, packed, of several forms; and what cannot be read of them."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pytest_deploygate.checks.error_logs import judge, probe
from pytest_deploygate.checks.error_logs.facts import Compared, Seen
from pytest_deploygate.checks.error_logs.probe import parts, seeking
from pytest_deploygate.checks.error_logs.section import ErrorLogs
from pytest_deploygate.model import Judgement, Verdict

#: The latest night ended at 06:00 of this day.
NOW = datetime(2026, 11, 29, 9, 30, tzinfo=UTC)
BEGIN = datetime(2026, 11, 28, 22, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
CANARY = "hunter2secret"


def night(begin: datetime, *errors: str, every: int = 10, form: str = "text") -> str:
    """Lines of a night: an entry every ten minutes, and errors one after the other, each as often as others."""
    lines = [(begin + timedelta(minutes=n), "INFO", f"tick {n}") for n in range(0, 480, every)]
    lines += [
        (begin + timedelta(minutes=n % 480, seconds=30), "ERROR", said) for n, said in enumerate(errors)
    ]
    return "".join(_line(*each, form) for each in sorted(lines))


def _line(at: datetime, level: str, said: str, form: str) -> str:
    if form == "json":
        head, *rest = said.split("\n")
        return (
            json.dumps({"ts": at.timestamp(), "level": level, "msg": head, "exception": "\n".join(rest)})
            + "\n"
        )
    if form == "rfc5424":
        number = 131 if level == "ERROR" else 134
        return f'<{number}>1 {at.isoformat()} web1 app 12 - [a b="c"] {said}\n'
    return f"{at:%Y-%m-%dT%H:%M:%S}Z {level} app: {said}\n"


def section(log: Path, **changes: object) -> ErrorLogs:
    source = {"name": "app", "connection": "local://", "file": str(log)} | dict(changes.pop("source", {}))  # type: ignore[call-overload]
    return ErrorLogs.model_validate({"sources": [source], **changes})


def compared(log: Path, **changes: object) -> tuple[Compared, Judgement]:
    wanted = section(log, **changes)
    found = probe.compare(wanted, {}, NOW)
    return found, judge.judge(found, wanted)


def put(file: Path, text: str, until: datetime) -> Path:
    """Write a file as if it had been written last at a time; packed by its suffix."""
    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}.get(file.suffix)
    file.write_bytes(pack(text.encode()) if pack else text.encode())
    os.utime(file, (until.timestamp(), until.timestamp()))
    return file


@pytest.mark.parametrize(
    "name",
    ["app.log.1", "app.log-20261122", "app.log.1.gz", "app-20261122.log.gz", "app.log.2.bz2", "app.log.2.xz"],
)
def test_rotated_and_packed_files(tmp_path: Path, name: str) -> None:
    put(tmp_path / name, night(BEGIN - WEEK, *["boom 1"] * 30), BEGIN - WEEK + timedelta(hours=9))
    log = put(tmp_path / "app.log", night(BEGIN, *["boom 2"] * 30), NOW)
    found, judged = compared(log)
    assert judged.verdict is Verdict.PASS
    assert (found.sources[0].now.errors, found.sources[0].before.errors) == (30, 30)
    assert judged.reason == (
        "30 errors in 78 entries of 1 log, 2026-11-28 22:00 to 06:00 UTC; 30 in the same hours 7 d before: no new signature "
        "more than 5 times, none more than 2 times as often"
    )


@pytest.mark.parametrize("form", ["text", "json", "rfc5424"])
def test_a_new_error(tmp_path: Path, form: str) -> None:
    said = f"boom of user 3\nTraceback (most recent call last):\nKeyError: 'a'\npassword={CANARY}"
    if form == "rfc5424":
        said = "boom of user 3"
    both = night(BEGIN - WEEK, *["usual 1"] * 9, form=form) + night(
        BEGIN, *["usual 2"] * 9, *[said] * 6, form=form
    )
    log = put(tmp_path / "app.log", both, NOW)
    found, judged = compared(log, source={"format": form})
    assert judged.verdict is Verdict.FAIL
    assert "app: new error, 6 times, first at 22:09 UTC:" in judged.reason
    assert "boom of user *" in judged.reason
    assert CANARY not in f"{found}{judged}"
    assert (found.sources[0].places[0].strange, found.sources[0].distinct) == (0, 2)


def test_parts_of_a_file_and_lines_across_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", 1000)
    put(tmp_path / "app.log.1.gz", night(BEGIN - WEEK, *["boom 1"] * 30), BEGIN)
    log = put(tmp_path / "app.log", night(BEGIN, *["boom 2"] * 30), NOW)
    found, _ = compared(log)
    assert (found.sources[0].now.entries, found.sources[0].before.entries) == (78, 78)


@pytest.mark.parametrize("trace", [False, True])
def test_of_a_large_file_the_nights_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, trace: bool
) -> None:
    """A file of three weeks that nobody rotates."""
    more = (
        "\n".join(["boom 1", "Traceback (most recent call last):", *["  frame"] * 40, "KeyError: 1"])
        if trace
        else "boom 1"
    )
    text = "".join(night(BEGIN + timedelta(hours=8 * part), *[more] * 30) for part in range(-3 * 14, 2))
    log = put(tmp_path / "app.log", text, NOW)
    whole, judged = compared(log)
    monkeypatch.setattr(parts, "PART", 8000)
    monkeypatch.setattr(seeking, "_SAMPLE", 2000)
    found, _ = compared(log)
    assert judged.verdict is Verdict.PASS
    assert (found.sources[0].now, found.sources[0].before) == (whole.sources[0].now, whole.sources[0].before)
    assert whole.sources[0].now.entries == 78
    assert found.sources[0].places[0].lines < whole.sources[0].places[0].lines / 4


def test_files_between_the_nights_are_not_read(tmp_path: Path) -> None:
    put(tmp_path / "app.log-20261122", night(BEGIN - WEEK), BEGIN - WEEK + timedelta(hours=12))
    put(tmp_path / "app.log-20261125", "no line of an entry\n" * 500, BEGIN - timedelta(days=3))
    put(tmp_path / "app.log-20261128", "", BEGIN - timedelta(hours=5))
    log = put(tmp_path / "app.log", night(BEGIN), NOW)
    found, judged = compared(log)
    assert judged.verdict is Verdict.PASS
    assert found.sources[0].places[0].lines < 500 + 200


@pytest.mark.parametrize(
    ("before", "now", "changes", "says"),
    [
        (
            "",
            night(BEGIN),
            {},
            "it has no entry from 2026-11-21 22:00 to 06:00 UTC: keep logs longer than 7 d",
        ),
        (
            night(BEGIN - WEEK),
            "",
            {},
            "it has no entry from 2026-11-28 22:00 to 06:00 UTC: silence is no proof",
        ),
        (
            night(BEGIN - WEEK),
            "".join(night(BEGIN).splitlines(keepends=True)[:20]),
            {},
            "it has no entry for 4.83 h from 2026-11-29 01:10 UTC on, at most 60 min is allowed",
        ),
        (
            night(BEGIN - WEEK),
            night(BEGIN).replace("Z INFO", " INFO"),
            {},
            "48 of its entries have a time without a zone: declare `zone`",
        ),
        (night(BEGIN - WEEK), "<html>log in</html>\n" * 99, {}, "silence is no proof"),
        (
            "",
            "Nov 28 22:00:01 web1 app: hello 1\n" * 99,
            {},
            "99 of its 99 lines have another form than declared, like: a 9 9:9:9",
        ),
        (
            night(BEGIN - WEEK),
            night(
                BEGIN, *(f"boom {'abcdefghijklmnopqrstuvwxyz'[n % 26] * (3 + n // 26)}" for n in range(90))
            ),
            {},
            "90 of 90 errors have a signature of their own, so a new one means nothing: add `masks`",
        ),
        (
            night(BEGIN - WEEK, *["usual"] * 25),
            night(BEGIN, *["boom a", "boom b", "boom c", "boom d", "boom e"] * 5),
            {},
            "25 errors of 5 new signatures, none more than 5 times: new kinds of errors, or one kind that needs `masks`",
        ),
        (night(BEGIN - WEEK), night(BEGIN), {"most": "1kB"}, "more than 1 kB of it would have to be read"),
        (night(BEGIN - WEEK), night(BEGIN), {"within": "0s"}, "not all of it could be read in time"),
        (
            night(BEGIN - WEEK, *["boom"] * 24),
            night(BEGIN, *["boom"] * 40),
            {},
            "40 errors after 24 in the same hours 7 d before: too few to tell whether they are more than 2 times as frequent",
        ),
    ],
)
def test_unknown(tmp_path: Path, before: str, now: str, changes: dict[str, object], says: str) -> None:
    log = put(tmp_path / "app.log", before + now, NOW)
    _, judged = compared(log, **changes)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert says in judged.reason


@pytest.mark.parametrize(
    ("field", "seen", "says"),
    [
        ("now", Seen(False, 8 * 3600.0, BEGIN), "web2:app.log: it has no entry from 2026-11-28 22:00 to 06:00 UTC: silence"),
        ("now", Seen(True, 2 * 3600.0, BEGIN), "web2:app.log: it has no entry for 2 h from 2026-11-28 22:00 UTC on"),
        ("before", Seen(False, 8 * 3600.0, BEGIN - WEEK), "web2:app.log: it has no entry from 2026-11-21 22:00"),
    ],
)  # fmt: skip
def test_one_of_two_hosts_is_silent(tmp_path: Path, field: str, seen: Seen, says: str) -> None:
    """What the log has of one host does not hide that the other one, whose errors are in the same log, wrote nothing."""
    log = put(tmp_path / "app.log", night(BEGIN - WEEK) + night(BEGIN), NOW)
    found, judged = compared(log)
    assert judged.verdict is Verdict.PASS
    (source,) = found.sources
    (first,) = source.places
    assert (first.now, first.before) == (Seen(True, 600.0, BEGIN), Seen(True, 600.0, BEGIN - WEEK))
    second = replace(first, name="web2:app.log", **{field: seen})
    both = replace(found, sources=(replace(source, places=(first, second)),))
    judged = judge.judge(both, section(log))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert says in judged.reason


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    def says(log: Path) -> str:
        _, judged = compared(log)
        assert judged.verdict is Verdict.INCONCLUSIVE
        return judged.reason

    assert "there is no such file" in says(tmp_path / "none.log")
    assert "it is a folder" in says(tmp_path)
    put(tmp_path / "app.log.1.gz", "x", BEGIN).write_bytes(b"damaged")
    os.utime(tmp_path / "app.log.1.gz", (BEGIN.timestamp(),) * 2)
    assert "cannot be unpacked" in says(put(tmp_path / "app.log", night(BEGIN), NOW))
    cut = gzip.compress(night(BEGIN - WEEK).encode())[:-200]
    (tmp_path / "app.log.1.gz").write_bytes(cut)
    os.utime(tmp_path / "app.log.1.gz", (BEGIN.timestamp(),) * 2)
    assert "cannot be unpacked" in says(tmp_path / "app.log")


def test_a_copy_would_count_twice(tmp_path: Path) -> None:
    """`gzip -k` keeps the file beside the packed one."""
    for name in ("app.log.1", "app.log.1.gz"):
        put(tmp_path / name, night(BEGIN - WEEK, *["boom"] * 30), BEGIN)
    _, judged = compared(put(tmp_path / "app.log", night(BEGIN, *["boom"] * 90), NOW))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "begin with the same line, so one is a copy of the other: remove one of them" in judged.reason


def test_a_rise(tmp_path: Path) -> None:
    both = night(BEGIN - WEEK, *["boom"] * 30, *["other"] * 30) + night(
        BEGIN, *["boom"] * 140, *["other"] * 30
    )
    _, judged = compared(put(tmp_path / "app.log", both, NOW))
    assert judged.verdict is Verdict.FAIL
    assert "170 errors from 2026-11-28 22:00 to 06:00 UTC, 60 in the same hours 7 d before" in judged.reason
    assert "140 times after 30, more than 2 times as often: ERROR app: boom" in judged.reason


def test_few_errors_are_not_compared(tmp_path: Path) -> None:
    _, judged = compared(
        put(tmp_path / "app.log", night(BEGIN - WEEK, "boom") + night(BEGIN, *["boom"] * 20), NOW)
    )
    assert judged.verdict is Verdict.PASS


def test_known_errors_are_counted_in_a_note(tmp_path: Path) -> None:
    log = put(tmp_path / "app.log", night(BEGIN - WEEK) + night(BEGIN, *["boom 3"] * 40), NOW)
    assert compared(log)[1].verdict is Verdict.FAIL
    _, judged = compared(log, source={"expected": ["app: boom"]})
    assert (judged.verdict, judged.notes) == (Verdict.PASS, ("app: 40 errors are declared as `expected`",))


def test_hours_of_a_zone_and_of_a_day(tmp_path: Path) -> None:
    log = put(tmp_path / "app.log", night(BEGIN), NOW)
    hours = probe.compare(section(log, zone="America/New_York"), {}, NOW).now
    assert hours.begin.isoformat() == "2026-11-27T22:00:00-05:00"  # the night there is not over
    day = probe.compare(section(log, hours="01:00-05:00"), {}, NOW)
    assert (day.now.begin, day.now.length_s) == (BEGIN + timedelta(hours=3), 4 * 3600)
    assert day.before.begin == BEGIN + timedelta(hours=3) - WEEK
    spring = datetime(2026, 3, 29, 9, 0, tzinfo=UTC)  # clocks went forward in that night
    found = probe.compare(section(log, zone="Europe/Berlin"), {}, spring)
    assert (found.now.length_s, found.before.length_s) == (7 * 3600, 8 * 3600)


def test_the_picture_has_gaps(tmp_path: Path) -> None:
    text = night(BEGIN - WEEK, "boom") + "".join(night(BEGIN, "boom").splitlines(keepends=True)[:20])
    _, judged = compared(put(tmp_path / "app.log", text, NOW))
    (figure,) = judged.figures
    now, before = figure.lines  # type: ignore[union-attr]
    assert (now.points[0][1], now.points[-1][1], before.points[-1][1]) == (1, None, 0)
    assert figure.start == "2026-11-28T22:00:00+00:00"  # type: ignore[union-attr]
