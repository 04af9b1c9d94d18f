"""Which run of the gate shows a fault, which healthy run it is compared with, and what the result must be."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate.checklist import parser
from pytest_deploygate.cli.shared import lab_way_back
from pytest_deploygate.decision.compose import CLOSING_TESTS
from pytest_deploygate.fields.sources.lab import STATE_FILE
from pytest_deploygate.lab import client, cluster, drilling, faults, schedule, sql
from pytest_deploygate.lab.faults import pooling
from pytest_deploygate.lab.services import cdn, dns, edge, front, pooler
from pytest_deploygate.lab.state import Lab
from pytest_deploygate.lab.way_back import INVENTORY, guards
from pytest_deploygate.model import Verdict, worst
from pytest_deploygate.session import shipped
from pytest_deploygate.session.scope import item_ids

ROOT = Path(__file__).parents[2]
ALL = faults.all_faults()
#: The items that each test function of the shipped suites is bound to.
BOUND_TESTS = {f.test.rpartition("::")[2]: f.items for f in shipped.functions()}
BOUND = {item for items in BOUND_TESTS.values() for item in items}
CHECKLIST = parser.load(shipped.checklist())

#: Items that are measured in response times: other work on the machine makes them inconclusive.
TIMED = {"crit.p50", "crit.p99"}
#: Items that another inventory than the lab's own measures: on the lab's own they need not pass.
ELSEWHERE = {item for fault in ALL.values() if fault.inventory != "lab" for item in fault.items}
#: What a drill measures: a restore, what restores leave, pressure on the pooler, bursts, and a backend that turns bad. The
#: runs of other faults rely on the healthy run's record.
DRILLED = {"db.restore", "db.pooling", "guard.blast-radius", "sec.ddos", "infra.load-balancer"}
#: Items whose servers nothing else in the lab uses, and their sections: the faults of other items leave them out.
APART = {"infra.cdn": "cdn", "infra.load-balancer": "load_balancer", "sec.waf": "waf", "sec.ddos": "ddos"}
#: The inventory of what watches the platform. Its servers run in a lab with their profile only.
WATCHED = "lab-monitoring"
#: The inventory of the platform as its users meet it, which runs in a lab with its profile only.
USED = "lab-application"
#: The inventory of the migration of data, in a lab with its profile.
MIGRATED = "lab-migration"
#: The inventory of a cluster that Patroni manages, in a lab with its profile.
MANAGED = "lab-patroni"
#: The inventory of notices to people, in a lab with its profile.
TOLD = "lab-notices"
#: The inventory of the people around a deployment, in a lab with its profile.
AROUND = "lab-people"
#: Items of these inventories that take more than a second, as they send load, events or alerts, watch for a while, or visit
#: pages. The runs about other items leave them out, except with `bin/test --long`.
LONG = {
    "golive.performance",
    "phase1.alert-routing",
    "phase3.pipeline",
    "phase3.alerts",
    "phase3.containers",
    "phase3.services",
    "crit.alerts",
    "crit.dashboards",
    "crit.features",
    "crit.login",
    "crit.realtime",
    "crit.reports",
    "golive.logins",
    "day.dashboards",
    "after.workflows",
    "comp.gdpr",
    "guard.one-scheduler",
}
#: How many faults one run may show: more would be hard to read when one of them is not seen.
TOGETHER = 9
#: Faults of which no two go together, though they change different items.
APART_FROM_EACH_OTHER = (
    # A notice with a placeholder is refused, and the other fault sends it.
    frozenset({"notice-placeholder", "notice-no-status"}),
    # Each makes the recent past of one service anew.
    frozenset(
        {
            "errors-two-percent",
            "night-scrape-gap",
            "night-slower-than-before",
            "slow-histogram",
            "traffic-on-the-old-side",
        }
    ),
    # Each is about the place of backups, in words of its own.
    frozenset({"backup-repository-empty", "backup-host-unreachable"}),
)
#: The write load of a probe of the database removes what this one leaves.
ALONE = {"gate-rows-left"}
#: Items that do not hold a change by themselves; on these inventories people's halves are open, which does.
MINOR = {item.id for item in CHECKLIST.items if item.severity.value == "minor"}
PHASE2 = {item.id for item in CHECKLIST.items if item.phase == "phase2"}


def part_of(fault: faults.Fault) -> str:
    """The module that tests a fault; each module has its own lab, so that they can run side by side."""
    if fault.inventory == WATCHED:
        return "monitoring"
    if fault.inventory == USED:
        return "application"
    if fault.inventory == MIGRATED:
        return "migration"
    if fault.inventory == MANAGED:
        return "patroni"
    if fault.inventory == TOLD:
        return "notices"
    if fault.inventory == AROUND:
        return "people"
    if PHASE2 & set(fault.items):
        return "phase2"
    areas = {item.partition(".")[0] for item in fault.items}
    return "security" if "sec" in areas else "infrastructure" if "infra" in areas else "others"


def of_part(part: str) -> list[object]:
    """The parameters of a test of each fault of a module by itself."""
    return named(fault for fault in ALL.values() if part_of(fault) == part)


def together(*parts: str) -> list[object]:
    """The parameters of a test of the faults that are tried each time, in groups that one run can show."""
    return [pytest.param(group, id="+".join(f.name for f in group)) for group in groups(*parts)]


def together_and_alone(part: str) -> list[object]:
    """The parameters of both tests, for a module whose lab nothing else needs."""
    by_itself = {group[0].name for group in groups(part) if len(group) == 1}
    mine = (fault for fault in ALL.values() if part_of(fault) == part and fault.name not in by_itself)
    return [*together(part), *named(mine)]


def named(some: Iterable[faults.Fault]) -> list[object]:
    """The parameters of a test for each of some faults by itself."""
    return [
        pytest.param((f,), id=f.name, marks=pytest.mark.quiet if needs_quiet(f) else pytest.mark.long)
        for f in some
    ]


def groups(*parts: str) -> list[tuple[faults.Fault, ...]]:
    """The faults of modules that are tried each time, by what one run can show: no two of a group change the same item.

    A run of the gate takes as long for one fault as for nine. Each fault is also tried by itself, with `bin/test --long`.
    """
    found: list[list[faults.Fault]] = []
    for fault in (f for f in ALL.values() if f.name in each_time() and part_of(f) in parts):
        for group in found:
            if len(group) < TOGETHER and not any(_clash(fault, other) for other in group):
                group.append(fault)
                break
        else:
            found.append([fault])
    return [tuple(group) for group in found]


def _clash(one: faults.Fault, other: faults.Fault) -> bool:
    """Whether one run cannot show both faults."""
    return (
        bool({one.name, other.name} & ALONE)
        or one.inventory != other.inventory
        or bool(one.items.keys() & other.items.keys())
        or bool(DRILLED & one.items.keys()) != bool(DRILLED & other.items.keys())
        or any({one.name, other.name} <= names for names in APART_FROM_EACH_OTHER)
    )


@cache
def each_time() -> frozenset[str]:
    """The faults that are tried each time: as few as turn every item red.

    A run takes up to a minute, and there are hundreds of faults: `bin/test --long` tries the others, among them those that
    only a second test of an item sees.
    """
    # The healthy lab with Patroni needs drills of minutes. The same faults are seen each time by tests/checks/patroni.
    left = {
        fault.name: set(fault.items)
        for fault in ALL.values()
        if fault.inventory != MANAGED and not needs_quiet(fault)
    }
    chosen: set[str] = set()
    while left and (best := max(left, key=lambda name: len(left[name]))) and left[best]:
        chosen.add(best)
        red = set(left.pop(best))
        for items in left.values():
            items.difference_update(red)
    return frozenset(chosen)


def bound_to(item: str) -> list[str]:
    """The test functions that an item is bound to."""
    return [test for test, items in BOUND_TESTS.items() if item in items]


def turned_red_by(fault: faults.Fault) -> set[str]:
    """The tests that a fault must turn red: those that it names, and the only test of an item where there is one."""
    bound = [bound_to(item) for item in fault.items]
    return {*fault.tests, *(tests[0] for tests in bound if len(tests) == 1)}


def not_good(items: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The test functions with a finding that is not good, in one of these items of a run's verdicts."""
    return {
        target["test"].partition("[")[0].rpartition("::")[2]
        for item in items.values()
        for target in item["targets"]
        if target["verdict"] in (Verdict.FAIL.value, Verdict.INCONCLUSIVE.value)
    }


