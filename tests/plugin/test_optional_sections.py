"""Optional inventory sections: their tests are left out if others cover the item, and stay if none does."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_deploygate.inventory import loader
from pytest_deploygate.inventory.loader import InventoryError
from pytest_deploygate.inventory.models import composed
from pytest_deploygate.session import needs, shipped
from pytest_deploygate.session.declared import Function

NATIVE = Function("suites/t.py::test_native", ("db.partitioning",), ("gate", "postgres", "partitioned"))
HYPER = Function("suites/t.py::test_hyper", ("db.partitioning",), ("gate", "timescale", "hypertable"))
SHARED = Function("suites/t.py::test_shared", ("db.partitioning", "db.other"), ("gate", "timescale"))
DATABASE = {"name": "platform", "user": "gate", "primary": "127.0.0.1"}
PARTITIONED = DATABASE | {"partitioning": [{"table": "a.b", "column": "at", "interval": "1d"}]}
TIMESCALE = {"version": "2.28", "hypertables": [{"table": "a.c", "column": "at", "chunk_interval": "1d"}]}


def left(functions, **sections) -> set[str]:
    inventory = composed().model_validate({"name": "x", **sections})
    return {name.partition("::test_")[2] for name in needs.left_to_others(functions, inventory)}


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"database": PARTITIONED}, {"hyper"}),
        ({"database": PARTITIONED, "timescale": TIMESCALE}, set()),
        ({"database": DATABASE, "timescale": TIMESCALE}, {"native"}),
        ({"timescale": TIMESCALE}, {"native"}),
        ({"database": DATABASE}, {"hyper"}),
        ({}, {"hyper"}),
    ],
)
def test_who_is_left_out(sections, expected):
    """The missing half is left out while the other one covers the item; without both, only what any shop may have is asked for."""
    assert left([NATIVE, HYPER], **sections) == expected


def test_a_test_of_two_items_stays_while_one_of_them_needs_it():
    """Leaving it out would leave `db.other` without a test."""
    assert left([NATIVE, SHARED], database=PARTITIONED) == set()


SUITE = """
@pytest.mark.item("b.tables")
def test_native(gate, postgres):
    says(gate)

@pytest.mark.item("b.tables")
def test_timescale(gate, hypertable):
    says(gate)

@pytest.mark.item("b.migrations")
def test_migrations(gate):
    says(gate)

@pytest.mark.item("b.notes")
def test_notes(gate):
    says(gate)
"""
NAMED = "database: {name: a, user: b, primary: 127.0.0.1}\n"


@pytest.mark.parametrize(
    ("inventory", "code", "verdict"),
    [
        (f"name: prod\n{NAMED}", 0, "pass"),
        ("name: prod\n", 21, "not_covered"),
        (f'name: prod\n{NAMED}timescale: {{version: "2.28"}}\n', 0, "pass"),
    ],
)
def test_a_run_without_the_section_is_whole(project, inventory, code, verdict):
    """No evidence is missing (25) if another test covers the item; without both it is not covered."""
    project.inventory(inventory)
    project.suite(SUITE)
    ran = project.run("-m", "phase2")
    assert (ran.code, project.verdict("b.tables")) == (code, verdict), ran.text


def inventory_of(folder: Path, text: str) -> loader.Loaded:
    (folder / "inventories").mkdir()
    (folder / "inventories" / "x.yml").write_text(text)
    return loader.load("x", folder)


ONLY = 'name: x\ntimescale: {only_where: lab:timescale.port, host: 127.0.0.1, port: lab:timescale.port, version: "2.28"}\n'


@pytest.mark.parametrize(("state", "there"), [('{"timescale.port": "25432"}', True), ("{}", False)])
def test_only_where_the_lab_has_it(tmp_path, monkeypatch, state, there):
    """A section with `only_where` is left out if the running lab lacks that value."""
    (tmp_path / "state.json").write_text(f'{{"values": {state}}}')
    monkeypatch.setenv("DEPLOYGATE_LAB", str(tmp_path))
    assert (inventory_of(tmp_path, ONLY).inventory.timescale is not None) is there


def test_only_where_without_a_lab(tmp_path, monkeypatch):
    """Without a lab nothing is left out: the error is that the lab is not running."""
    monkeypatch.setenv("DEPLOYGATE_LAB", str(tmp_path / "none"))
    with pytest.raises(InventoryError, match="the lab is not running"):
        inventory_of(tmp_path, ONLY)


def test_a_version_is_text(tmp_path):
    """2.20 without quotes would be 2.2."""
    with pytest.raises(InventoryError, match="put the version in quotes"):
        inventory_of(tmp_path, "name: x\ntimescale: {version: 2.20, host: a, name: b, user: c}\n")


def test_a_shop_without_timescaledb_is_not_asked_for_it():
    """Of the shipped items only what nothing else decides asks for the `timescale` section."""
    functions = list(shipped.functions())
    inventory = composed().model_validate({"name": "x", "database": DATABASE})
    left = needs.left_to_others(functions, inventory)
    asked = [f for f in functions if f.test not in left]
    words = [w for f in asked for w in needs.missing(f.arguments, inventory)]
    assert not [w for w in words if "timescale" in w]
