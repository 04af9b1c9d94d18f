"""Every fault of the lab changes exactly the items that it declares, to the verdict that it declares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_deploygate.checklist import parser
from pytest_deploygate.cli import rehearsal_back
from pytest_deploygate.lab import cluster, faults, schedule, sql
from pytest_deploygate.lab.services import front
from pytest_deploygate.lab.state import Lab
from pytest_deploygate.model import Verdict, worst
from pytest_deploygate.session import declared

ROOT = Path(__file__).parents[2]
ALL = faults.all_faults()


BOUND = {item for items in declared.tests_below(ROOT, ["suites"], ["test_*.py"]).values() for item in items}
CHECKLIST = parser.load(ROOT / "suites" / "checklist.md")


#: Items that are measured in response times: beside other work nobody can tell whose slowness it was.
TIMED = {"crit.p50", "crit.p99"}


def needs_quiet(fault: faults.Fault) -> bool:
    """Tell whether a gate run about this fault measures response times."""
    return bool(TIMED & set(fault.items)) or "criteria" in scope_of(fault)


def scope_of(fault: faults.Fault) -> str:
    """The phases of the items that a fault changes, unless it names a narrower scope."""
    phases = {item.phase for item in CHECKLIST.items if item.id in fault.items}
    return fault.scope or " or ".join(phase.id for phase in CHECKLIST.phases if phase.id in phases)


#: Items that an inventory of their own measures: on the lab's own nobody asks that they pass.
ELSEWHERE = {item for fault in ALL.values() if fault.inventory != "lab" for item in fault.items}


def inventory_of(fault: faults.Fault) -> tuple[str, ...]:
    """The options that choose what a fault's run is about; none for the lab's own inventory."""
    if fault.inventory == "lab":
        return ()
    theirs = sorted({i for other in ALL.values() if other.inventory == fault.inventory for i in other.items})
    return (f"--inventory={fault.inventory}", f"--items={','.join(theirs)}")


def machine_half(item: dict[str, object]) -> str:
    """The verdict of what was measured: a hybrid item needs a person too, whom nobody invents for a lab."""
    if item["kind"] != "hybrid":
        return str(item["verdict"])
    return str(worst(Verdict(t["verdict"]) for t in item["targets"] if t["target"] != "attestation"))


def everything(*, quiet: bool) -> str:
    """All scopes that faults of the lab's own inventory are looked for in: those that need quiet, or the others."""
    scopes = [scope_of(f) for f in ALL.values() if needs_quiet(f) is quiet and not inventory_of(f)]
    return " or ".join(f"({scope})" for scope in dict.fromkeys(scopes))


def run_of(fault: faults.Fault) -> tuple[str, tuple[str, ...]]:
    """The scope and the options of the healthy run that a fault's run is compared with: few, since each takes its time."""
    if options := inventory_of(fault):
        return " or ".join(phase.id for phase in CHECKLIST.phases if phase.id != "preflight"), options
    return everything(quiet=needs_quiet(fault)), ()


@pytest.fixture(scope="module")
def healthy(lab: Lab, run_gate: Callable) -> Callable[..., dict[str, str]]:
    """The verdicts of the lab when nothing is broken: what a test is bound to passes."""
    known: dict[tuple[str, ...], dict[str, str]] = {}

    def verdicts(scope: str, options: tuple[str, ...]) -> dict[str, str]:
        if (key := (scope, *options)) not in known:
            if "criteria" in scope and front.FRONT in lab.ports:
                front.wait_watched(lab)
            if options and not lab.guards["cutover"].exists():
                assert rehearsal_back.rehearse(lab, ROOT) == ""
            _, items = run_gate(scope, *options)
            mine = BOUND if options else BOUND - ELSEWHERE
            measured = {i: (machine_half(v), v["reason"]) for i, v in items.items() if i in mine}
            assert {verdict for verdict, _ in measured.values()} == {"pass"}, measured
            known[key] = {item_id: item["verdict"] for item_id, item in items.items()}
        return known[key]

    return verdicts


@pytest.mark.parametrize(
    "name",
    [pytest.param(f.name, marks=pytest.mark.quiet) if needs_quiet(f) else f.name for f in ALL.values()],
)
def test_fault_changes_exactly_what_it_declares(
    name: str, lab: Lab, healthy: Callable[..., dict[str, str]], run_gate: Callable
) -> None:
    """Break, run, compare, mend."""
    fault = ALL[name]
    if lacking := [service for service in fault.needs if service not in lab.ports]:
        pytest.skip(f"this lab does without {', '.join(lacking)}")
    whole, options = run_of(fault)
    before = healthy(whole, options)
    scope = whole if options else scope_of(fault)
    faults.put_in(lab, fault)
    try:
        code, items = run_gate(scope, *options)
    finally:
        faults.heal(lab)
    fault.heals(lab)  # what is not broken any more comes to no harm
    changed = {i: item["verdict"] for i, item in items.items() if item["verdict"] != before[i]}
    assert changed == dict(fault.items), {i: items[i]["reason"] for i in {*changed, *fault.items}}
    assert code == (1 if "fail" in changed.values() else 21)
    reasons = " ".join(
        str(text)
        for item_id in fault.items
        for text in (items[item_id]["reason"], *(t["reason"] for t in items[item_id]["targets"]))
    )
    assert fault.says.lower() in reasons.lower(), reasons


@pytest.mark.parametrize("quiet", [False, pytest.param(True, marks=pytest.mark.quiet)])
def test_lab_is_healthy_after_all_faults(
    quiet: bool, lab: Lab, healthy: Callable[..., dict[str, str]], run_gate: Callable
) -> None:
    """Mending, and mending twice, leaves nothing behind: the same verdicts as before the first fault."""
    assert cluster.ailments(lab) == []
    assert all(f"#off# {when}" not in lab.crontab.read_text() for when in schedule.JOBS.values())
    assert sql.value(lab, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0
    scope = everything(quiet=quiet)
    before = healthy(scope, ())
    assert {i: item["verdict"] for i, item in run_gate(scope)[1].items()} == before


def test_every_bound_item_has_a_fault() -> None:
    """An item with a test that was never seen red does not count as checked; phase 2 has two faults an item."""
    faulted = [item for fault in ALL.values() for item in fault.items]
    assert set(faulted) >= BOUND, f"no fault turns these red: {sorted(BOUND - set(faulted))}"
    phase2 = [item.id for item in CHECKLIST.items if item.phase == "phase2"]
    assert {item: faulted.count(item) >= 2 for item in phase2} == dict.fromkeys(phase2, True)
