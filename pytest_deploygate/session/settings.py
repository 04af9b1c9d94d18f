"""The settings of a run, which `reading.py` reads: options, inventory, checklist, and where results go."""

from __future__ import annotations

from dataclasses import field
from functools import cached_property
from pathlib import Path

import pytest

from pytest_deploygate import git
from pytest_deploygate.checklist.parser import Checklist
from pytest_deploygate.clients import stopping
from pytest_deploygate.inventory.loader import Loaded
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import NO_CHANGE, Weakening
from pytest_deploygate.session import scope
from pytest_deploygate.session.asking import Asking
from pytest_deploygate.session.base import Base
from pytest_deploygate.session.records import Records
from pytest_deploygate.session.sharding import Shard

STOP = stopping.NAME


@dataclass(frozen=True)
class Settings:
    """One run's settings. `expression` is that of `-m`; empty means the whole checklist.

    `without` says in one line which shipped items the checklist does without; empty if it has all of them. `options` are
    those that a command needs to run this again, as they were given. `shard` is None for a whole run.
    """

    root: Path
    loaded: Loaded
    checklist: Checklist
    change: str
    out: Path
    expression: str
    resume: bool
    fresh: bool
    allow_disruptive: bool
    waived_exit: bool
    records: Records
    source: git.State
    base: Base | None = None
    weakenings: tuple[Weakening, ...] = ()
    ticked: Path | None = None
    only: tuple[str, ...] = ()
    execute_rollback: bool = False
    remarks: tuple[str, ...] = ()
    asking: Asking = field(default_factory=lambda: Asking({}))
    without: str = ""
    weak_secrets: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    shard: Shard | None = None
    override_freeze: str = ""

    @property
    def change_folder(self) -> Path:
        """The folder of the change: `out` is that of a shard below it where this run is one."""
        return self.out.parent.parent if self.shard else self.out

    @cached_property
    def scope_items(self) -> tuple[str, ...]:
        """The ids of the items in scope, in the checklist's order."""
        return scope.item_ids(self.expression, self.checklist, self.only)

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The ids of all items of the checklist."""
        return tuple(item.id for item in self.checklist.items)

    @property
    def scope_words(self) -> str:
        """The scope as shown in the report: `-m` and `--items`. Empty: the whole checklist."""
        items = f"items {', '.join(self.only)}" if self.only else ""
        return f"{self.expression}, {items}" if self.expression and items else self.expression or items

    @property
    def inventory(self) -> Inventory:
        """The inventory itself."""
        return self.loaded.inventory

    @property
    def stop_file(self) -> Path:
        """The file that ends every probe of the change's runs."""
        return self.change_folder / STOP

    @property
    def chained(self) -> bool:
        """Whether a GO requires a GO of the phases before: if the change was named.

        A shard does not look: the record of its change may be on another machine, and `deploygate merge` looks.
        """
        return self.change != NO_CHANGE and self.shard is None

    @property
    def not_applicable(self) -> dict[str, str]:
        """Reasons by item id, with the role that decided it."""
        entries = self.inventory.not_applicable
        return {entry.item: f"{entry.reason} (decided by: {entry.owner})" for entry in entries}


SETTINGS = pytest.StashKey[Settings]()
