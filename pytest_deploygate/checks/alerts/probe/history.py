"""The alerts that fired in a window, from the series ALERTS, and why each of the critical ones ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from pytest_deploygate.checks.alerts.facts import Firing, Past
from pytest_deploygate.checks.alerts.probe.selectors import Selector
from pytest_deploygate.checks.alerts.section import Alerts
from pytest_deploygate.clients import prometheus
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.lazy import dataclass

#: The window is looked at in so many steps, none shorter than this.
_STEPS, _SHORTEST_S = 720, 15.0
#: Of so many alerts that ended it is looked at why.
_MOST_ENDED = 50
#: Labels of ALERTS that the series behind an alert do not have.
_OWN = ("alertname", "alertstate", "__name__")


@dataclass(frozen=True)
class Ended:
    """The alerts of a window in steps of `step_s`, and the gaps in which Prometheus has nothing."""

    step_s: float
    alerts: tuple[Past, ...]
    gaps: tuple[tuple[float, float], ...]


def past(
    server: Prometheus,
    section: Alerts,
    critical: Mapping[str, Sequence[Selector]],
    now: datetime,
    firing: Sequence[Firing],
) -> Ended:
    """Return what fired until now; `critical` are the selectors of the rules whose alerts are looked at closely.

    Raises CannotTell if Prometheus does not answer.
    """
    window_s = section.night.since.total_seconds()
    step_s = float(max(_SHORTEST_S, round(window_s / _STEPS)))
    step, start = timedelta(seconds=step_s), now - timedelta(seconds=window_s)
    query = f'max_over_time(ALERTS{{alertstate="firing"}}[{step_s:.0f}s])'
    found = [
        Past(
            one.labels.get("alertname", ""),
            {name: value for name, value in one.labels.items() if name not in _OWN},
            tuple(_spans(((at - start).total_seconds() for at, _ in one.samples), step_s)),
        )
        for one in prometheus.over(server, query, start + step, now, step)
        if one.labels.get("alertname") not in (*section.night.leave_out, section.always)
    ]
    left = _MOST_ENDED
    looked = []
    for one in sorted(found, key=lambda each: each.spans[-1][1], reverse=True):
        fires = any(one.name == other.name and other.labels.items() <= one.labels.items() for other in firing)
        if one.name in critical and not fires:
            left -= 1
            looked.append(
                _why(server, one, critical[one.name], start, now, step)
                if left >= 0
                else Past(
                    one.name, one.labels, one.spans, problem=f"only the last {_MOST_ENDED} were looked at"
                )
            )
        else:
            looked.append(one)
    return Ended(step_s, tuple(looked), tuple(_gaps(server, start, now, step)))


def _spans(at_s: Iterable[float], step_s: float) -> Iterable[tuple[float, float]]:
    """Yield spans of steps that follow each other; a step stands for the time before it."""
    begun: float | None = None
    last = 0.0
    for at in at_s:
        if begun is not None and at - last > 1.5 * step_s:
            yield begun, last
            begun = None
        if begun is None:
            begun = max(0.0, at - step_s)
        last = at
    if begun is not None:
        yield begun, last


def _why(
    server: Prometheus,
    one: Past,
    selectors: Sequence[Selector],
    start: datetime,
    now: datetime,
    step: timedelta,
) -> Past:
    """Return an alert that ended with the data that it needs and that was gone then."""
    end = start + timedelta(seconds=one.spans[-1][1])
    lost: set[str] = set()
    missing_now: set[str] = set()
    for selector in selectors:
        counted = f"count by (job, instance) ({selector.text})"
        series = prometheus.over(server, counted, end - 2 * step, min(end + 2 * step, now), step / 2)
        here = {place for each in prometheus.vector(server, counted) if (place := _place(each.labels, one))}
        for each in series:
            place = _place(each.labels, one)
            times = [at for at, _ in each.samples]
            # It was there while the alert fired, and around its end or now it is not.
            gone = place not in here or _interrupted(times, end, min(end + 2 * step, now), step)
            if place and times and times[0] <= end and gone:
                lost.add(f"{selector.metric or selector.text} of {place}")
                if place not in here:
                    missing_now.add(place)
    return Past(one.name, one.labels, one.spans, ", ".join(sorted(lost)), back=bool(lost) and not missing_now)


def _interrupted(times: Sequence[datetime], end: datetime, until: datetime, step: timedelta) -> bool:
    """Return whether a series has a hole between the last step before an alert's end and a time after it."""
    near = [at for at in times if at >= end - step]
    if not near:
        return True
    holes = [later - sooner for sooner, later in zip(near, [*near[1:], until], strict=True)]
    return max(holes) > 0.75 * step


def _place(labels: Mapping[str, str], one: Past) -> str:
    """Return the target of a series; empty if the alert is about another one."""
    if any(
        name in one.labels and labels.get(name) not in (None, one.labels[name])
        for name in ("job", "instance")
    ):
        return ""
    return " ".join(labels[name] for name in ("job", "instance") if labels.get(name)) or "no target"


def _gaps(
    server: Prometheus, start: datetime, now: datetime, step: timedelta
) -> Iterable[tuple[float, float]]:
    """Yield the times in which Prometheus has no sample of any target: where the newest one is older than a step."""
    found = prometheus.over(server, "time() - max(timestamp(up))", start + step, now, step)
    step_s, window_s = step.total_seconds(), (now - start).total_seconds()
    fresh = [(at - start).total_seconds() for each in found for at, age_s in each.samples if age_s <= step_s]
    known = 0.0
    for at in sorted(fresh):
        if at - known > 1.5 * step_s:
            yield known, at - step_s
        known = at
    if window_s - known > 1.5 * step_s:
        yield known, window_s
