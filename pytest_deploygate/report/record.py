"""What the report layer is given: everything that the journal and the decision know of one change, as one value.

The report layer reads no file, asks no clock and judges nothing: two renderings of one `Record` by one version of the
tool are the same bytes. Whoever owns the journal builds it with a function of this shape, pure but for its arguments:

    def record(journal: Journal, checklist: Checklist, inventory: Inventory, decision: Decision | None) -> Record

All times are aware and in UTC. Texts may hold anything, also HTML, escape sequences and secrets: `cleaned` and the
renderers see to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.model import Decision, Phase

__all__ = ["ItemResult", "Provenance", "Record", "Run"]


@dataclass(frozen=True, slots=True)
class Run:
    """One segment of the journal: one run of the gate for this change.

    `finished` is None and `interrupted` true where the run was killed. `versions` are pairs such as
    `("pytest", "9.0.1")`. `scope` is what that run's `-m` named.
    """

    started: datetime
    finished: datetime | None
    who: str
    host: str
    versions: tuple[tuple[str, str], ...] = ()
    interrupted: bool = False
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the report comes from, so that it can be computed again and compared. Digests are SHA-256 in hex.

    `tool` is name and version, `pytest-deploygate 0.1.0`.
    """

    tool: str
    python: str
    host: str
    inventory_digest: str
    checklist_digest: str
    journal_head: str
    journal_path: str


@dataclass(frozen=True, slots=True)
class Record:
    """One change as reported. `items` and `phases` are in the order of the checklist, all of them, in scope or not.

    The verdict of an item governs: it may be better than its worst finding (waived, not applicable) and worse than
    all of them (a target expected and not seen). Its findings are the latest of each target, worst first.
    `scope` is what `-m` named, in words (empty: the whole checklist). `decision` is None where none was reached.
    `weakenings` are sentences, one for each limit, severity or scope that is weaker than the checklist's own.
    `windows` are phases with planned start and end, where headings and the inventory's schedule say so.
    `planned` are the ids of items that this version has no check for, whatever the inventory says.
    """

    change: str
    inventory: str
    description: str
    scope: str
    decision: Decision | None
    phases: tuple[Phase, ...]
    items: tuple[ItemResult, ...]
    runs: tuple[Run, ...]
    provenance: Provenance
    weakenings: tuple[str, ...] = ()
    planned: tuple[str, ...] = ()
    windows: tuple[tuple[str, datetime, datetime], ...] = ()
