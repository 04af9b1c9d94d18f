"""The lab's inventories come with the package: `--inventory lab` works in any folder, and finds the lab started there."""

from __future__ import annotations

from pathlib import Path

import pytest

import pytest_deploygate
from pytest_deploygate.fields.sources.lab import INVENTORIES, lab_folder
from pytest_deploygate.inventory.loader import InventoryError, load, locate


@pytest.fixture(autouse=True)
def no_lab_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEPLOYGATE_LAB", raising=False)


@pytest.mark.parametrize(
    "name",
    [
        "lab",
        "lab-application",
        "lab-guards",
        "lab-migration",
        "lab-monitoring",
        "lab-notices",
        "lab-patroni",
        "lab-people",
    ],
)
def test_they_are_found_in_an_empty_folder_and_are_in_the_package(tmp_path: Path, name: str) -> None:
    file = locate(name, tmp_path)
    assert file.is_relative_to(Path(pytest_deploygate.__file__).parent)
    assert (INVENTORIES / "lab.tables.json").is_file()


def test_an_inventory_of_the_same_name_counts_first(tmp_path: Path) -> None:
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "lab.yml").write_text("name: ours\n")
    assert load("lab", tmp_path).inventory.name == "ours"


def test_without_a_lab_it_is_said_that_none_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InventoryError, match="the lab is not running; start it with `deploygate lab up`"):
        load("lab", tmp_path)


def test_run_and_lab_agree_on_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`deploygate lab up` goes by the current folder; an inventory by its own, or it is the package's."""
    empty, project = tmp_path / "empty", tmp_path / "project"
    empty.mkdir()
    (project / "inventories").mkdir(parents=True)
    (project / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(empty)
    started = lab_folder()
    assert lab_folder(INVENTORIES) == started
    assert lab_folder(empty) == started
    assert lab_folder(project / "inventories") != started
    monkeypatch.chdir(project / "deep" / "er")
    started = lab_folder()
    assert lab_folder(project / "inventories") == started
    assert lab_folder(INVENTORIES) == started
