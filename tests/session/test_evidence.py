"""Where evidence goes: the first pieces to files, then what is small to the journal."""

from __future__ import annotations

import dataclasses
import hashlib
import stat

import pytest

from pytest_deploygate.journal import finding_from_json, finding_to_json, utcnow
from pytest_deploygate.model import Evidence, Finding, Verdict
from pytest_deploygate.session.evidence import SMALL, EvidenceLost, Store, intact


def test_the_first_pieces_are_files_and_then_small_ones_are_in_the_journal(tmp_path):
    store = Store(tmp_path, 0o640, files=2)
    kept = [store.keep("item--db1", "measurement", f"{n}\n") for n in range(4)]
    assert [bool(one.path) for one in kept] == [True, True, False, False]
    assert [one.content for one in kept] == ["", "", "2\n", "3\n"]
    assert [one.sha256 for one in kept] == [hashlib.sha256(f"{n}\n".encode()).hexdigest() for n in range(4)]
    files = sorted((tmp_path / "evidence").iterdir())
    assert sorted(f"evidence/{file.name}" for file in files) == sorted(one.path for one in kept[:2])
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o640}
    assert all(intact(tmp_path, one) for one in kept)


@pytest.mark.parametrize(("size", "is_file"), [(SMALL, False), (SMALL + 1, True)])
def test_what_is_large_is_always_a_file(tmp_path, size, is_file):
    """The size counts in bytes, not in characters."""
    for text in ("x" * size, "é" * (size // 2) + "x" * (size % 2)):
        kept = Store(tmp_path, files=0).keep("item", "measurement", text)
        assert (bool(kept.path), bool(kept.content)) == (is_file, not is_file)


def test_what_was_altered_or_is_missing_is_not_intact(tmp_path):
    file = Store(tmp_path).keep("item", "measurement", "one")
    inside = Store(tmp_path, files=0).keep("item", "measurement", "one")
    assert not intact(tmp_path, dataclasses.replace(inside, content="two"))
    assert not intact(tmp_path, dataclasses.replace(inside, content=""))
    (tmp_path / file.path).write_text("two")
    assert not intact(tmp_path, file)
    (tmp_path / file.path).unlink()
    assert not intact(tmp_path, file)


@pytest.mark.parametrize(
    "text", ["half of a pair: \ud800", "snow ☃ and \u202e", '{"quoted": "\\"\\n"}', "x" * SMALL]
)
def test_the_journal_gives_back_each_character(tmp_path, text):
    """Also one that is no character: as in a file, it becomes an escape of JSON, and the digest is of that."""
    kept = Store(tmp_path, files=0).keep("item", "measurement", text)
    finding = Finding("item", "", Verdict.PASS, "", "test", utcnow(), 0.0, evidence=(kept,))
    assert finding_from_json(finding_to_json(finding)) == finding
    assert kept.path or hashlib.sha256(kept.content.encode()).hexdigest() == kept.sha256
    assert intact(tmp_path, kept)


def test_a_file_in_the_journal_is_written_as_ever():
    """Lines of an earlier version have no content, and the line of a file has none either."""
    finding = Finding(
        "i", "", Verdict.PASS, "", "t", utcnow(), 0.0, evidence=(Evidence("evidence/x", "0" * 64, "m"),)
    )
    plain = finding_to_json(finding)
    assert plain["evidence"] == [{"path": "evidence/x", "sha256": "0" * 64, "title": "m"}]
    assert finding_from_json(plain) == finding


def test_a_folder_that_cannot_be_written_loses_evidence(tmp_path):
    (tmp_path / "evidence").write_text("in its place")
    with pytest.raises(EvidenceLost, match="evidence/item--"):
        Store(tmp_path).keep("item", "measurement", "one")