def judged_at_the_end(items: Mapping[str, Mapping[str, Any]], fault: faults.Fault) -> set[str]:
    """The tests of items that are also judged when the run closes, where that is what turned red; not those that the fault names."""
    return {
        test
        for item in fault.items
        if any(
            target["test"].startswith(CLOSING_TESTS) and not Verdict(target["verdict"]).good
            for target in items[item]["targets"]
        )
        for test in bound_to(item)
    } - set(fault.tests)


def needs_quiet(fault: faults.Fault) -> bool:
    """Whether a gate run about this fault measures response times."""
    return bool(TIMED & set(fault.items)) or (fault.inventory == "lab" and "criteria" in scope_of(fault))


def scope_of(fault: faults.Fault) -> str:
    """The phases of the items that a fault changes, unless it names a narrower scope."""
    phases = {item.phase for item in CHECKLIST.items if item.id in fault.items}
    return fault.scope or " or ".join(phase.id for phase in CHECKLIST.phases if phase.id in phases)


def inventory_of(fault: faults.Fault) -> tuple[str, ...]:
    """The options that select what a fault's run measures; none for the lab's own inventory."""
    return () if fault.inventory == "lab" else all_of(fault.inventory)[1]


def all_of(inventory: str, without: AbstractSet[str] = frozenset()) -> tuple[str, tuple[str, ...]]:
    """The scope and the options of a run over all items that an inventory's faults change, or without some of them."""
    theirs = {i for fault in ALL.values() if fault.inventory == inventory for i in fault.items} - without
    phases = {item.phase for item in CHECKLIST.items if item.id in theirs}
    scope = " or ".join(phase.id for phase in CHECKLIST.phases if phase.id in phases)
    return scope, (f"--inventory={inventory}", f"--items={','.join(sorted(theirs))}")


