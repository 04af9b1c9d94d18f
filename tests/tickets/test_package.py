"""What is attached: the same bytes each time, and split where the ticket takes less."""

from __future__ import annotations

import os
import random
import zipfile
from pathlib import Path

import pytest

from pytest_deploygate.clients.tickets.attaching import too_large
from pytest_deploygate.clients.tickets.ticket import File, Limits
from pytest_deploygate.files import sha256
from pytest_deploygate.report import package
from pytest_deploygate.report.package import PackageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "CHG-1"
    noise = random.Random(1)
    for name, size in {
        "journal.jsonl": 50_000, "signoff.html": 20_000, "verdicts.json": 100, "junit.xml": 100,
        "evidence/a/one.json": 40_000, "evidence/b.png": 60_000, "signatures/lead.json": 500,
        "tickets/jira-OPS-1.jsonl": 100, "STOP": 0,
    }.items():  # fmt: skip
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(noise.randbytes(size))
    (made / "evidence" / "link").symlink_to("/etc/hostname")
    return made


def made(folder: Path, place: Path, largest: int = 10**9) -> list[File]:
    place.mkdir()
    return package.make(folder, "CHG-1", place, largest)


def test_the_same_bytes_each_time(folder, tmp_path):
    first = made(folder, tmp_path / "one")
    os.utime(folder / "junit.xml", (1, 1))
    assert [f.name for f in made(folder, tmp_path / "two")] == [f.name for f in first]
    (folder / "signatures" / "other.json").write_text("{}")
    third = made(folder, tmp_path / "three")
    assert [a.name == b.name for a, b in zip(first, third, strict=True)] == [True, False]
    with zipfile.ZipFile(first[1].path) as archive:
        names = archive.namelist()
    assert names == [
        "journal.jsonl", "verdicts.json", "junit.xml", "signoff.html", "evidence/a/one.json", "evidence/b.png",
        "signatures/lead.json", "SHA256SUMS",
    ]  # fmt: skip


def test_a_large_archive_is_split_into_archives(folder, tmp_path):
    files = made(folder, tmp_path / "parts", 80_000)
    assert all(file.size <= 80_000 for file in files)
    assert [file.name.rpartition("-")[0] for file in files] == [
        "signoff-CHG-1", "evidence-CHG-1-1of3", "evidence-CHG-1-2of3", "evidence-CHG-1-3of3",
    ]  # fmt: skip
    seen = {}
    for file in files[1:]:
        with zipfile.ZipFile(file.path) as archive:
            assert archive.testzip() is None
            seen |= {name: sha256(archive.read(name)) for name in archive.namelist()}
    assert seen["evidence/b.png"] == sha256((folder / "evidence" / "b.png").read_bytes())
    assert files[2].what == "journal, results, evidence and signatures, part 2 of 3"


def test_what_cannot_be_split_is_refused_before_anything_is_sent(folder, tmp_path):
    with pytest.raises(
        PackageError, match=r"^evidence/b\.png needs 6\d,\d+ bytes, and the largest file .* has 55,000"
    ):
        made(folder, tmp_path / "small", 55_000)
    with pytest.raises(PackageError, match=r"^signoff\.html needs 20,000 bytes"):
        made(folder, tmp_path / "smaller", 10_000)
    (folder / "signoff.html").unlink()
    with pytest.raises(PackageError, match="is not there: run the gate first"):
        made(folder, tmp_path / "none")


def test_limits_are_said(tmp_path):
    file = File(tmp_path, "evidence-1.zip", "0" * 64, 11, "application/zip", "evidence")
    assert too_large([file], Limits(11, "x")) == ""
    assert "has 11 bytes, and the largest file that it takes has 10 (attachment/meta)" in too_large(
        [file], Limits(10, "attachment/meta")
    )
    assert "extension .zip are not allowed there (pdf, html)" in too_large(
        [file], Limits(99, "x", ("pdf", "html"))
    )
    assert too_large([file], Limits(0, "x", refused="switched off")) == "switched off"
