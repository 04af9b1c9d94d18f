"""What became of acknowledged writes, and what a claim of zero loss rests on, as frozen values: no I/O, no limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from pytest_deploygate.checks.replication.facts import FailoverFacts, ManagedFacts
from pytest_deploygate.drills.record import Evidence
from pytest_deploygate.judging.histories.checking import Anomalies, Presence
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Place:
    """One node, or a restored backup. `presence` is None if the rows could not be looked for; `problem` is why.

    `waited_s` is the time until a replica had replayed the last write, or until its rows were looked for without that.
    """

    name: str
    presence: Presence | None = None
    problem: str = ""
    waited_s: float = 0.0


@dataclass(frozen=True)
class Risk:
    """What a crash of the primary could have taken at the worst sample: WAL that the nearest replica had not received.

    `behind_s` is the age of what it had, at most. None: no sample. `rows_per_s` counts rows that were inserted, updated and
    deleted in the database meanwhile, ours included. `problem` is why there is no sample.
    """

    samples: int = 0
    behind_bytes: int | None = None
    behind_s: float | None = None
    rows_per_s: float = 0.0
    wal_bytes_per_s: float = 0.0
    problem: str = ""

    @property
    def rows(self) -> int | None:
        """The rows that could be lost, by that rate and that age."""
        return None if self.behind_s is None else round(self.rows_per_s * self.behind_s)


@dataclass(frozen=True)
class Commits:
    """What the servers say of how commits wait. `session` is `synchronous_commit` in a session of the writers' own way.

    `partners` are the replicas whose answer commits wait for now. `others` are roles and databases with a
    `synchronous_commit` of their own, as `role NAME: VALUE`. `problem`: why the rest is not known.
    """

    node: str
    standby_names: str = ""
    synchronous_commit: str = ""
    session: str = ""
    partners: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Steadily:
    """What a process that wrote for long knows of itself. `busy` is its own processor time by the time it took.

    `acknowledged_per_100ms` counts the commits of each tenth of a second since the start. `ended` is whether every client had
    its last answer.
    """

    planned_s: float
    lasted_s: float
    asked_per_s: float
    acknowledged: int
    reconnected: int
    busy: float
    problem: str = ""
    acknowledged_per_100ms: tuple[int, ...] = ()
    ended: bool = False

    @property
    def per_s(self) -> float:
        """Acknowledged writes a second."""
        return self.acknowledged / self.lasted_s if self.lasted_s else 0.0


@dataclass(frozen=True)
class Written:
    """One load and where its rows were found. `through` is the way of the writers; `planned_s` and `lasted_s` its times.

    `nodes` are primary and replicas, `left_out` replicas that are late on purpose. `restored` is None where no restore was
    asked for; `problem` is the first thing that went wrong for a writer.
    """

    through: str
    planned_s: float
    lasted_s: float
    anomalies: Anomalies
    nodes: tuple[Place, ...]
    restored: Place | None
    risk: Risk
    commits: Commits
    hung: bool = False
    problem: str = ""
    left_out: tuple[str, ...] = ()
    steadily: Steadily | None = None


@dataclass(frozen=True)
class Claim:
    """What zero loss can be claimed from: the settings, what is at risk, and the failover drill (None: `problem` is why).

    `managed` has the drills through the cluster's manager, by fault.
    """

    commits: Commits
    risk: Risk
    drill: Evidence[FailoverFacts] | None
    problem: str = ""
    managed: Mapping[str, Evidence[ManagedFacts]] = field(default_factory=dict)
