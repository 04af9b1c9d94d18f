"""Data folders are swapped by two renames, and the state after a crash is recognised from the folders that exist."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from pytest_deploygate.clients.host.place import Place
from pytest_deploygate.model import CannotTell
from pytest_deploygate.rollback.in_place import NOTE, Folder, Note


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A data folder in use, and a restored one beside it."""
    data = tmp_path / "db"
    data.mkdir()
    (data / "PG_VERSION").write_text("15\n")
    (data / "which").write_text("old")
    found = Folder(Place("local://", None), str(data))
    restored = Path(found.make())
    (restored / "PG_VERSION").write_text("15\n")
    (restored / "which").write_text("restored")
    (restored / NOTE).write_text(json.dumps(asdict(note(tmp_path))))
    return found


def note(tmp_path: Path) -> Note:
    return Note("r", "20260304F", "restore point p", str(tmp_path / "db.before-rollback-x"), 2, 7, "now")


def which(folder: Folder) -> str:
    return (Path(folder.data) / "which").read_text()


def test_the_old_folder_is_kept_aside_under_its_name(folder, tmp_path):
    """After the swap the state shows which restore is in use."""
    assert folder.state().ready == note(tmp_path)
    assert folder.swap(note(tmp_path)).code == 0
    assert which(folder) == "restored"
    assert (tmp_path / "db.before-rollback-x" / "which").read_text() == "old"
    assert (folder.state().note, folder.state().ready) == (note(tmp_path), None)


def test_a_crash_between_the_two_renames_is_gone_on_with(folder, tmp_path):
    """The folder in use was moved away, the restored one waits: only the second rename is left."""
    Path(folder.data).rename(tmp_path / "db.before-rollback-x")
    state = folder.state()
    assert (state.there, state.ready) == (False, note(tmp_path))
    assert folder.swap(note(tmp_path)).code == 0
    assert which(folder) == "restored"


def test_what_was_kept_aside_before_is_never_overwritten(folder, tmp_path):
    """A folder with the dated name already exists: nothing is moved."""
    (tmp_path / "db.before-rollback-x").mkdir()
    assert folder.swap(note(tmp_path)).code != 0
    assert which(folder) == "old"


def test_what_a_crash_left_working_is_ended_and_removed(folder):
    """A command that continues to write into the folder beside would spoil the next restore."""
    left = subprocess.Popen(["tail", "-f", f"{folder.beside}/data/which"], stdout=subprocess.DEVNULL)
    folder.clear()
    assert left.wait(60) != 0
    assert not Path(folder.beside).exists()
    assert which(folder) == "old"


def test_a_folder_that_is_none_of_ours_stays(folder):
    """Without our mark it belongs to someone else: it is reported, not removed."""
    (Path(folder.beside) / ".deploygate").unlink()
    assert folder.state().foreign
    with pytest.raises(CannotTell, match="not created by deploygate"):
        folder.clear()
    assert Path(folder.beside).is_dir()


def test_tablespaces_and_a_folder_that_cannot_be_renamed_are_seen(folder, tmp_path):
    """They are reported before anything is started."""
    (Path(folder.data) / "pg_tblspc").mkdir()
    (Path(folder.data) / "pg_tblspc" / "16400").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to(folder.data)
    assert folder.state().links == ("16400",)
    assert Folder(folder.place, str(tmp_path / "link")).state().fixed == "a link"


def test_a_running_server_is_seen_and_a_stale_process_id_is_none(folder):
    """After a crash of the machine the id may be any process's: only a postgres counts."""
    file = Path(folder.data) / "postmaster.pid"
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        file.write_text(f"{sleeper.pid}\n{folder.data}\n")
        assert folder.state().pid == 0
        sleeper.kill()
    with subprocess.Popen(["bash", "-c", "exec -a postgres sleep 60"]) as server:
        file.write_text(f"{server.pid}\n{folder.data}\n")
        deadline = time.monotonic() + 30
        while folder.state().pid != server.pid and time.monotonic() < deadline:
            time.sleep(0.05)
        assert folder.state().pid == server.pid
        server.kill()
