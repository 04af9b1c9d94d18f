"""The runbook of a change's inventory, ready to be planned or executed."""

from __future__ import annotations

from pathlib import Path

from pytest_deploygate.checks.way_back import section as way_back
from pytest_deploygate.checks.way_back.section.rollback import Rollback
from pytest_deploygate.cli.shared import changes
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.journal import Entry
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.rollback import items
from pytest_deploygate.rollback.actions import Tools
from pytest_deploygate.rollback.hooks import Hooks


@dataclass(frozen=True)
class Prepared:
    """A runbook with what its steps need; `complaints` takes the errors of hooks."""

    inventory: Inventory
    section: Rollback
    hooks: Hooks
    tools: Tools
    complaints: changes.Complaints


def prepare(folder: Path, entries: list[Entry], given: str | None, change: str) -> Prepared:
    """Read the runbook of the inventory given, else of the last run's. Raises Refused: it has no steps."""
    inventory = changes.inventory_of(entries, given).inventory
    section = inventory.of(way_back.Keys).rollback
    if section is None or not section.steps:
        raise Refused("the inventory has no rollback.steps, so there is no runbook to execute")
    complaints = changes.Complaints()
    hooks = changes.hooks_of_repository(complaints)
    runner = items.runner(find_root(Path.cwd()), given or inventory.name, folder)
    return Prepared(inventory, section, hooks, Tools(change, hooks, runner, inventory), complaints)
