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

from pytest_deploygate.checklist.waivers import Waiver
from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.model import Decision, Outcome, Phase, Weakening
from pytest_deploygate.report.changes import Change

__all__ = ["Contact", "Event", "ItemResult", "Measured", "Previous", "Provenance", "Record", "Run"]


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
    outcome: Outcome | None = None
    decided: datetime | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """When one run measured items of a phase: from the first measurement's beginning to the last one's end."""

    phase: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the change: `kind` is the journal's word, or `incident` for a run that was killed."""

    at: datetime
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Contact:
    """Who to call for a role, as the inventory has it."""

    role: str
    name: str = ""
    phone: str = ""
    mail: str = ""


@dataclass(frozen=True, slots=True)
class Previous:
    """The run before the last one of the same change, and what is different since. `outcome` is None: undecided."""

    started: datetime
    scope: str
    outcome: Outcome | None
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the report comes from, so that it can be computed again and compared. Digests are SHA-256 in hex.

    `tool` is name and version, `pytest-deploygate 0.1.0`. `clock` says how far the host's clock may be off.
    """

    tool: str
    python: str
    host: str
    inventory_digest: str
    checklist_digest: str
    journal_head: str
    journal_path: str
    clock: str = ""


@dataclass(frozen=True, slots=True)
class StepBack:
    """A step of a rollback. `state` is done (and verified), failed, interrupted (nobody knows), or not done.

    `tries` is how often it was begun: more than once after a crash or a failure.
    """

    name: str
    state: str
    said: str = ""
    began: datetime | None = None
    ended: datetime | None = None
    took_s: float = 0.0
    after_crash: bool = False
    tries: int = 1


@dataclass(frozen=True, slots=True)
class Loss:
    """What a rollback loses, who answers for it, and where it was saved."""

    at: datetime
    said: str
    saved: str
    role: str
    name: str


@dataclass(frozen=True, slots=True)
class GoneBack:
    """A rollback. `ended` is None until every step was verified. `course` is what led to it, `platform` how each step's
    subject was when it stopped: a step, whether it has taken, what was seen. `tasks` are what remains, by whom, until when.
    """

    began: datetime
    ended: datetime | None
    allowed_s: float
    course: tuple[tuple[datetime, str], ...]
    steps: tuple[StepBack, ...]
    losses: tuple[Loss, ...]
    platform: tuple[tuple[str, bool, str], ...]
    tasks: tuple[tuple[str, str, datetime], ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """One change as reported. `items` and `phases` are in the order of the checklist, all of them, in scope or not.

    The verdict of an item governs: it may be better than its worst finding (waived, not applicable) and worse than
    all of them (a target expected and not seen). Its findings are the latest of each target, worst first.
    `scope` is what `-m` named, in words (empty: the whole checklist). `decision` is None where none was reached.
    `weakenings` are limits, severities and scopes that are weaker than the checklist's own.
    `windows` are phases with planned start and end, where headings and the inventory's schedule say so.
    `planned` are the ids of items that this version has no check for, whatever the inventory says.
    `measured` are all runs' times, phase by phase; `events` what else happened; `roles` who must sign. `sections` are
    what hooks of the repository add, as title and text; `calls` whom to call after a rollback, in this order.
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
    weakenings: tuple[Weakening, ...] = ()
    planned: tuple[str, ...] = ()
    windows: tuple[tuple[str, datetime, datetime], ...] = ()
    measured: tuple[Measured, ...] = ()
    events: tuple[Event, ...] = ()
    roles: tuple[str, ...] = ()
    contacts: tuple[Contact, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    previous: Previous | None = None
    gone_back: GoneBack | None = None
    sections: tuple[tuple[str, str], ...] = ()
    calls: tuple[str, ...] = ()
