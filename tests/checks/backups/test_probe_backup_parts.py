"""WAL arithmetic, output of tools, comparisons and records: pure parts, with damaged, missing or partial input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checks.backups.facts import RestoreFacts
from pytest_deploygate.checks.backups.probe import barman, contents, pgbackrest, wal
from pytest_deploygate.checks.backups.probe.contents import Chosen, Contents, Table, compare
from pytest_deploygate.drills import record as drills
from pytest_deploygate.model import CannotTell

SIZE = 16 * 1024**2
CHOSEN = Chosen((Table("a", "t"),), ())
LINE = ("relation", "a.t", "r p owner")


@given(st.integers(1, 9), st.integers(0, 2**20), st.sampled_from([1024**2, SIZE, 1024**3]))
def test_a_segments_name_and_number_are_one(timeline: int, segment: int, size: int) -> None:
    assert wal.number(wal.name(timeline, segment, size), size) == segment


def test_gaps_are_found_and_a_change_of_timeline_is_none():
    names = [wal.name(1, n, SIZE) for n in range(6)]
    assert wal.missing(names, names[0], names[5], SIZE) == ()
    assert wal.missing(names[:2] + names[3:], names[0], names[5], SIZE) == (names[2],)
    switched = names[:3] + [wal.name(2, n, SIZE) for n in range(2, 5)]
    assert wal.missing(switched, names[0], wal.name(2, 4, SIZE), SIZE) == ()
    assert wal.missing([], names[0], names[1], SIZE) == (names[0], names[1])


def test_the_last_log_has_a_next():
    assert wal.name(1, 255, SIZE) == "0000000100000000000000FF"
    assert wal.name(1, 256, SIZE) == "000000010000000100000000"


def test_a_listing_has_segments_and_other_files():
    text = "15-1/x/000000020000000000000009-67e5.lz4\n000000020000000000000009.00000028.backup\n00000003.history\n00000002000000000000000A.partial"
    assert wal.names(text) == {"000000020000000000000009"}


def contents_of(parts: dict[int, tuple[int, str]], *catalog: tuple[str, str, str]) -> Contents:
    return Contents({"a.t": parts}, frozenset(catalog or (LINE,)))


OLD, NEW, ODD = {0: (5, "11"), 1: (3, "7")}, {0: (6, "40"), 1: (3, "7")}, {0: (5, "99"), 1: (3, "7")}


@pytest.mark.parametrize("restored", [OLD, NEW])
def test_as_before_or_as_after_the_marker_is_equal(restored):
    found = compare(contents_of(OLD), contents_of(NEW), contents_of(restored), CHOSEN)
    assert (found.differs, found.uncertain_rows) == ((), 0)


def test_a_part_that_changed_at_the_marker_is_uncertain_not_wrong():
    found = compare(contents_of(OLD), contents_of(NEW), contents_of(ODD), CHOSEN)
    assert (found.differs, found.uncertain_rows) == ((), 6)


@pytest.mark.parametrize(
    ("restored", "words"),
    [
        (ODD, "other values in 1 of"),
        ({0: (4, "10"), 1: (3, "7")}, "1 rows too few"),
        ({0: (5, "11"), 1: (9, "70")}, "6 rows too many"),
        ({}, "8 rows too few"),
    ],
)
def test_a_part_that_did_not_change_must_be_the_same(restored, words):
    found = compare(contents_of(OLD), contents_of(OLD), contents_of(restored), CHOSEN)
    assert words in found.differs[0]


def test_a_table_that_is_not_restored_and_a_changed_catalog_differ():
    gone = compare(contents_of(OLD), contents_of(OLD), Contents({}, frozenset({LINE})), CHOSEN)
    assert gone.differs == ("a.t is missing",)
    other = compare(contents_of(OLD), contents_of(OLD), contents_of(OLD, ("index", "a.i", "x")), CHOSEN)
    assert other.catalog_differs == ("relation a.t: missing or different", "index a.i: not in the source")


def test_what_is_no_answer_of_the_script_cannot_be_told():
    with pytest.raises(CannotTell, match="something unexpected"):
        contents.parse("t\ta.t\t[]\nsurprise")


INFO = {
    "name": "p", "status": {"code": 0, "message": "ok"},
    "backup": [{
        "label": "20260301-020000F", "type": "full", "error": False, "archive": {"start": "0" * 24, "stop": "0" * 24},
        "timestamp": {"start": 1772330400, "stop": 1772330500}, "info": {"size": 9, "repository": {"delta": 4}},
    }],
}  # fmt: skip


def test_pgbackrest_info_is_read_with_and_without_the_size_in_the_repository():
    (found,) = pgbackrest.parse_backups([INFO], "p")
    assert (found.label, found.kind, found.stored_bytes) == ("20260301-020000F", "full", 4)
    assert pgbackrest.parse_backups([INFO], "another") == ()


@pytest.mark.parametrize(
    "info",
    [
        INFO | {"status": {"code": 99, "message": "other"}},
        INFO | {"backup": [{"label": "x"}]},
        {"name": "p"},
    ],
)
def test_pgbackrest_info_that_cannot_be_understood_is_no_empty_list(info):
    with pytest.raises(CannotTell):
        pgbackrest.parse_backups([info], "p")


VERIFY = """stanza: p
status: error
  archiveId: 15-1, total WAL checked: 4, total valid WAL: 4
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: F1, status: valid, total files checked: 9, total valid files: 9
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: F2, status: invalid, total files checked: 9, total valid files: 8
    missing: 0, checksum invalid: 1, size invalid: 0, other: 0
