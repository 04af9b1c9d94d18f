"""Lost writes are counted, saved and accepted: before the first step, and again at the point of no return."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_deploygate.checks.way_back.facts import Lost
from pytest_deploygate.checks.way_back.section.rollback import Rollback, Step
from pytest_deploygate.inventory.models import composed
from pytest_deploygate.journal import Writer
from pytest_deploygate.rollback import execution, losing, situation
from pytest_deploygate.rollback.actions import Tools
from pytest_deploygate.rollback.hooks import load
from pytest_deploygate.rollback.losing import Acceptance, Losing, Unsaved

AT = datetime(2026, 3, 4, 22, tzinfo=UTC)
SPONSOR = Acceptance("executive-sponsor", "sponsor")


@pytest.fixture
def writer(tmp_path: Path):
    """A journal."""
    opened = Writer(tmp_path / "out")
    yield opened
    opened.close()


@pytest.fixture
def rows(monkeypatch) -> dict[str, int | None]:
    """How many rows a rollback would lose now; a test changes it."""
    counted: dict[str, int | None] = {"now": 12}
    monkeypatch.setattr(situation, "loss", lambda *_: Lost(AT, counted["now"], "no answer"))
    return counted


def made(
    writer: Writer, folder: Path, acceptance: Acceptance | None, export: str = "echo rows >{file}"
) -> Losing:
    section = Rollback.model_validate(
        {"loss": {"query": "SELECT 1", "export": export, "export_to": str(folder / "lost.csv")}}
    )
    return Losing(writer, "r", composed()(name="x", rollback=section), section, acceptance)


def kept(writer: Writer) -> list[int | None]:
    return [entry.body["rows"] for entry in writer.entries if entry.kind == losing.KIND]


def test_nobody_loses_rows_that_nobody_answers_for(writer, rows, tmp_path):
    """Nothing is begun, nothing is exported."""
    with pytest.raises(Unsaved, match=r"12 rows .* a named person must accept"):
        made(writer, tmp_path, None).answered()
    assert not (tmp_path / "lost.csv").exists()


def test_what_cannot_be_counted_needs_a_person_too(writer, rows, tmp_path):
    """Unknown is not nothing."""
    rows["now"] = None
    with pytest.raises(Unsaved, match="not known: no answer"):
        made(writer, tmp_path, None).answered()


def test_what_came_in_while_the_new_side_was_fenced_is_saved_as_well(writer, rows, tmp_path):
    """Counted again at the point of no return; the same person accepts; the file is complete."""
    one = made(writer, tmp_path, SPONSOR, "wc -l </dev/null >{file}; echo again >>{file}")
    one.answered()
    assert one.brink() == "", "nothing came in"
    rows["now"] = 15
    assert made(writer, tmp_path, None).brink() == "", "after a crash the same person still answers"
    assert kept(writer) == [12, 15]
    assert (tmp_path / "lost.csv").read_text() == "rows\n"


def test_an_export_that_fails_keeps_the_rows_where_they_are(writer, rows, tmp_path):
    """The step that loses them is not done, and the earlier file stays."""
    made(writer, tmp_path, SPONSOR).answered()
    rows["now"] = 13
    broken = made(writer, tmp_path, SPONSOR, "echo half >{file}; exit 4")
    assert "exit code 4" in broken.brink()
    assert (tmp_path / "lost.csv").read_text() == "rows\n"
    assert "wrote no file" in made(writer, tmp_path, SPONSOR, "true").brink()


def test_the_step_that_loses_writes_waits_for_the_answer(writer, tmp_path):
    """The check before the point of no return refuses: the step failed, its command did not run, later steps were not begun."""
    told = [
        {"name": "page", "run": f"touch {tmp_path}/page", "verify": {"run": f"test -e {tmp_path}/page"}},
        {"name": "data", "run": f"touch {tmp_path}/data", "verify": {"run": "true"}, "loses_writes": True},
    ]
    steps = [Step.model_validate(one) for one in told]
    tools = Tools("CHG-1", load(tmp_path, lambda *_: None), lambda _items: "")
    ended = execution.execute(writer, "r", steps, tools, brink=lambda: "nobody answers")
    assert (ended.failed, ended.why) == ("data", "nobody answers")
    assert (tmp_path / "page").exists()
    assert not (tmp_path / "data").exists()