def machine_half(item: dict[str, object]) -> str:
    """The verdict of what was measured: a hybrid item also needs a person, and attestations are not invented for a lab."""
    if item["kind"] != "hybrid":
        return str(item["verdict"])
    return str(worst(Verdict(t["verdict"]) for t in item["targets"] if t["target"] != "attestation"))


def everything(*parts: str, quiet: bool = False) -> str:
    """All scopes in which the faults of some modules are looked for on the lab's own inventory."""
    alike = (f for f in ALL.values() if part_of(f) in parts and needs_quiet(f) == quiet)
    return " or ".join(
        f"({scope})" for scope in dict.fromkeys(scope_of(f) for f in alike if not inventory_of(f))
    )


def run_of(fault: faults.Fault, *parts: str) -> tuple[str, tuple[str, ...]]:
    """The scope and the options of the healthy run that a fault's run is compared with; there are few, as each takes long."""
    if inventory_of(fault):
        return all_of(fault.inventory)
    return everything(*(parts or (part_of(fault),)), quiet=needs_quiet(fault)), ()


def when_healthy(lab: Lab, run_gate: Callable) -> Callable[[str, tuple[str, ...]], dict[str, str]]:
    """Return a function for the verdicts of the lab when nothing is broken: what a test is bound to passes."""
    known: dict[tuple[str, ...], dict[str, str]] = {}

    def verdicts(scope: str, options: tuple[str, ...]) -> dict[str, str]:
        if (key := (scope, *options)) not in known:
            if "criteria" in scope and front.FRONT in lab.ports:
                front.wait_watched(lab)
            if f"--inventory={INVENTORY}" in options and not guards(lab)["cutover"].exists():
                assert lab_way_back.rehearse(lab, ROOT) == ""
            _, items = run_gate(scope, *options)
            mine = BOUND if options else BOUND - ELSEWHERE
            measured = {i: (machine_half(v), v["reason"]) for i, v in items.items() if i in mine}
            assert {verdict for verdict, _ in measured.values()} == {"pass"}, measured
            known[key] = {item_id: item["verdict"] for item_id, item in items.items()}
        return known[key]

    return verdicts