"""


def test_pgbackrest_verify_is_read_by_its_words():
    assert pgbackrest._said(VERIFY, "F1") == []
    assert pgbackrest._said(VERIFY, "F2") == ["status: invalid, checksum invalid 1"]
    assert "checksum invalid 1" in str(pgbackrest._said(VERIFY, "F2_I1"))
    assert pgbackrest._said("stanza: p\nstatus: error", "F1") == ["status: error"]


def test_barman_tells_of_a_server_that_it_does_not_know():
    with pytest.raises(CannotTell, match="Unknown server"):
        barman.parse_backup({"_ERROR": ["Unknown server 'p'"]}, "p")
    assert barman.parse_backup({"p": {"backup_id": "x", "status": "FAILED"}}, "p") is None
    with pytest.raises(CannotTell, match="cannot be parsed"):
        barman.parse_backup({"p": {"backup_id": "x", "status": "DONE"}}, "p")


def test_a_tablespace_is_never_restored_to_where_production_has_it():
    assert barman.tablespaces({"tablespaces": [{"name": "fast", "location": "/fast"}]}) == ("fast",)
    assert barman.tablespaces({"tablespaces": {"fast": "/fast"}}) == ("fast",)
    assert barman.tablespaces({"tablespaces": None}) == ()


@pytest.mark.parametrize(
    "text",
    [
        '{"date": "2026-03-01T00:00:00Z", "outcome": "good", "rto_s": 60, "rpo_s": 1.5}',
        '{"date": "2026-03-01T00:00:00+01:00", "outcome": "good", "rto_s": 60, "rpo_s": 1.5, "by": "A. Person", "ours": 1}',
        # Written by an earlier version.
        json.dumps(
            {
                "backup": "F1", "backup_finished": "2026-02-28T01:00:00+00:00", "by": "restore drill", "catalog_differs": [],
                "catalog_lines": 50, "compared_s": 0.5, "configuration": {"version": "15"}, "copied_s": 1.0,
                "date": "2026-03-01T00:00:00+00:00", "differs": [], "digest": "d", "index_problem": "", "indexes": 7,
                "isolation": {"archive_mode": "off"}, "left": ["a"], "marker_at": "2026-03-01T00:00:00+00:00",
                "marker_found": True, "outcome": "good", "reason": "", "recovered_s": 1.0, "rows": 1000, "rpo_s": 1.5,
                "rto_s": 60.0, "sampled": [], "swept": [], "tables": 5, "total_s": 3.0, "uncertain_rows": 0,
            }
        ),
    ],
)  # fmt: skip
def test_a_record_of_people_or_of_an_earlier_version_is_read(tmp_path: Path, text: str):
    (tmp_path / "r.json").write_text(text)
    found, problem = drills.read(tmp_path / "r.json", RestoreFacts)
    assert found is not None, problem
    assert (found.outcome, found.facts.rto_s, found.facts.rpo_s) == ("good", 60.0, 1.5)
    assert found.date.date().isoformat() == "2026-03-01"


@pytest.mark.parametrize("rto", ['"5"', "true", "NaN", "[1]"])
def test_seconds_that_are_no_number_are_no_record(tmp_path: Path, rto: str):
    (tmp_path / "r.json").write_text(f'{{"date": "2026-03-01T00:00:00Z", "outcome": "good", "rto_s": {rto}}}')
    found, problem = drills.read(tmp_path / "r.json", RestoreFacts)
    assert found is None
    assert "number" in problem
