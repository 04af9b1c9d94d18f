"""Every fault of the lab changes exactly the items that it declares, to the verdict that it declares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_deploygate.checklist import parser
from pytest_deploygate.lab import faults
from pytest_deploygate.lab.state import Lab
from pytest_deploygate.session import declared

ROOT = Path(__file__).parents[2]
ALL = faults.all_faults()

#: What the reason must name, so that a tired person knows where to look.
NAMES_CAUSE = {
    "aggregate-stale": "refresh",
    "aggregate-unscheduled": "commented",
    "aggregate-wrong-bucket": "1 of",
    "aggregate-missing-bucket": "missing",
    "backup-timer-disabled": "commented",
    "backup-failed": "exit code",
    "backup-stale": "slack",
    "index-invalid": "invalid",
    "index-unused": "readings_hourly_bucket_idx",
    "index-duplicate": "alerts",
    "index-corrupt": "audit_log",
    "migration-behind": "alembic upgrade head",
    "migration-unknown": "00badc0ffee0",
    "migration-none": "no row",
    "partition-rows-in-default": "default",
    "partition-none-ahead": "ahead",
    "partition-gap-tomorrow": "gap",
    "receiver-frozen": "db3",
    "replay-paused": "pg_wal_replay_resume",
    "replica-lags-under-load": "recovery_min_apply_delay",
    "replica-skips-rows": "acknowledged",
    "replica-stopped": "db3",
    "replica-without-slot": "primary_slot_name",
    "replication-asynchronous": "commits",
    "slot-inactive": "slot",
    "slot-wal-unbounded": "max_slot_wal_keep_size",
    "table-dropped-check": "CHECK",
    "table-dropped-not-null": "NOT NULL",
    "table-foreign-keys-off": "switched off",
    "table-extra-grant": "DELETE",
    "table-missing-column": "phone",
    "two-primaries": "2 nodes take writes",
    "validation-orphans": "row",
    "validation-out-of-range": "0.25",
    "validation-wrong-value": "11",
}


@pytest.fixture(scope="module")
def healthy(run_gate: Callable) -> dict[str, str]:
    """The verdicts of the lab when nothing is broken: all pass."""
    code, items = run_gate()
    verdicts = {item_id: item["verdict"] for item_id, item in items.items()}
    assert set(verdicts.values()) == {"pass"}, {i: (v["verdict"], v["reason"]) for i, v in items.items()}
    assert code == 0
    return verdicts


@pytest.mark.parametrize("name", ALL)
def test_fault_changes_exactly_what_it_declares(
    name: str, lab: Lab, healthy: dict[str, str], run_gate: Callable
) -> None:
    """Break, run, compare, mend."""
    fault = ALL[name]
    faults.put_in(lab, fault)
    try:
        code, items = run_gate()
    finally:
        faults.heal(lab)
    changed = {
        item_id: item["verdict"] for item_id, item in items.items() if item["verdict"] != healthy[item_id]
    }
    assert changed == dict(fault.items), {i: items[i]["reason"] for i in {*changed, *fault.items}}
    assert code == (1 if "fail" in changed.values() else 21)
    reasons = " ".join(
        str(text)
        for item_id in fault.items
        for text in (items[item_id]["reason"], *(t["reason"] for t in items[item_id]["targets"]))
    )
    assert NAMES_CAUSE[name].lower() in reasons.lower(), reasons


def test_lab_is_healthy_after_all_faults(lab: Lab, healthy: dict[str, str], run_gate: Callable) -> None:
    """Mending leaves nothing behind: the same verdicts as before the first fault."""
    assert {item_id: item["verdict"] for item_id, item in run_gate()[1].items()} == healthy


def test_every_bound_item_has_a_fault() -> None:
    """An item with a test that was never seen red does not count as checked; phase 2 has two faults an item."""
    tests = declared.tests_below(ROOT, ["suites"], ["test_*.py"])
    bound = {item for items in tests.values() for item in items}
    faulted = [item for fault in ALL.values() for item in fault.items]
    assert bound <= set(faulted), f"no fault turns these red: {sorted(bound - set(faulted))}"
    phase2 = [
        item.id for item in parser.load(ROOT / "suites" / "checklist.md").items if item.phase == "phase2"
    ]
    assert {item: faulted.count(item) >= 2 for item in phase2} == dict.fromkeys(phase2, True)
