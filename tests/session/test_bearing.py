"""Which items a weaker setting affects: known for shipped sections, all if it cannot be determined."""

from __future__ import annotations

import pytest

from pytest_deploygate import checks
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.inventory.weakening import Weaker
from pytest_deploygate.session import bearing
from pytest_deploygate.session import shipped as shipped_suites
from pytest_deploygate.session.declared import Function, read

#: Where sections stand does not depend on what an inventory says.
INVENTORY = Inventory(name="x")


@pytest.fixture(scope="module")
def shipped() -> list[Function]:
    found = list(shipped_suites.functions())
    assert found
    return found


def items(path: str, functions: list[Function]) -> set[str]:
    (found,) = bearing.weakenings([Weaker(tuple(path.split(".")), "said")], functions, INVENTORY)
    assert found.text == "said"
    return set(found.items)


@pytest.mark.parametrize(
    ("setting", "bears_on"),
    [
        ("database.aggregates.max_age", {"phase2.aggregates"}),
        ("database.indexes.amcheck_within", {"phase2.indexes"}),
        ("database.pooling.reserve", {"db.pooling", "crit.data-loss"}),
        ("database.pooling.poolers.max_waiting", {"db.pooling", "crit.data-loss"}),
        ("uptime.objective", {"crit.uptime"}),
        ("pages.terms.max_age", {"comp.terms"}),
        ("rollback.loss.acceptable", {"day.rollback-plan"}),
    ],
)
def test_a_setting_of_a_named_section_bears_on_the_items_of_its_tests(setting, bears_on, shipped) -> None:
    found = items(setting, shipped)
    assert bears_on <= found
    if not setting.startswith(("rollback", "pages")):
        assert {item.partition(".")[0] for item in found} == {item.partition(".")[0] for item in bears_on}


def test_a_setting_of_one_page_does_not_bear_on_the_database(shipped) -> None:
    assert not any(item.startswith("phase2.") for item in items("pages.terms.max_age", shipped))


def test_limits_of_replication_bear_on_every_test_of_the_cluster_that_may_go_by_them(shipped) -> None:
    found = items("database.replication.max_lag_bytes", shipped)
    assert {"phase2.replication", "db.replication"} <= found
    assert "comp.terms" not in found


@pytest.mark.parametrize("setting", ["policy.max_waivers", "rollback.decide_within", "writes.schema_"])
def test_what_is_about_the_decision_or_read_by_no_test_counts_for_every_scope(setting, shipped) -> None:
    assert items(setting, shipped) == set()


@pytest.mark.parametrize(
    "test",
    [
        Function("t", ("own.item",), ("gate", "a_fixture_of_the_team")),
        Function("t", ("own.item",), ("gate", "inventory"), reads=("inventory",)),
        Function("t", ("own.item",), ("gate", "sections"), reads=("sections.get",)),
        Function("t", ("own.item",), ("gate", "inventory"), reads=("inventory.database.pooling",)),
        Function("t", ("own.item",), ("gate",), reads=("self.pool",)),
    ],
)
def test_a_test_that_may_read_a_section_is_never_left_out(test, shipped) -> None:
    assert "own.item" in items("database.pooling.reserve", [*shipped, test])


def test_reading_the_name_of_the_inventory_reads_no_limit(shipped) -> None:
    test = Function("t", ("own.item",), ("gate", "inventory"), reads=("inventory.name", "gate.judge"))
    assert "own.item" not in items("database.pooling.reserve", [*shipped, test])


def test_what_a_body_reads_is_taken_from_its_source(tmp_path) -> None:
    (tmp_path / "test_own.py").write_text(
        "import pytest\n"
        "@pytest.mark.item('own.item')\n"
        "def test_own(gate, inventory, postgres):\n"
        "    gate.judge(f(inventory), [postgres.settings.name], x=inventory.uptime)\n"
    )
    (found,) = read(tmp_path / "test_own.py", "test_own.py").functions
    assert set(found.reads) == {
        "gate.judge",
        "f",
        "inventory",
        "postgres.settings.name",
        "inventory.uptime",
    }


def test_no_shipped_test_reads_what_is_not_known(shipped) -> None:
    """A fixture that may read anything would make every weakening affect its items."""
    unknown = {f.test for f in shipped if () in set(bearing._reads(f, ("", *checks.subjects()), INVENTORY))}
    assert {name.rpartition("::")[2] for name in unknown} <= {
        "test_the_runbook_can_be_relied_on",
        "test_what_was_red_before_is_known",
        "test_what_a_rollback_would_lose_is_known",
        "test_nobody_writes_to_the_old_side",
    }
