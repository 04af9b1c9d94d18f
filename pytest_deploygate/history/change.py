"""What history keeps of a change: figures, no findings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Verdict

#: Target, name and unit of a measured number.
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Values:
    """The numbers that the runs of one change measured, in short."""

    count: int
    median: float
    low: float
    high: float
    last: float


@dataclass(frozen=True)
class ItemFigures:
    """One item in one change: verdicts by run, seconds by run, numbers by target and name.

    `pairs` are runs that follow each other with the same commit, inventory and checklist; in `changes` of them the verdict
    differs. Of `decided` decisions with the item in scope it held `held`.
    """

    text: str
    phase: str
    verdicts: Mapping[Verdict, int]
    last: Verdict
    seconds: Values
    pairs: int
    changes: int
    decided: int
    held: int
    readings: Mapping[Key, Values]


class State(StrEnum):
    """What became of a change on one inventory."""

    NOT_LIVE = "not live"  # the go-live phase was not asked for
    UNSETTLED = "not settled"  # it was, and neither a GO nor an incident nor a rollback followed
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True)
class IncidentFigures:
    """An incident from go-live on. Seconds are since it opened; None: that did not happen, or is not recorded."""

    id: str
    opened: datetime
    decided_s: float | None
    restored_s: float | None


@dataclass(frozen=True)
class Deployment:
    """A change on one inventory, from its go-live phase on.

    `began` is when that phase began, `ended_by` who gave the GO or ROLLBACK `decided_s` later. `lead_s` is the time from
    the commit to the first GO; `no_lead` says why it is unknown.
    """

    state: State
    began: datetime | None = None
    outcome: str = ""
    decided_s: float | None = None
    ended_by: str = ""
    lead_s: float | None = None
    no_lead: str = ""
    incidents: tuple[IncidentFigures, ...] = ()
    rolled_back: bool = False


@dataclass(frozen=True)
class Part:
    """One change on one inventory. `numbered` is false for runs without `--change`, which are no change."""

    change: str
    inventory: str
    folder: str
    numbered: bool
    first: datetime
    last: datetime
    runs: int
    unended: int
    deployment: Deployment
    items: Mapping[str, ItemFigures]
