"""Faults are found without a registry, break what they say, and heal. How the gate sees them: tests/faults."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytest_deploygate.cli.commands.lab import lab as command
from pytest_deploygate.lab import cluster, faults, schedule
from pytest_deploygate.lab.state import Lab, LabError

ITEMS = (
    "migrations",
    "tables",
    "indexes",
    "aggregates",
    "partitioning",
    "replication",
    "backup-jobs",
    "validation",
)


def test_the_list_has_two_faults_for_each_item_of_phase_2() -> None:
    listed = json.loads(CliRunner().invoke(command, ["fault", "--json"]).output)
    assert [set(entry) for entry in listed] == [{"name", "items", "what"}] * len(listed)
    for item in ITEMS:
        assert sum(f"phase2.{item}" in entry["items"] for entry in listed) >= 2


def test_a_fault_is_one_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a folder of its own: it is listed and found by name, and two of one name are refused."""
    (tmp_path / "toys.py").write_text(
        "from pytest_deploygate.lab.faults import Fault, by_sql\n"
        "BROKEN = Fault('toy-broken', 'a toy is broken', {'toy.item': 'fail'}, by_sql(), by_sql(), 'toy')\n"
    )
    monkeypatch.setattr(faults, "__path__", [*faults.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, f"{faults.__name__}.toys", raising=False)
    assert faults.all_faults()["toy-broken"].items == {"toy.item": "fail"}
    listed = json.loads(CliRunner().invoke(command, ["fault", "--json"]).output)
    assert {"name": "toy-broken", "items": {"toy.item": "fail"}, "what": "a toy is broken"} in listed
    (tmp_path / "toys_too.py").write_text((tmp_path / "toys.py").read_text())
    with pytest.raises(LabError, match="two faults are called toy-broken"):
        faults.all_faults()
    for name in ("toys", "toys_too"):
        sys.modules.pop(f"{faults.__name__}.{name}", None)


def test_a_misspelt_fault_names_the_nearest() -> None:
    result = CliRunner().invoke(command, ["fault", "replica-stoped"])
    assert result.exit_code == 2
    assert "replica-stopped" in result.output


def test_a_broken_lab_is_not_broken_further_by_accident(lab: Lab) -> None:
    known = faults.all_faults()
    try:
        faults.put_in(lab, known["table-extra-grant"])
        with pytest.raises(LabError, match="has the fault table-extra-grant already"):
            faults.put_in(lab, known["index-duplicate"])
        faults.put_in(lab, known["index-duplicate"], also=True)
        assert lab.faults() == ["table-extra-grant", "index-duplicate"]
        assert faults.heal(lab, "table-extra-grant") == ["table-extra-grant"]
        assert lab.faults() == ["index-duplicate"]
    finally:
        faults.heal(lab)
    assert lab.faults() == []


def test_a_fault_that_is_healed_with_another_is_put_in_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both change one file, and healing either writes the file as it was."""
    file = lab.folder / "toy.txt"
    file.write_text("as it was")

    def toy(name: str) -> faults.Fault:
        def breaks(_lab: Lab) -> None:
            faults.keep_aside(file)
            file.write_text(f"{file.read_text()}, {name}")

        return faults.Fault(name, name, {}, breaks, heals, name)

    def heals(_lab: Lab) -> None:
        faults.put_back(file)

    known = {name: toy(name) for name in ("toy-one", "toy-two")}
    monkeypatch.setattr(faults, "all_faults", lambda: known)
    for fault in known.values():
        faults.put_in(lab, fault, also=True)
    assert file.read_text() == "as it was, toy-one, toy-two"
    faults.heal(lab, "toy-one")
    assert (file.read_text(), lab.faults()) == ("as it was, toy-two", ["toy-two"])
    faults.heal(lab)
    assert (file.read_text(), lab.faults()) == ("as it was", [])


#: One healed by SQL, one of the schedule, one healed by a reset. How the gate sees all of them: tests/faults.
SOME = ("index-duplicate", "backup-timer-disabled", "two-primaries")


@pytest.mark.parametrize("name", SOME)
def test_a_fault_can_be_injected_and_healed_twice(lab: Lab, name: str) -> None:
    fault = faults.all_faults()[name]
    try:
        faults.put_in(lab, fault)
    finally:
        assert faults.heal(lab) == [name]
    fault.heals(lab)
    assert cluster.ailments(lab) == []
    assert all(f"#off# {when}" not in lab.crontab.read_text() for when in schedule.JOBS.values())


def test_heal_starts_what_somebody_stopped(lab: Lab) -> None:
    assert CliRunner().invoke(command, ["node", "stop", "db2", "--crash"]).exit_code == 0
    assert cluster.ailments(lab) == ["db2 has stopped"]
    assert CliRunner().invoke(command, ["heal"]).exit_code == 0
    assert cluster.ailments(lab) == []
