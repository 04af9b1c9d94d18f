"""Attestation files: every mistake in one is reported, with its line, and nothing is guessed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_deploygate.checklist import attestations
from pytest_deploygate.checklist.records import RecordsError

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
DIGEST = "a" * 64
GOOD = f"""\
item: sec.audit
role: Security lead
name: The security lead
at: 2026-03-01T10:00:00+02:00
valid_until: 2026-06-01T00:00:00Z
evidence:
  - file: reports/audit.pdf
    sha256: {DIGEST}
  - url: https://wiki.example/audit
    note: minutes
findings:
  file: reports/scan.sarif
  sha256: {DIGEST}
change: CHG-1
"""


def write(root, text, name="one.yml"):
    (root / "attestations").mkdir(exist_ok=True)
    (root / "attestations" / name).write_text(text)


def problems(root, checklist, text, **options):
    write(root, text)
    with pytest.raises(RecordsError) as raised:
        attestations.load_all(root, checklist, now=NOW, **options)
    return [str(problem) for problem in raised.value.problems]


def test_a_good_one_is_read_as_it_stands(tmp_path, checklist):
    write(tmp_path, GOOD)
    (found,) = attestations.load_all(tmp_path, checklist, now=NOW)
    assert (found.item, found.role, found.name) == ("sec.audit", "security-lead", "The security lead")
    assert found.at == datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
    assert found.meaning == "Security audit completed"
    assert [backing.where for backing in found.evidence] == [
        "reports/audit.pdf",
        "https://wiki.example/audit",
    ]
    assert found.findings is not None
    assert found.findings.allowed == "warning"
    assert (found.change, found.inventory, found.file) == ("CHG-1", "", "attestations/one.yml")


def test_no_folder_means_none(tmp_path, checklist):
    assert attestations.load_all(tmp_path, checklist) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("item: sec.audit", "item: sec.audits", 1, "no item 'sec.audits' in the checklist; did you mean 'sec.audit'?"),
        ("item: sec.audit", "item: db.pooling", 1, "db.pooling is automated"),
        ("role: Security lead", "role: Securty lead", 2, "did you mean 'security-lead'?"),
        ("name: The security lead", "name: TODO", 3, "'TODO' is a placeholder"),
        ("name: The security lead\n", "", 1, "name: is missing (who attests it)"),
        ("2026-03-01T10:00:00+02:00", "2021-07-07", 4, "is not ISO 8601 with a time zone"),
        ("2026-03-01T10:00:00+02:00", "2026-03-01T10:00:00", 4, "is not ISO 8601 with a time zone"),
        ("2026-03-01T10:00:00+02:00", "03/01/2026", 4, "is not ISO 8601;"),
        ("2026-03-01T10:00:00+02:00", "2026-02-30T10:00:00Z", 4, "does not exist in the calendar"),
        ("2026-03-01T10:00:00+02:00", "2026-03-05T10:00:00Z", 4, "is in the future"),
        ("2026-06-01T00:00:00Z", "2026-02-01T00:00:00Z", 5, "is not after `at`"),
        ("reports/audit.pdf", "../audit.pdf", 7, "must be a path below"),
        ("reports/audit.pdf", "/etc/passwd", 7, "must be a path below"),
        (f"    sha256: {DIGEST}\n  - url", "  - url", 7, "sha256: is missing"),
        (DIGEST, "abc", 8, "is not a SHA-256"),
        ("https://wiki.example/audit", "ftp://wiki.example", 9, "must begin with https://"),
        ("https://wiki.example/audit", "https://u:pw@wiki.example", 9, "contains a user or password"),
        ("  - url: https://wiki.example/audit\n    note", "  - note", 9, "either a `file`"),
        ("change: CHG-1", "chnge: CHG-1", 14, "unknown key 'chnge'; did you mean 'change'?"),
        ("change: CHG-1", "item: sec.audit", 14, "duplicate key 'item'"),
        ("change: CHG-1", "change: [CHG-1]", 14, "change: must be text"),
        ("change: CHG-1", "change: {", 15, "this is not YAML"),
    ],
)  # fmt: skip
def test_each_mistake_is_said_with_its_line(tmp_path, checklist, old, new, line, says):
    assert old in GOOD
    (problem,) = problems(tmp_path, checklist, GOOD.replace(old, new, 1))
    assert problem.startswith(f"attestations/one.yml:{line}: ")
    assert says in problem


def test_all_mistakes_of_all_files_are_said_at_once(tmp_path, checklist):
    write(tmp_path, "- a list\n", "two.yml")
    said = problems(tmp_path, checklist, GOOD.replace("sec.audit\n", "x\n").replace("2026-06-01T", "soon"))
    assert len(said) == 3


def test_evidence_is_needed(tmp_path, checklist):
    text = GOOD[: GOOD.index("evidence:")]
    assert "at least one file" in problems(tmp_path, checklist, text)[0]


def test_findings_level_has_a_name(tmp_path, checklist):
    text = GOOD.replace("change:", "  allowed: warnings\nchange:")
    assert "did you mean 'warning'?" in problems(tmp_path, checklist, text)[0]


def test_the_same_one_twice_is_a_mistake(tmp_path, checklist):
    write(tmp_path, GOOD, "a.yml")
    assert "attests sec.audit again" in problems(tmp_path, checklist, GOOD)[0]


def test_an_expired_one_is_no_mistake(tmp_path, checklist):
    write(tmp_path, GOOD)
    assert attestations.load_all(tmp_path, checklist, now=NOW.replace(year=2027))


def test_items_that_no_test_is_bound_to_can_be_let_in(tmp_path, checklist):
    write(tmp_path, GOOD.replace("sec.audit", "db.pooling"))
    assert attestations.load_all(tmp_path, checklist, also={"db.pooling"}, now=NOW)


def test_roles_of_the_inventory_count_too(tmp_path, checklist):
    write(tmp_path, GOOD.replace("Security lead", "Database admin", 1))
    assert attestations.load_all(tmp_path, checklist, roles=["Database admin"], now=NOW)


@pytest.mark.parametrize(
    ("raw", "says"), [(b"\xff\xfe", "not UTF-8"), (b"a: 1\n---\nb: 2\n", "another document"), (b"x" * 1048577, "larger than 1 MB")]
)  # fmt: skip
def test_files_that_are_no_yaml(tmp_path, checklist, raw, says):
    (tmp_path / "attestations").mkdir()
    (tmp_path / "attestations" / "a.yml").write_bytes(raw)
    with pytest.raises(RecordsError, match=says):
        attestations.load_all(tmp_path, checklist)
