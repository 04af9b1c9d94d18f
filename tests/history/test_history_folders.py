"""Each folder that is not a whole change is said in one line, and is in no figure unless the line says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from recorded_changes import Records

from pytest_deploygate.cli import main
from pytest_deploygate.history import folders, reading
from pytest_deploygate.history.folders import Kind
from pytest_deploygate.journal import FILE


def history(*words: str) -> Result:
    return CliRunner().invoke(main, ["history", *words], prog_name="deploygate")


def cut(folder: Path) -> None:
    raw = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(raw[:-20])


def edit(folder: Path) -> None:
    raw = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(raw.replace(b"as wanted", b"as needed", 1))


def other_shape(folder: Path) -> None:
    """A chain that holds, of lines that are none of ours."""
    from pytest_deploygate.journal import Writer

    with_it = Writer(folder)
    with_it.append("test", {"run": "nobody", "test": "x", "findings": 3})
    with_it.close()


def empty(folder: Path) -> None:
    (folder / FILE).write_bytes(b"")


def half_of_a_first_line(folder: Path) -> None:
    (folder / FILE).write_bytes(b'{"at":"2026')


def folder_in_its_place(folder: Path) -> None:
    (folder / FILE).unlink()
    (folder / FILE).mkdir()


def no_journal(folder: Path) -> None:
    (folder / FILE).unlink()


def renamed(folder: Path) -> None:
    folder.rename(folder.with_name("CHG-2-copy"))


def aside(folder: Path) -> None:
    folder.rename(folder.with_name("CHG-2.before-20260302T080000-ab12"))


def shards(folder: Path) -> None:
    (folder / "shards" / "1").mkdir(parents=True)
    (folder / FILE).rename(folder / "shards" / "1" / FILE)


def shard_elsewhere(folder: Path) -> None:
    """An artifact of one job, unpacked where a change would be."""
    no_journal(folder)
    change = Records(folder.parent).change("CHG-2")
    change.more = {"shard": {"index": 1, "of": 2}}
    change.run()


def another_change(folder: Path) -> None:
    Records(folder.parent).change("CHG-7", folder="CHG-2").run()


WRONG = [
    (edit, Kind.DAMAGED, "line 3: this line was changed after it was written", 25),
    (other_shape, Kind.DAMAGED, "has an entry that this version cannot read", 25),
    (folder_in_its_place, Kind.DAMAGED, "journal.jsonl cannot be read", 25),
    (empty, Kind.EMPTY, "its journal has no run", 0),
    (half_of_a_first_line, Kind.EMPTY, "its journal has no run", 0),
    (no_journal, Kind.EMPTY, "has no journal.jsonl", 0),
    (renamed, Kind.FOREIGN, "was written for the change CHG-2: a copy, or renamed", 0),
    (another_change, Kind.FOREIGN, "has runs of several changes (CHG-2, CHG-7)", 0),
    (aside, Kind.ASIDE, "by --fresh", 0),
    (shards, Kind.SHARDED, "merge them first", 0),
    (shard_elsewhere, Kind.SHARDED, "a part of a sharded run", 0),
]


@pytest.mark.parametrize(
    ("spoil", "kind", "said", "code"), WRONG, ids=lambda one: getattr(one, "__name__", None)
)
def test_a_folder_that_is_no_change_is_said_and_not_counted(
    records: Records, spoil, kind: Kind, said: str, code: int
) -> None:
    records.change("CHG-1").run()
    records.change("CHG-2", 2).run()
    spoil(records.out / "CHG-2")
    found = records.read()
    (note,) = found.notes
    assert (note.kind, note.counted) == (kind, False)
    assert said in note.text
    assert [part.change for part in found.parts] == ["CHG-1"]
    shown = history()
    assert shown.exit_code == code
    (line,) = [line for line in shown.stdout.splitlines() if line.startswith(str(records.out))]
    assert said in line
    assert line.endswith("not counted") or "not counted, merge" in line
    told = json.loads(history("--json").stdout)
    assert told["folders"]["counted"] == 1
    assert [one["kind"] for one in told["folders"]["notes"]] == [kind.value]
    assert "Traceback" not in shown.output


def test_nothing_that_counts_is_exit_4_and_25_if_it_is_damaged(records: Records) -> None:
    assert history().exit_code == 4
    records.change("CHG-1").run()
    edit(records.out / "CHG-1")
    shown = history()
    assert (shown.exit_code, shown.stdout) == (25, "")
    assert "no folder can be counted" in shown.stderr
    empty(records.out / "CHG-1")
    assert history().exit_code == 4


def test_half_written_journals_count_as_far_as_they_go(records: Records) -> None:
    records.change("CHG-1").run().run("phase2", ends=False)
    records.change("CHG-2", 2).run()
    cut(records.out / "CHG-2")
    found = records.read()
    assert [(note.kind, note.counted) for note in found.notes] == [(Kind.UNFINISHED, True)] * 3
    assert "its last run did not end" in found.notes[0].text
    assert "without that line" in found.notes[1].text
    assert [(part.runs, part.unended) for part in found.parts] == [(2, 1), (1, 1)]
    assert history().exit_code == 0


def test_a_copy_with_its_change_is_counted_once(records: Records, tmp_path: Path) -> None:
    records.change("CHG-1").run()
    shutil.copytree(records.out / "CHG-1", tmp_path / "archive" / "CHG-1")
    found = reading.read(folders.given([records.out / "CHG-1", tmp_path / "archive" / "CHG-1"]))
    assert [note.kind for note in found.notes] == [Kind.TWICE]
    assert len(found.parts) == 1


def test_folders_that_are_named(records: Records, tmp_path: Path) -> None:
    records.change("CHG-1").run()
    records.change("CHG-2", 3, folder="of another name").run()
    given = reading.read(folders.given([records.out / "of another name"]))
    assert [part.change for part in given.parts] == ["CHG-2"]
    whole = reading.read(folders.given([records.out, records.out]))
    assert [part.change for part in whole.parts] == ["CHG-1", "CHG-2"]
    shards(records.out / "CHG-1")
    for place in ("CHG-1", "CHG-1/shards", "CHG-1/shards/1", "."):
        (note,) = reading.read(folders.given([records.out / place])).notes
        assert note.kind is Kind.SHARDED
    wrong = history(str(records.out / "CHG-3"))
    assert wrong.exit_code == 4
    assert "did you mean 'CHG-1'?" in wrong.stderr


def test_an_inventory_that_no_run_was_on_is_refused_with_the_nearest(records: Records) -> None:
    records.change("CHG-1").run()
    assert "did you mean 'prod'?" in history("--inventory", "prd").stderr
    assert history("--inventory", "prd").exit_code == 4
    assert history("--inventory", "prod").exit_code == 0


def test_a_file_that_cannot_be_written_is_one_sentence(records: Records) -> None:
    records.change("CHG-1").run()
    done = history("--html", "nowhere/history.html")
    assert (done.exit_code, done.stderr) == (
        4,
        "Error: nowhere/history.html cannot be written: No such file or directory\n",
    )


def test_only_changes_since_a_time(records: Records) -> None:
    records.change("CHG-1").run("phase2").later(days=9).run()
    records.change("CHG-2", 3).run()

    def counted(since: str) -> list[str]:
        return [one["change"] for one in json.loads(history("--json", "--since", since).stdout)["changes"]]

    assert counted("2026-03-01") == ["CHG-1", "CHG-2"]
    assert counted("2026-03-08") == ["CHG-1"], "it went live later than it began"
    none = history("--since", "1s")
    assert (none.exit_code, "the last one is of 2026-03-11" in none.stderr) == (4, True)
    for wrong in ("3", "2999-01-01", "yesterday"):
        assert history("--since", wrong).exit_code == 2
