"""Show what a run would do, before anything runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from pytest_deploygate import git
from pytest_deploygate.cli.shared import (
    arguments,
    inventories,
    options,
    planning,
    pytest_configuration,
    repository,
)
from pytest_deploygate.cli.shared.planning import PlannedItem, PlannedPhase, PlannedTest, Situation
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.cli.show import plan as planshow
from pytest_deploygate.cli.show.plan import Plan
from pytest_deploygate.inventory.loader import InventoryError, Loaded, load
from pytest_deploygate.redaction import redact, redact_values
from pytest_deploygate.session import records, scope
from pytest_deploygate.session.asking import asking

#: Marks of pytest and its plugins here, besides those that the configuration registers.
_MARKS = ("item", "disruptive", "timeout", "skip", "skipif", "xfail", "parametrize", "usefixtures")


@click.command()
@click.option("-m", "expression", default="", metavar="EXPR", help="Phases and areas, as pytest takes them.")
@options.inventory
@options.checklist
@options.change
@click.option("--long", "long", is_flag=True, help="Name each test, and what it lacks.")
@options.as_json
def plan(
    *, expression: str, inventory: str, file: Path | None, change: str, long: bool, as_json: bool
) -> None:
    """Show what runs where and when, who must attest what, what is disruptive, and what is missing.

    Each item is one line; what is missing has a number and is listed once at the end.

    No probe runs and no connection is made. Secrets that are not set yet are listed as missing.

    \b
    deploygate plan --inventory prod
    deploygate plan -m "phase2 or golive" --inventory prod --change CHG-1234
    """
    arguments.check_change(change)
    root = find_root(Path.cwd())
    absent: list[str] = []
    try:
        loaded = load(inventory, root, absent)
    except InventoryError as error:
        raise Refused(str(error)) from None
    with repository.plainly():
        found = _plan(root, file, loaded, expression.strip(), change, absent)
    if as_json:
        click.echo(json.dumps(redact_values(_json(found)), indent=1, ensure_ascii=False))
    else:
        click.echo(redact(planshow.text(found, long=long)), nl=False)


def _plan(
    root: Path, file: Path | None, loaded: Loaded, expression: str, change: str, absent: list[str]
) -> Plan:
    now = datetime.now(UTC)
    told = pytest_configuration.read(root)
    found = repository.tested(root, file)
    checklist = found.checklist
    asked = asking(checklist, found.checks, [entry.item for entry in loaded.inventory.not_applicable])
    try:
        scope.check(expression, checklist, [*_MARKS, *told.markers])
        in_scope = scope.item_ids(expression, checklist)
    except pytest.UsageError as error:
        raise Refused(str(error)) from None
    except SyntaxError as error:
        raise Refused(f"-m {expression!r}: {error.msg}") from None
    inventory = loaded.inventory
    inventories.check_applicable(loaded, checklist, asked)
    kept = records.read(root, checklist, change, inventory.policy, git.work_tree(root))
    situation = Situation(
        root=root,
        checklist=checklist,
        inventory=inventory,
        change=change,
        functions=asked.functions(found.functions),
        records=kept,
        last=planning.last_times(root, change),
        now=now,
    )
    if not told.places:
        absent.append(
            "pytest's configuration names no testpaths; `deploygate init` writes suites and pytest.ini"
        )
    if clash := pytest_configuration.clash(told):
        absent.append(clash)
    return Plan(
        inventory=inventory.name,
        change=change,
        scope=expression,
        checklist=str(checklist.file),
        t0=inventory.timetable.t0 if inventory.timetable else None,
        zone=inventory.timetable.zone if inventory.timetable else None,
        phases=tuple(planning.phases(situation, in_scope)),
        last=situation.last,
        absent=tuple(absent),
        remarks=(*map(str, checklist.remarks), *(one.words for one in kept.aside)),
        notes=tuple(map(str, loaded.notes)),
        wants_times=any(phase.window or phase.day for phase in checklist.phases),
        without=found.without,
    )


def _json(found: Plan) -> dict[str, Any]:
    return {
        "inventory": found.inventory,
        "change": found.change,
        "scope": found.scope,
        "checklist": found.checklist,
        "t0": found.t0.isoformat() if found.t0 else None,
        "timezone": str(found.zone) if found.zone else None,
        "phases": [_phase_json(phase) for phase in found.phases],
        "missing": list(found.absent),
        "last_change": found.last.change or None,
        "last_run": found.last.at.isoformat() if found.last.at else None,
        "totals": found.totals,
        "remarks": list(found.remarks),
        "without": found.without,
        "inventory_notes": list(found.notes),
    }


def _phase_json(phase: PlannedPhase) -> dict[str, Any]:
    return {
        "id": phase.phase.id,
        "title": phase.phase.title,
        "window": phase.phase.window,
        "day": phase.phase.day,
        "start": phase.window[0].isoformat() if phase.window else None,
        "end": phase.window[1].isoformat() if phase.window else None,
        "problem": phase.problem,
        "items": [_item_json(item) for item in phase.items],
    }


def _item_json(planned: PlannedItem) -> dict[str, Any]:
    who = planned.attesting
    return {
        "id": planned.item.id,
        "text": planned.item.text,
        "kind": planned.item.kind.value,
        "severity": planned.item.severity.value,
        "tests": [_test_json(test) for test in planned.tests],
        "disruptive": planned.disruptive,
        "attest": None
        if who is None
        else {
            "roles": list(who.roles),
            "all": who.all_of_them,
            "state": "issue log" if who.log else who.verdict.value,
            "reason": who.reason,
        },
        "not_applicable": planned.not_applicable,
        "waived": planned.waived,
        "missing": list(planned.missing),
        "last_s": None if planned.last_s is None else round(planned.last_s, 3),
    }


def _test_json(test: PlannedTest) -> dict[str, Any]:
    return {
        "test": test.test,
        "targets": test.targets,
        "missing": list(test.missing),
        "disruptive": test.disruptive,
        "otherwise": test.otherwise,
    }
