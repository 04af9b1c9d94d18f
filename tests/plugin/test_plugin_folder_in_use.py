"""The folder of a change while a run writes to it: what others do to it, and forks of the run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from project import GOOD, Project

from pytest_deploygate import journal
from pytest_deploygate.journal import writer
from pytest_deploygate.signoff.verify import verify

#: What the last test of the suite does with the folder, after the others have recorded.
DAMAGE = {
    "removed": "shutil.rmtree(OUT)",
    "renamed": "OUT.rename(OUT.with_name('elsewhere'))",
    "replaced by a copy": "shutil.copytree(OUT, OUT.with_name('c')); shutil.rmtree(OUT); OUT.with_name('c').rename(OUT)",
    "replaced by an empty one": "OUT.rename(OUT.with_name('elsewhere')); OUT.mkdir()",
    "another's journal": "JOURNAL.unlink(); JOURNAL.write_text('')",
    "the journal removed": "JOURNAL.unlink()",
    "the journal cut": "os.truncate(JOURNAL, 100)",
    "the journal's last line cut": "os.truncate(JOURNAL, JOURNAL.stat().st_size - 10)",
    "the journal edited": "JOURNAL.write_bytes(JOURNAL.read_bytes().replace(b'as wanted', b'as WANTED'))",
    "the journal edited in place": "f = JOURNAL.open('r+b'); f.seek(200); f.write(b'#'); f.close()",
    "a line added": "f = JOURNAL.open('ab'); f.write(b'{}\\n'); f.close()",
    "all evidence removed": "shutil.rmtree(OUT / 'evidence')",
    "one file of evidence removed": "next((OUT / 'evidence').iterdir()).unlink()",
    "one file of evidence edited": "next((OUT / 'evidence').iterdir()).write_text('{}')",
}


def damaging(what: str) -> str:
    return (
        """
import shutil
from pathlib import Path
OUT = Path(__file__).parents[1] / "deploygate-out" / "local"
JOURNAL = OUT / "journal.jsonl"
"""
        + GOOD
        + f"""
@pytest.mark.phase2
def test_zz_damage(request):
    if request.config.getoption("--change") == "local":
        {what}
"""
    )


@pytest.mark.parametrize("what", DAMAGE.values(), ids=DAMAGE)
def test_what_happens_to_the_folder_is_never_go(project: Project, what: str) -> None:
    project.suite(damaging(what))
    ran = project.run("-m", "phase2", "suites")
    assert ran.code == 25, ran.text
    assert "GO: go on" not in ran.text
    assert "missing or was altered" in ran.text or "while the command wrote to it" in " ".join(
        ran.text.split()
    )


def test_an_untouched_folder_is_go(project: Project) -> None:
    project.suite(damaging("pass"))
    assert project.run("-m", "phase2", "suites").code == 0


def test_another_folder_in_its_place_is_not_written_to(project: Project) -> None:
    project.suite(damaging("OUT.rename(OUT.with_name('elsewhere')); OUT.mkdir(); (OUT / 'x').touch()"))
    project.run("-m", "phase2", "suites")
    assert [file.name for file in project.out.iterdir()] == ["x"]


FORKS = {
    "returns": "pass",
    "leaves by an exception": "raise RuntimeError('child')",
    "calls pytest.exit": "pytest.exit('child', 0)",
    "calls sys.exit": "sys.exit(0)",
}


@pytest.mark.parametrize("how", FORKS.values(), ids=FORKS)
@pytest.mark.parametrize("more", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_a_fork_that_goes_on_records_nothing(project: Project, how: str, more: tuple[str, ...]) -> None:
    project.suite(
        f"""
        from pathlib import Path
        ASKED = Path(__file__).with_name("asked")

        @pytest.mark.item("b.migrations")
        def test_migrations(gate):
            says(gate)
            child = os.fork()
            if child == 0:
                {how}
            else:
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 25

        @pytest.mark.item("b.tables")
        def test_tables(gate):
            with ASKED.open("a") as asked:
                asked.write("x")
            says(gate)

        @pytest.mark.item("b.notes")
        def test_notes(gate):
            says(gate)
        """
    )
    ran = project.run_process("-m", "phase2", *more)
    assert ran.code == 0, ran.text
    assert (project.path / "suites" / "asked").read_text() == "x"
    kinds = [json.loads(line)["kind"] for line in (project.out / journal.FILE).read_text().splitlines()]
    assert kinds == ["run", "bound", "test", "test", "test", "decision", "end"]
    assert not [check for check in verify(project.out, None).checks if check.ok is False and check.code == 25]


def test_fresh_leaves_the_folder_of_a_live_run_alone(good: Project) -> None:
    writer = journal.Writer(good.out)
    try:
        ran = good.run_process("-m", "phase2", "--fresh")
    finally:
        writer.close()
    assert ran.code == 4, ran.text
    assert "another run is writing to" in ran.text
    assert [file.name for file in (good.path / "deploygate-out").iterdir()] == ["local"]
    assert good.run("-m", "phase2", "--fresh").code == 0


def test_a_writer_of_a_folder_that_was_moved_aside_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "C1"
    locked = writer._locked

    def waited(file, patience_s=0.5):
        if folder.exists() and not (tmp_path / "aside").exists():
            shutil.move(folder, tmp_path / "aside")
        return locked(file, patience_s)

    monkeypatch.setattr(writer, "_locked", waited)
    with pytest.raises(journal.BusyError):
        journal.Writer(folder)
