"""Observes how old the newest sample of each target is, by the server's clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence

from pytest_deploygate.checks.monitoring.facts import Clock, Freshness, Newest
from pytest_deploygate.checks.monitoring.probe import told
from pytest_deploygate.checks.monitoring.section import Expected
from pytest_deploygate.clients import prometheus, scrapes
from pytest_deploygate.fields.prometheus import Prometheus

#: Samples of one scrape of a whole job: with more of them, not all of its series are looked at.
_MOST_SAMPLES = 200_000
#: Series that Prometheus writes by itself, with the target's labels: they are fresh whatever the target answered. Names
#: with a colon are of recording rules.
_OWN = "up|scrape_.+|ALERTS|ALERTS_FOR_STATE|.*:.*"
#: Names of a job whose samples' times are asked for: the newest of them counts.
_MOST_NAMES = 15
#: Targets that have none of these names and are asked for one by one.
_MOST_ALONE = 5
_Place = tuple[str, str]


def freshness(asked: Prometheus, expected: Expected) -> Freshness:
    """Return the newest sample of each target that has one or had one lately. Raises CannotTell."""
    missed = scrapes.missed(asked)
    now_s, low_s, high_s = prometheus.clock(asked)
    intervals: dict[_Place, float | None] = {}
    scraped = False
    if "targets" not in expected.does_without:
        targets = told.targets(prometheus.api(asked, "targets", {"state": "active"}), now_s)
        intervals = {(target.job, target.instance): target.interval_s for target in targets}
        scraped = any(target.scraped_ago_s is not None for target in targets)
    up, up_at = _values(asked, "up"), _values(asked, "timestamp(up)")
    if scraped and not up:
        raise told.no_samples(asked)
    samples = _values(asked, "scrape_samples_scraped")
    of_job: defaultdict[str, float] = defaultdict(float)
    for (job, _), number in samples.items():
        of_job[job] += number
    metrics = {job.job: job.metric for job in expected.targets if job.metric}
    unlooked = {
        job: round(number) for job, number in of_job.items() if number > _MOST_SAMPLES and job not in metrics
    }
    newest: dict[_Place, float] = {}
    recorded = set() if "rules" in expected.does_without else _recorded(asked)
    for job in {place[0] for place in up} - unlooked.keys():
        within = f'job="{_quoted(job)}"'
        names = [metrics[job]] if job in metrics else _names(asked, within, recorded)
        newest |= _newest(asked, names, within)
    lacking = [
        place for place in up if place[0] not in unlooked and place not in newest and samples.get(place)
    ]
    for job, instance in lacking[:_MOST_ALONE]:
        within = f'job="{_quoted(job)}", instance="{_quoted(instance)}"'
        newest |= _newest(asked, _names(asked, within, recorded), within)
    default_s = expected.scrape_interval.total_seconds() if expected.scrape_interval else None
    return Freshness(
        asked.url,
        Clock(low_s, high_s),
        tuple(
            Newest(
                *place,
                up.get(place),
                _ago(up_at, place, now_s),
                samples.get(place),
                _ago(newest, place, now_s),
                intervals.get(place, default_s),
            )
            for place in sorted(intervals.keys() | up.keys())
        ),
        unlooked,
        None if "reload" in expected.does_without else _running_s(asked, now_s),
        missed,
    )


def _running_s(asked: Prometheus, now_s: float) -> float | None:
    """Return for how long the server runs. Raises CannotTell."""
    return told.running_s(prometheus.api(asked, "status/runtimeinfo"), now_s)


def _recorded(asked: Prometheus) -> set[str]:
    """Return the names of series that rules record: they are fresh whatever the target answered. Raises CannotTell."""
    _, rules = told.groups(prometheus.api(asked, "rules", {"type": "record"}), 0.0)
    return {rule.name for rule in rules if not rule.alerting}


def _names(asked: Prometheus, within: str, recorded: Collection[str]) -> list[str]:
    """Return the names that most of these targets have, at most so many. Raises CannotTell."""
    everything = f'{{{within}, __name__!~"{_OWN}"}}'
    found = prometheus.vector(
        asked, f"count by (__name__) (group by (__name__, job, instance) ({everything}))"
    )
    found.sort(key=lambda sample: (-sample.value, sample.labels["__name__"]))
    names = [sample.labels["__name__"] for sample in found]
    return [name for name in names if name not in recorded][:_MOST_NAMES]


def _newest(asked: Prometheus, names: Sequence[str], within: str) -> dict[_Place, float]:
    """Return when the newest sample of each target was, over these names. Raises CannotTell."""
    if not names:
        return {}
    # `timestamp` drops the name, so two names in one call would be the same series.
    query = " or ".join(
        f'label_replace(max by (job, instance) (timestamp({name}{{{within}}})), "deploygate", "{number}", "", "")'
        for number, name in enumerate(names)
    )
    return _values(asked, query, max)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _values(
    asked: Prometheus, query: str, which: Callable[[float, float], float] = min
) -> dict[_Place, float]:
    """Return a query's values by target; the smallest (or largest) where a target has several."""
    found: dict[_Place, float] = {}
    for sample in prometheus.finite(asked, query):
        place = (sample.labels.get("job", ""), sample.labels.get("instance", ""))
        found[place] = which(sample.value, found.get(place, sample.value))
    return found


def _ago(moments: Mapping[_Place, float], place: _Place, now_s: float) -> float | None:
    """Return how old a moment is; what came while we asked is new."""
    return max(0.0, now_s - moments[place]) if place in moments else None
