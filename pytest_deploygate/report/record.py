"""The input of the report layer: everything that the journal and the decision say about one change, as one value.

The report layer reads no file and no clock, and judges nothing: two renderings of the same `Record` by the same version
of the tool are identical byte for byte. `from_journal.build` makes it.

All times are aware and in UTC. Texts may contain anything, including HTML, escape sequences and secrets: `cleaned` and
the renderers handle that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from pytest_deploygate.checklist.waivers import Waiver
from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.judging.spending import Spent
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Decision, Outcome, Phase, Weakening
from pytest_deploygate.report.changes import Change

__all__ = [
    "Contact",
    "Event",
    "ItemResult",
    "Lines",
    "Measured",
    "Previous",
    "Provenance",
    "Record",
    "Run",
    "ShardRun",
]


@dataclass(frozen=True)
class Run:
    """One segment of the journal: one run of the gate for this change.

    `finished` is None and `interrupted` true if the run was killed. `versions` are pairs such as
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


@dataclass(frozen=True)
class Measured:
    """When one run measured items of a phase: from the start of the first measurement to the end of the last."""

    phase: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Event:
    """Something that happened to the change: `kind` is the journal's word, or `incident` for a run that was killed."""

    at: datetime
    kind: str
    text: str


@dataclass(frozen=True)
class Contact:
    """Whom to call for a role, from the inventory."""

    role: str
    name: str = ""
    phone: str = ""
    mail: str = ""


@dataclass(frozen=True)
class Previous:
    """The run of the same change before the last one, and what changed since. `outcome` is None if it was undecided."""

    started: datetime
    scope: str
    outcome: Outcome | None
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Provenance:
    """The origin of the report, so that it can be computed again and compared. Digests are SHA-256 in hex.

    `tool` is name and version, `pytest-deploygate 0.1.0`. `clock` says how far off the host's clock may be. `commit` and
    `branch` are those of the folder in which the run started, `dirty` its files that differ from the commit;
    `commit_unknown` says why some of that is unknown. `records_from` is the branch that checklist, inventory, tests and
    records were read from, if it is another one.
    """

    tool: str
    python: str
    host: str
    inventory_digest: str
    checklist_digest: str
    journal_head: str
    journal_path: str
    clock: str = ""
    user: str = ""
    commit: str = ""
    branch: str = ""
    dirty: tuple[str, ...] = ()
    commit_unknown: str = ""
    records_from: str = ""


@dataclass(frozen=True)
class Lines:
    """Where items and targets are in the repository: the checklist, and an inventory's lines by name and by item.

    A file is empty if it is not in the repository, or if an earlier version ran. Both are below the folder `below` of the
    repository (empty, or with a slash at its end), where pytest ran.
    """

    checklist: str = ""
    inventory: str = ""
    names: Mapping[str, int] = field(default_factory=dict)
    items: Mapping[str, int] = field(default_factory=dict)
    below: str = ""


@dataclass(frozen=True)
class ShardRun:
    """A shard whose findings the last run took over: its number, where and when it ran, and the head of its journal."""

    index: int
    host: str
    who: str
    started: datetime
    ended: datetime | None
    tests: int
    head: str


@dataclass(frozen=True)
class StepBack:
    """A step of a rollback. `state` is done (and verified), failed, interrupted (nobody knows), or not done.

    `tries` is how often it was begun: more than once after a crash or a failure. `began` and `took_s` are those of the
    last try. `counted_s` is how long counting and saving the writes that would be lost took, before the step began.
    """

    name: str
    state: str
    said: str = ""
    began: datetime | None = None
    ended: datetime | None = None
    took_s: float = 0.0
    after_crash: bool = False
    tries: int = 1
    counted_s: float = 0.0


@dataclass(frozen=True)
class Loss:
    """What a rollback loses, who answers for it, and where it was saved. `rows` is None if nobody could count them."""

    at: datetime
    said: str
    saved: str
    role: str
    name: str
    rows: int | None = None


@dataclass(frozen=True)
class GoneBack:
    """A rollback. `ended` is None until every step is verified. `course` is what led to it. `platform` is the state when
    it stopped: a step, whether it took effect, what was observed. `tasks` is the remaining work: what, by whom, until when.
    """

    began: datetime
    ended: datetime | None
    allowed_s: float
    course: tuple[tuple[datetime, str], ...]
    steps: tuple[StepBack, ...]
    losses: tuple[Loss, ...]
    platform: tuple[tuple[str, bool, str], ...]
    tasks: tuple[tuple[str, str, datetime], ...] = ()


@dataclass(frozen=True)
class Record:
    """One change as reported. `items` and `phases` are all of the checklist's, in its order, in scope or not.

    The verdict of an item counts: it may be better than its worst finding (waived, not applicable) and worse than all of
    them (an expected target was not seen). Its findings are the latest of each target, worst first.
    `scope` is what `-m` named, in words (empty: the whole checklist). `decision` is None if none was reached.
    `weakenings` are limits, severities and scopes that are weaker than the checklist's own.
    `windows` are phases with their planned start and end, if headings and the inventory's schedule give them.
    `owners` are pairs of an item and who answers for it in the issue log of the change.
    `planned` are the ids of items that this version has no check for, whatever the inventory says.
    `measured` are the times of all runs by phase, `events` other events, `roles` the roles that must sign. `sections` are
    added by hooks of the repository, as title and text; `calls` says whom to call after a rollback, in this order.
    `options` are those that a command needs to run it again, besides scope and change; empty if an earlier version ran.
    `spent` is what the gate's own probes sent, with the start of their run. `ticket` is the change's, as `--ticket` names it;
    empty if the inventory has no tracker. `shard` is `2/4` if the last run was a part of one, and `shards` are those whose
    findings it took over, if it was made by `deploygate merge`. `lines` say where items and targets are in the repository.
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
    owners: tuple[tuple[str, str], ...] = ()
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
    options: tuple[str, ...] = ()
    spent: tuple[tuple[datetime, Spent], ...] = ()
    ticket: str = ""
    shard: str = ""
    shards: tuple[ShardRun, ...] = ()
    lines: Lines = Lines()