@contextlib.contextmanager
def records_kept(lab: Lab) -> Iterator[None]:
    """Put back the records of drills that a broken lab overwrites: other faults' runs rely on those of the healthy one."""
    values = json.loads((lab.folder / STATE_FILE).read_text())["values"]
    names = ("backup.record", "pooling.record", "limiter.record", "balancer.record")
    files = [Path(values[name]) for name in names if name in values]
    kept = {file: file.read_bytes() for file in files if file.is_file()}
    try:
        yield
    finally:
        for file, content in kept.items():
            file.write_bytes(content)


def changes_exactly_what_it_declares(
    broken: Sequence[faults.Fault], lab: Lab, healthy: Callable, run_gate: Callable, *parts: str
) -> None:
    """Break, run, heal, compare: one fault, or several that change different items.

    `parts` are the modules whose items the healthy run is about, where that is not the fault's own.
    """
    if lacking := [service for fault in broken for service in fault.needs if service not in lab.ports]:
        pytest.skip(f"this lab does without {', '.join(lacking)}")
    declared = {item: verdict for fault in broken for item, verdict in fault.items.items()}
    whole, options = run_of(broken[0], *parts)
    rests_on_records = not options or broken[0].inventory == INVENTORY
    long = os.environ.get("DEPLOYGATE_LONG")
    # Otherwise all that no fault of the group declares must pass, which shows as much as a healthy run.
    before = healthy(whole, options) if rests_on_records or long else {}
    scopes = whole if options else " or ".join(dict.fromkeys(f"({scope_of(fault)})" for fault in broken))
    if options:
        left_out = set() if long else LONG - declared.keys()
        _, options = all_of(broken[0].inventory, without=left_out)
    try:
        for fault in broken:
            faults.put_in(lab, fault, also=True)
        apart = bool((APART.keys() | DRILLED) & declared.keys())
        drills = DRILLED & declared.keys()
        if "crit.data-loss" in item_ids(scopes, CHECKLIST):  # it looks in a restored backup
            drills |= {"db.restore"}
        with records_kept(lab):
            code, items = run_gate(scopes, *options, drills=drills, apart=apart)
        if not apart:
            items = {i: item for i, item in items.items() if i not in APART}
    finally:
        faults.heal(lab)
    for fault in broken:
        fault.heals(lab)  # healing again does no harm
    changed = {
        i: item["verdict"]
        for i, item in items.items()
        if (item["verdict"] != before[i] if before else i in BOUND and machine_half(item) != "pass")
    }
    # A fault with a narrower scope may change what is outside of it.
    elsewhere = (
        set()
        if options
        else items.keys() - set.intersection(*(set(item_ids(scope_of(fault), CHECKLIST)) for fault in broken))
    )
    changed = {i: verdict for i, verdict in changed.items() if i in declared or i not in elsewhere}
    assert changed == declared, {i: items[i]["reason"] for i in {*changed, *declared}}
    for fault in broken:
        is_said(fault, items)
    holding = {i for i, item in items.items() if item["verdict"] == "fail"} - MINOR
    assert code == (1 if holding else 21)


def is_said(fault: faults.Fault, items: Mapping[str, Mapping[str, Any]]) -> None:
    """Each test that the fault must turn red is red, and one of the reasons says where to look."""
    red = not_good({item: items[item] for item in fault.items}) | judged_at_the_end(items, fault)
    assert red >= turned_red_by(fault), f"no finding of theirs is red: {sorted(turned_red_by(fault) - red)}"
    reasons = " ".join(
        str(text)
        for item_id in fault.items
        for text in (items[item_id]["reason"], *(t["reason"] for t in items[item_id]["targets"]))
    )
    assert fault.says.lower() in reasons.lower(), reasons


