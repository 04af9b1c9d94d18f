"""Runs of so many findings that small evidence is kept in the journal: it counts, is shown and verified as files are."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from aged import rewrite
from project import Project

from pytest_deploygate import journal
from pytest_deploygate.session import evidence
from pytest_deploygate.signoff.verify import verify

#: Five findings in phase2; `b.notes` has evidence that is too large for the journal.
SUITE = """
ASKED = __import__("pathlib").Path(__file__).with_name("asked")

def asks(request):
    with ASKED.open("a") as asked:
        asked.write(request.node.name + "\\n")

@pytest.mark.item("b.migrations")
@pytest.mark.parametrize("name", ["db1", "db2", "db3"])
def test_migrations(gate, request, name):
    asks(request)
    gate.judge(judge, {"verdict": "pass", "reason": "as wanted", "n": len(name), "of": name, "at": "https://u:p4ss@h/?k=v"}, {})

@pytest.mark.item("b.tables")
def test_tables(gate, request):
    asks(request)
    says(gate, "pass", "<b>as</b> wanted", 3)

@pytest.mark.item("b.notes")
def test_notes(gate, request):
    asks(request)
    gate.judge(judge, {"verdict": "pass", "reason": "as wanted", "n": 1, "rows": ["x" * 80] * 50}, {})
"""


@pytest.fixture
def many(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project in which the first evidence is a file, and small evidence after it is in the journal."""
    few(project, monkeypatch, 1)
    project.suite(SUITE)
    return project


def few(project: Project, monkeypatch: pytest.MonkeyPatch, files: int) -> None:
    """Let a run write so many files of evidence, in this process and in others."""
    monkeypatch.setattr(evidence, "FILES", files)
    (project.path / "conftest.py").write_text(
        f"from pytest_deploygate.session import evidence\nevidence.FILES = {files}\n"
    )


def kept(project: Project) -> dict[str, list[dict[str, Any]]]:
    """Return the evidence in the journal by the test that has it."""
    entries, _ = journal.read(project.out)
    return {
        entry.body["test"].rpartition("::")[2]: [one for f in entry.body["findings"] for one in f["evidence"]]
        for entry in entries
        if entry.kind == "test"
    }


def asked(project: Project) -> list[str]:
    """Return the tests that were asked since this was last called."""
    file = project.path / "suites" / "asked"
    names = file.read_text().split() if file.exists() else []
    file.unlink(missing_ok=True)
    return names


@pytest.mark.parametrize("more", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_small_evidence_is_in_the_journal_and_verified(many: Project, more: tuple[str, ...]) -> None:
    ran = many.run_process("-m", "phase2", *more)
    assert ran.code == 0, ran.text
    found = kept(many)
    inside = [one for pieces in found.values() for one in pieces if one.get("content")]
    assert len(inside) >= 3
    for one in inside:
        assert hashlib.sha256(one["content"].encode()).hexdigest() == one["sha256"]
        assert one["path"] == ""
    assert "p4ss" not in (many.out / "journal.jsonl").read_text()
    (large,) = found["test_notes"]
    assert large["path"].startswith("evidence/b.notes--")
    assert "content" not in large
    assert len(list((many.out / "evidence").iterdir())) == 5 - len(inside)
    result = verify(many.out, None, roles=())
    assert result.exit_code == 26, result.checks  # nobody signed; all else is as recorded
    assert any(f"and {len(inside)} pieces in the journal" in check.text for check in result.checks)


def test_the_report_shows_it(many: Project) -> None:
    assert many.run("-m", "phase2").code == 0
    (piece,) = kept(many)["test_tables"]
    page = (many.out / "signoff.html").read_text()
    assert "<summary>Evidence: measurement, in the journal</summary>" in page
    assert "&lt;b&gt;as&lt;/b&gt; wanted" in page
    assert f"<code>{piece['sha256']}</code>" in page
    items = {item["id"]: item for item in many.verdicts()["items"]}
    (said,) = items["b.tables"]["targets"][0]["evidence"]
    assert said == {
        "path": "",
        "sha256": piece["sha256"],
        "title": "measurement",
        "content": piece["content"],
    }
    assert json.loads(said["content"])["measurement"]["n"] == 3
    (file,) = items["b.notes"]["targets"][0]["evidence"]
    assert set(file) == {"path", "sha256", "title"}


def test_content_that_was_altered_with_its_line_is_found(many: Project) -> None:
    """A line whose hashes were made again, and the results with it."""
    many.run("-m", "phase2")

    def forge(line: dict[str, Any]) -> None:
        for finding in line.get("findings", ()):
            for one in finding["evidence"]:
                if one.get("content"):
                    one["content"] = one["content"].replace("wanted", "WANTED")

    rewrite(many.out, forge)
    texts = [check.text for check in verify(many.out, None, roles=()).checks if check.name == "evidence"]
    assert sum("of the journal was altered: its SHA-256 is" in text for text in texts) == 3
    asked(many)
    many.run("-m", "phase2", "--resume")
    assert sorted(asked(many)) == ["test_migrations[db2]", "test_migrations[db3]", "test_tables"]


def test_content_that_was_removed_with_its_line_is_found(many: Project) -> None:
    many.run("-m", "phase2")

    def forge(line: dict[str, Any]) -> None:
        for finding in line.get("findings", ()):
            for one in finding["evidence"]:
                one.pop("content", None)

    rewrite(many.out, forge)
    result = verify(many.out, None, roles=())
    assert result.exit_code == 25
    assert any("outside the folder" in check.text for check in result.checks)


def test_resume_keeps_what_is_as_it_was(many: Project) -> None:
    assert many.run("-m", "phase2").code == 0
    assert len(asked(many)) == 5
    assert many.run("-m", "phase2", "--resume").code == 0
    assert asked(many) == []


def test_a_journal_that_is_altered_while_the_run_lasts_is_lost_evidence(many: Project) -> None:
    many.suite(
        SUITE
        + """
@pytest.mark.item("b.notes")
def test_zz_damage(gate, request):
    journal = request.path.parents[1] / "deploygate-out" / "local" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"as wanted", b"as WANTED"))
    says(gate)
"""
    )
    assert many.run("-m", "phase2").code == 25


def test_files_are_shared_out_among_workers(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    few(project, monkeypatch, 10)
    project.suite(
        """
        @pytest.mark.item("b.tables")
        @pytest.mark.parametrize("n", range(40))
        def test_tables(gate, n):
            says(gate, n=n)
        """
    )
    ran = project.run_process("-m", "phase2", "-n", "2")
    assert len(kept(project)) == 40, ran.text
    assert len(list((project.out / "evidence").iterdir())) <= 10
