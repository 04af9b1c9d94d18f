"""The figures as OpenMetrics text, which Prometheus and the textfile collector of node_exporter read alike.

All are gauges: a figure falls when a folder is archived, and a counter that falls would be read as a restart. What is
unknown has no sample.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from pytest_deploygate.history.change import State
from pytest_deploygate.history.dora import Dora
from pytest_deploygate.history.figures import ItemTrend
from pytest_deploygate.history.folders import Kind
from pytest_deploygate.history.reading import History
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.report.leaving import leaving

#: How units of readings become those of metrics: the metric's unit, and the factor.
_UNITS = {
    "us": ("seconds", 1e-6),
    "µs": ("seconds", 1e-6),
    "ms": ("seconds", 0.001),
    "s": ("seconds", 1.0),
    "min": ("seconds", 60.0),
    "h": ("seconds", 3600.0),
    "d": ("seconds", 86400.0),
    "B": ("bytes", 1.0),
    "bytes": ("bytes", 1.0),
    "kB": ("bytes", 1024.0),
    "MB": ("bytes", 1024.0**2),
    "GB": ("bytes", 1024.0**3),
    "TB": ("bytes", 1024.0**4),
    "%": ("ratio", 0.01),
    "": ("value", 1.0),
}
Labels = tuple[tuple[str, str], ...]
Sample = tuple[Mapping[str, str], float | None]


@dataclass(frozen=True)
class Family:
    """Samples of one name. `unit` is the end of the name, empty for a number of things."""

    name: str
    help: str
    samples: Mapping[Labels, float]
    unit: str = ""


def text(history: History) -> str:
    """Return the whole text, ending in `# EOF`. Equal histories give equal bytes."""
    return "".join(f"{line}\n" for line in _lines(_families(history)))


def _families(history: History) -> Iterator[Family]:
    notes = Counter(note.kind for note in history.notes)
    yield _family(
        "deploygate_history_folders",
        "Folders by what was found there; of these only counted and half-written ones are in the figures.",
        [({"kind": "counted"}, history.folders), *(({"kind": kind.value}, notes[kind]) for kind in Kind)],
    )
    yield from _of_changes(history)
    yield from _of_dora(history.dora)
    yield from _of_items(history.items)
    yield from _of_readings(history.items)


def _of_changes(history: History) -> Iterator[Family]:
    runs: Counter[str] = Counter()
    for part in history.parts:
        runs[part.inventory] += part.runs
    yield _family(
        "deploygate_history_runs", "Runs of the gate.", [(_of(name), count) for name, count in runs.items()]
    )


def _of_dora(found: Sequence[Dora]) -> Iterator[Family]:
    each = _each([_of(one.inventory) for one in found])
    yield each("deploygate_changes", "Changes with a record.", [one.changes for one in found])
    yield _family(
        "deploygate_deployments",
        "Changes that went live, by what became of them.",
        [
            sample
            for one in found
            for sample in (
                (_of(one.inventory) | {"outcome": State.SUCCEEDED.value}, one.deployments - one.failed),
                (_of(one.inventory) | {"outcome": State.FAILED.value}, one.failed),
                (_of(one.inventory) | {"outcome": State.UNSETTLED.value}, one.not_settled),
            )
        ],
    )
    yield each(
        "deploygate_last_go_live_timestamp_seconds",
        "When the last deployment began to go live.",
        [one.last.timestamp() if one.last else None for one in found],
        "seconds",
    )
    yield each(
        "deploygate_deployments_per_week",
        "Deployments per week between the first and the last.",
        [one.per_week for one in found],
    )
    yield each(
        "deploygate_lead_time_median_seconds",
        "Median time from commit to the GO of go-live.",
        [one.lead_time.seconds for one in found],
        "seconds",
    )
    yield each(
        "deploygate_change_failure_ratio",
        "Share of deployments with an incident or a rollback.",
        [one.failure_rate for one in found],
        "ratio",
    )
    yield each(
        "deploygate_time_to_restore_median_seconds",
        "Median time from the opening of an incident to its end.",
        [one.restore.seconds for one in found],
        "seconds",
    )
    yield each(
        "deploygate_incidents_open", "Incidents that are not over.", [one.open_incidents for one in found]
    )
    yield each(
        "deploygate_go_live_to_decision_median_seconds",
        "Median time from the begin of the go-live to its GO or ROLLBACK.",
        [one.decision.seconds for one in found],
        "seconds",
    )


def _of_items(found: Sequence[ItemTrend]) -> Iterator[Family]:
    each = _each([_item(one) for one in found])
    yield _family(
        "deploygate_item_runs",
        "Runs that measured an item, by verdict.",
        [
            (_item(one) | {"verdict": verdict.value}, count)
            for one in found
            for verdict, count in sorted(one.verdicts.items())
        ],
    )
    yield each(
        "deploygate_item_duration_median_seconds",
        "Median of the changes' medians of an item's duration.",
        [one.seconds.median for one in found],
        "seconds",
    )
    yield each(
        "deploygate_item_duration_last_seconds",
        "Duration of an item in its last run.",
        [one.seconds.last for one in found],
        "seconds",
    )
    yield each(
        "deploygate_item_flaky_ratio",
        "Share of comparable pairs of runs in which the verdict differs.",
        [one.unsteady for one in found],
        "ratio",
    )
    yield each(
        "deploygate_item_decisions", "Decisions with the item in scope.", [one.decided for one in found]
    )
    yield each("deploygate_item_held_decisions", "Decisions that the item held.", [one.held for one in found])


def _of_readings(found: Iterable[ItemTrend]) -> Iterator[Family]:
    newest: dict[tuple[str, Labels], tuple[float, float]] = {}
    for one in found:
        for (target, name, unit), trend in one.readings.items():
            if unit not in _UNITS:
                continue
            to, factor = _UNITS[unit]
            key = to, _labels(_item(one) | {"target": target, "reading": name})
            at = trend.points[-1][0].timestamp()
            if at >= newest.get(key, (-math.inf, 0.0))[0]:  # a reading whose unit changed has one sample
                newest[key] = at, trend.last * factor
    said = {
        "seconds": "Last number that an item measured, in seconds.",
        "bytes": "Last number that an item measured, in bytes.",
        "ratio": "Last share that an item measured, from 0 to 1.",
        "value": "Last number without a unit that an item measured.",
    }
    for unit, words in said.items():
        samples = {labels: value for (to, labels), (_, value) in newest.items() if to == unit}
        yield Family(f"deploygate_item_reading_{unit}", words, samples, "" if unit == "value" else unit)


def _each(labels: Sequence[Mapping[str, str]]) -> Callable[..., Family]:
    """Return a function that makes a family of one value for each of these labels."""

    def each(name: str, said: str, values: Iterable[float | None], unit: str = "") -> Family:
        return _family(name, said, zip(labels, values, strict=True), unit)

    return each


def _of(inventory: str) -> dict[str, str]:
    return {"inventory": inventory}


def _item(one: ItemTrend) -> dict[str, str]:
    return {"inventory": one.inventory, "item": one.item}


def _family(name: str, said: str, samples: Iterable[Sample], unit: str = "") -> Family:
    return Family(name, said, {_labels(of): value for of, value in samples if value is not None}, unit)


def _labels(of: Mapping[str, str]) -> Labels:
    return tuple((name, leaving(value)) for name, value in of.items())


def _lines(families: Iterable[Family]) -> Iterator[str]:
    for family in families:
        yield f"# TYPE {family.name} gauge"
        if family.unit:
            yield f"# UNIT {family.name} {family.unit}"
        yield f"# HELP {family.name} {family.help}"
        for labels, value in family.samples.items():
            said = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
            yield f"{family.name}{{{said}}} {_number(value)}"
    yield "# EOF"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))
