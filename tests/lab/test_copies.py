"""Making one folder like another: what is the same stays, everything else becomes as in the source."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from pytest_deploygate.lab import copies
from pytest_deploygate.lab.state import Lab, LabError

LAB = cast("Lab", SimpleNamespace(user=None))


def content(folder: Path) -> dict[str, str | None]:
    return {str(p.relative_to(folder)): p.read_text() if p.is_file() else None for p in folder.rglob("*")}


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    source, target = tmp_path / "source", tmp_path / "target"
    for name in ("base/1/same", "base/1/written", "base/2/new"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    (source / "empty").mkdir()
    return source, target


def test_a_new_folder_is_a_whole_copy(pair: tuple[Path, Path]) -> None:
    source, target = pair
    copies.folder(LAB, source, target)
    assert content(target) == content(source)
    assert not target.with_name("target.lists").exists()


def test_what_changed_is_put_back_and_what_is_the_same_stays(pair: tuple[Path, Path]) -> None:
    """Written with the same size, removed, added, and a folder that only the target has."""
    source, target = pair
    copies.folder(LAB, source, target)
    kept = (target / "base/1/same").stat().st_ctime_ns
    (target / "base/1/written").write_text("BASE/1/WRITTEN")
    (target / "base/2/new").unlink()
    (target / "empty").rmdir()
    (target / "strange/deep").mkdir(parents=True)
    (target / "strange/deep/file").write_text("?")
    copies.folder(LAB, source, target)
    assert content(target) == content(source)
    assert (target / "base/1/same").stat().st_ctime_ns == kept


def test_a_copy_that_was_killed_is_made_whole_by_the_next(pair: tuple[Path, Path]) -> None:
    """Its lists are left, and a file that is half there: its time is not yet that of the source."""
    source, target = pair
    copies.folder(LAB, source, target)
    target.with_name("target.lists").mkdir()
    (target / "base/1/written").write_text("half")
    copies.folder(LAB, source, target)
    assert content(target) == content(source)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user to be")
def test_a_file_that_cannot_be_read_is_an_error_and_no_half_copy_that_looks_whole(
    pair: tuple[Path, Path], lab_place: Path
) -> None:
    """In a folder that the other user can walk to: pytest's own are root's alone."""
    place = lab_place / "copies"
    source, target = Path(shutil.copytree(pair[0], place / "source")), place / "target"
    for folder in (place, source, *(p for p in source.rglob("*") if p.is_dir())):
        folder.chmod(0o777)
    (source / "base/1/written").chmod(0o000)
    with pytest.raises(LabError, match="written"):
        copies.folder(cast("Lab", SimpleNamespace(user="nobody")), source, target)