@dataclass(frozen=True)
class Harmless:
    """What looks like a fault and is none; `change` may also assert that a drill ended well."""

    name: str
    scope: str
    change: faults.Change
    undo: faults.Change
    needs: tuple[str, ...] = ()
    drills: frozenset[str] = frozenset()


def _drill_name(lab: Lab) -> None:
    client.stop(lab, dns.CONTROLLER)
    client.start(lab, dns.CONTROLLER)
    assert drilling.fail_over_name(lab) == "good"


def _drill_page(lab: Lab) -> None:
    edge.change(lab, maintenance="application")
    edge.restore(lab, "maintenance")
    assert drilling.show_maintenance_page(lab) == "good"


def _drill_database(lab: Lab) -> None:
    assert drilling.fail_over_database(lab) == "good"


def _write_pooler_anew(lab: Lab) -> None:
    """Another size that fits, in the expected mode."""
    pooling.configure(default_pool_size=14, pool_mode="transaction")(lab)


#: Beside each fault that only one test of its item sees: the same change made well.
HARMLESS = (
    Harmless(
        "table in a schema of its own",
        "phase2",
        faults.by_sql(
            "CREATE SCHEMA imports",
            "CREATE TABLE imports.machines_before_import AS TABLE platform.machines",
            "GRANT USAGE, CREATE ON SCHEMA imports TO PUBLIC",
        ),
        faults.by_sql("DROP SCHEMA IF EXISTS imports CASCADE"),
    ),
    Harmless("failover drill of the database, once more", "phase2", _drill_database, cluster.catch_up),
    Harmless(
        "failover of the name, once more",
        "preflight and infrastructure",
        _drill_name,
        edge.switched,
        (dns.CONTROLLER, edge.NAME),
    ),
    Harmless(
        "caches that were just emptied", "preflight and infrastructure", cdn.change, cdn.where, (cdn.NAME,)
    ),
    Harmless("drill of the page, once more", "morning", _drill_page, edge.switched, (edge.NAME,)),
    Harmless(
        "pooler with another size",
        "preflight and database",
        _write_pooler_anew,
        pooling.as_started,
        (pooler.NAME,),
        frozenset({"db.pooling"}),
    ),
)


def harmless() -> list[object]:
    """The parameters of a test of what is harmless; the failover of a name must end in time."""
    return [
        pytest.param(one, id=one.name, marks=[pytest.mark.alone] if one.change is _drill_name else [])
        for one in HARMLESS
    ]


def changes_nothing(one: Harmless, lab: Lab, healthy: Callable, run_gate: Callable, *parts: str) -> None:
    """Change, run, undo, compare."""
    if lacking := [server for server in one.needs if server not in lab.ports]:
        pytest.skip(f"this lab does without {', '.join(lacking)}")
    before = healthy(everything(*parts), ())
    try:
        one.change(lab)
        with records_kept(lab):
            _, items = run_gate(one.scope, drills=one.drills)
    finally:
        one.undo(lab)
    assert {i: v["reason"] for i, v in items.items() if v["verdict"] != before[i]} == {}


def is_as_before(
    scope: str, lab: Lab, healthy: Callable, run_gate: Callable, options: tuple[str, ...] = ()
) -> None:
    """Healing, and healing twice, left nothing behind: the same verdicts as before the first fault."""
    assert cluster.ailments(lab) == []
    assert all(f"#off# {when}" not in lab.crontab.read_text() for when in schedule.JOBS.values())
    assert sql.value(lab, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0
    before = healthy(scope, options)
    _, items = run_gate(scope, *options)
    changed = {i: item["reason"] for i, item in items.items() if item["verdict"] != before[i]}
    assert changed == {}
