"""The drills on a new lab, which leave dated records. Each subject names its own in `checks/<subject>/drills`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from graphlib import TopologicalSorter
from itertools import groupby
from pathlib import Path

from pytest_deploygate import checks
from pytest_deploygate.drills.planned import Drill
from pytest_deploygate.inventory.loader import InventoryError
from pytest_deploygate.inventory.loader import load as load_inventory
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.inventory.sections import Handed
from pytest_deploygate.lab import up
from pytest_deploygate.model import CannotTell


def rehearse(say: up.Say) -> None:
    """Run the drills on the new lab, so that there are records of them; say so if there are none."""
    try:
        inventory = load_inventory("lab", Path.cwd()).inventory
    except InventoryError as error:
        say(f"no drills: {error}", 0.0)
        return
    by_what = sorted(planned(inventory), key=lambda drill: drill.disturbs)  # stable: keeps the order within
    sides = [list(drills) for _, drills in groupby(by_what, key=lambda drill: drill.disturbs)]
    with ThreadPoolExecutor(max(1, len(sides))) as pool:
        for said in pool.map(lambda drills: [_run(drill) for drill in drills], sides):
            for what, seconds in said:
                say(what, seconds)


def planned(inventory: Inventory) -> Iterator[Drill]:
    """Yield the drills that the inventory describes, each after those that must come first."""
    schema = inventory.writes.schema_ if inventory.writes else None
    found: dict[str, list[Drill]] = {}
    for subject in checks.subjects():
        if module := checks.part(subject, "drills"):
            found[subject] = list(module.drills(Handed(inventory), inventory.name, schema))
    first = {subject: {drill.after for drill in drills if drill.after} for subject, drills in found.items()}
    for subject in TopologicalSorter(first).static_order():
        yield from found.get(subject, ())


def _run(drill: Drill) -> tuple[str, float]:
    """Return how a drill ended, and how many seconds it took."""
    began = time.monotonic()
    try:
        record = drill.run()
    except CannotTell as unknown:
        outcome = str(unknown)
    else:
        outcome = "none" if record is None else record.outcome
        if record is not None and outcome != "good":
            outcome += f" ({record.reason})"
    return f"{drill.name}, on record: {outcome}", time.monotonic() - began
