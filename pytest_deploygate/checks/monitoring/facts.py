"""Measurements of monitoring, as frozen values: no I/O, no limits. Ages are by the server's own clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Clock:
    """Bounds of the offset of the server's clock from ours, in seconds; positive: it is ahead."""

    low_s: float
    high_s: float


@dataclass(frozen=True)
class Target:
    """A target that is scraped. `scraped_ago_s` is None before its first scrape, `interval_s` None if not told.

    `series` names the set of labels that its samples get: two targets with the same one overwrite each other's.
    """

    job: str
    instance: str
    health: str
    error: str = ""
    url: str = ""
    scraped_ago_s: float | None = None
    interval_s: float | None = None
    series: str = ""


@dataclass(frozen=True)
class Rule:
    """A rule, alerting or recording. `health` is what its last evaluation was: ok, err or unknown."""

    group: str
    name: str
    alerting: bool
    health: str
    error: str
    state: str
    query: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Group:
    """A group of rules. `evaluated_ago_s` is None before its first evaluation."""

    name: str
    file: str
    interval_s: float
    took_s: float
    evaluated_ago_s: float | None


@dataclass(frozen=True)
class Watches:
    """One selector of a required alert's expression, and how many series it has now.

    `known`: there is a series of that name. `by_target` is how many series its name has together with only those labels
    that targets have (job, instance); the other labels may come with the event itself, such as a status code.
    """

    text: str
    series: int
    known: bool
    by_target: int


@dataclass(frozen=True)
class Watched:
    """What an alert watches: of each entry of `needs`, one selector must have series, or the alert can never fire.

    `problem`: the expression could not be read, or its series not be counted.
    """

    needs: tuple[tuple[Watches, ...], ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Server:
    """What Prometheus tells of itself. `problems` has, by part, why it could not be asked for that.

    `reloaded` is whether the last configuration that it was given is in force, since `configured` (a time in words).
    `retention` is its own wording. `dropped` has labels of targets that were discovered and dropped, as far as they
    concern what is expected. `missed` names targets that missed one scrape and answered the next. `largest` is the metric with the most series, `silent` the alerts over metrics without
    any series.
    """

    url: str
    clock: Clock
    problems: Mapping[str, str]
    running_s: float | None = None
    ready: str = ""
    reloaded: bool | None = None
    configured: str = ""
    retention: str = ""
    series: int | None = None
    largest: tuple[str, int] = ("", 0)
    targets: tuple[Target, ...] = ()
    dropped: tuple[Mapping[str, str], ...] = ()
    groups: tuple[Group, ...] = ()
    rules: tuple[Rule, ...] = ()
    watched: Mapping[str, Watched] = field(default_factory=dict)
    silent: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Newest:
    """A target's samples: how many its last scrape had, and the age of the newest; None where there is none.

    `up` is the newest value of the series that Prometheus writes for each scrape, `up_ago_s` its age.
    """

    job: str
    instance: str
    up: float | None
    up_ago_s: float | None
    samples: float | None
    newest_ago_s: float | None
    interval_s: float | None


@dataclass(frozen=True)
class Freshness:
    """The newest samples of all targets. `unlooked` has jobs with too many series to look at them all."""

    url: str
    clock: Clock
    targets: tuple[Newest, ...]
    unlooked: Mapping[str, int]
    running_s: float | None = None
    missed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Movement:
    """A counter before and after requests of ours.

    `rise` is by how much it rose from the first request on, None if there was no series; `alone` how much it rises in as
    long a time without us. `took_s` is how long it took until the rise was seen, or until nobody waited any longer.
    """

    metric: str
    url: str
    sent: int
    answered: int
    rise: float | None
    alone: float
    took_s: float
    series: int


@dataclass(frozen=True)
class Sampled:
    """A metric of one exporter: how many series it has, the newest value of one of them, and the age of the oldest."""

    series: int
    value: float | None = None
    ago_s: float | None = None
    odd: str = ""


@dataclass(frozen=True)
class Exporter:
    """One exporter of a database; `metrics` by selector. `scrape` is its `up`, None where it is not scraped."""

    instance: str
    scrape: float | None
    up: Sampled
    failed: Sampled | None
    metrics: Mapping[str, Sampled]
    interval_s: float | None


@dataclass(frozen=True)
class Exporters:
    """The exporters that must be there, and the instances that Prometheus knows in their job."""

    url: str
    clock: Clock
    exporters: tuple[Exporter, ...]
    known: tuple[str, ...]
    running_s: float | None = None
    missed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Silence:
    """A silence in force. `hides` names the required alerts that it matches, `may_hide` those that it matches in part."""

    id: str
    by: str
    comment: str
    until: str
    hides: tuple[str, ...]
    may_hide: tuple[str, ...]


@dataclass(frozen=True)
class Node:
    """One Alertmanager. `problem`: it could not be asked. `configuration` is a digest of what it runs, `clock` its offset.

    `suppressed` are required alerts that fire and are hidden now, each with by what. `inhibited` are those that an
    inhibition hides whatever they are about, because its source fires and it has no `equal`; each with the source.
    """

    name: str
    problem: str = ""
    state: str = ""
    peers: int = 0
    configuration: str = ""
    clock: Clock | None = None
    silences: tuple[Silence, ...] = ()
    suppressed: Mapping[str, str] = field(default_factory=dict)
    inhibited: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Alertmanagers:
    """All nodes that are declared, and the addresses that Prometheus sends alerts to, or why it does not tell."""

    nodes: tuple[Node, ...]
    told_to: tuple[str, ...] | str


@dataclass(frozen=True)
class GrafanaFacts:
    """What Grafana has. A dashboard's value is its number of panels, or why it is not there; a data source's its state."""

    url: str
    version: str
    database: str
    dashboards: Mapping[str, int | str]
    data_sources: Mapping[str, str]
