"""Observes Prometheus itself: targets, rules, what its alerts watch, its configuration, retention and size."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import requests

from pytest_deploygate.checks.monitoring.facts import Clock, Rule, Server, Target, Watched, Watches
from pytest_deploygate.checks.monitoring.probe import expressions, told
from pytest_deploygate.checks.monitoring.probe.expressions import Selected
from pytest_deploygate.checks.monitoring.section import Expected, Part
from pytest_deploygate.clients import prometheus, scrapes
from pytest_deploygate.clients.http import sending
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.model import CannotTell

#: Names that had a sample in this time are known.
_NAMES_S = 600
#: Characters of one query: it is part of the address, which servers limit to some 8 kB once it is encoded.
_LONGEST_QUERY = 2500
_MOST_DROPPED = 20
#: What targets' labels are called where the server does not tell its targets.
_USUAL_LABELS = frozenset({"job", "instance"})


def server(asked: Prometheus, expected: Expected) -> Server:
    """Ask Prometheus what it has. What it could not tell is in `problems`. Raises CannotTell if it does not answer at all."""
    prometheus.clock(asked)  # whether it answers at all
    missed = scrapes.missed(asked)
    now_s, low_s, high_s = prometheus.clock(asked)
    found: dict[str, Any] = {}
    problems: dict[str, str] = {}

    def part(names: Sequence[Part], read: Callable[[], Mapping[str, Any]]) -> None:
        wanted = [name for name in names if name not in expected.does_without]
        if wanted:
            try:
                found.update(read())
            except CannotTell as why:
                problems.update(dict.fromkeys(wanted, str(why)))

    part(["ready"], lambda: {"ready": _ready(asked)})
    part(["reload", "retention"], lambda: _runtime(asked, now_s))
    part(["cardinality"], lambda: _size(asked))
    if "targets" in expected.does_without:
        found["targets"] = _targets_by_samples(asked)
    part(["targets"], lambda: _targets(asked, expected, now_s))
    part(["rules"], lambda: _rules(asked, now_s))
    if "rules" in found:
        part(["rules"], lambda: _watched(asked, expected, found, now_s))
    return Server(asked.url, Clock(low_s, high_s), problems, missed=missed, **found)


def _ready(asked: Prometheus) -> str:
    """Return why the server is not ready; nothing if it is. Raises CannotTell."""
    url = f"{asked.url}/-/ready"
    try:
        answer = sending.get(asked, url, asked.timeout.total_seconds(), allow_redirects=False)
    except (requests.RequestException, OSError) as error:
        raise CannotTell(f"{url} does not answer: {sending.why(error)}") from None
    said = f"{url} answers HTTP {answer.status_code}"
    if answer.status_code == 200:
        if "html" in answer.headers.get("Content-Type", ""):
            raise CannotTell(f"{said} with a page in HTML: check the URL, and whether it requires a login")
        return ""
    if answer.status_code == 503:
        return said
    raise CannotTell(
        f"{said}: check the URL, or add `ready` to `does_without` where the server has no such page"
    )


def _runtime(asked: Prometheus, now_s: float) -> dict[str, Any]:
    data = prometheus.api(asked, "status/runtimeinfo")
    if not isinstance(data, dict) or not isinstance(data.get("reloadConfigSuccess"), bool):
        raise CannotTell(f"Prometheus at {asked.url} does not tell whether its configuration was loaded")
    return {
        "running_s": told.running_s(data, now_s),
        "reloaded": data["reloadConfigSuccess"],
        "configured": str(data.get("lastConfigTime", "")),
        "retention": str(data.get("storageRetention", "")),
    }


def _size(asked: Prometheus) -> dict[str, Any]:
    data = prometheus.api(asked, "status/tsdb")
    data = data if isinstance(data, dict) else {}
    head, by_name = data.get("headStats") or {}, data.get("seriesCountByMetricName") or []
    # VictoriaMetrics tells it as `totalSeries`.
    number = head.get("numSeries", data.get("totalSeries"))
    if not isinstance(number, int):
        raise CannotTell(f"Prometheus at {asked.url} does not tell how many series it has")
    first = by_name[0] if by_name else {}
    return {"series": number, "largest": (str(first.get("name", "")), int(first.get("value", 0)))}


def _targets(asked: Prometheus, expected: Expected, now_s: float) -> dict[str, Any]:
    active = told.targets(prometheus.api(asked, "targets", {"state": "active"}), now_s)
    there = {(target.job, target.instance) for target in active}
    absent = {i for job in expected.targets for i in job.instances if (job.job, i) not in there}
    if not absent:
        return {"targets": active}
    # Only then, as there are often many more of these than of active ones.
    dropped = told.dropped(prometheus.api(asked, "targets", {"state": "dropped"}))
    ours = [labels for labels in dropped if absent & set(labels.values())]
    return {"targets": active, "dropped": tuple(ours[:_MOST_DROPPED])}


def _targets_by_samples(asked: Prometheus) -> tuple[Target, ...]:
    """Return the targets as their series `up` show them. Raises CannotTell."""
    return tuple(
        Target(
            sample.labels.get("job", ""),
            sample.labels.get("instance", ""),
            "up" if sample.value == 1 else "down",
            series=",".join(f"{name}={value}" for name, value in sorted(sample.labels.items())),
        )
        for sample in prometheus.finite(asked, "up")
    )


def _rules(asked: Prometheus, now_s: float) -> dict[str, Any]:
    groups, rules = told.groups(prometheus.api(asked, "rules"), now_s)
    return {"groups": groups, "rules": rules}


def _watched(asked: Prometheus, expected: Expected, found: Mapping[str, Any], now_s: float) -> dict[str, Any]:
    """Return what the required alerts watch, with the number of series, and which other alerts watch nothing."""
    rules: Sequence[Rule] = found["rules"]
    alerts = [rule for rule in rules if rule.alerting]
    names = _names(asked, now_s)
    if not names and any(target.scraped_ago_s is not None for target in found.get("targets", ())):
        raise told.no_samples(asked)
    recorded = names | {rule.name for rule in rules if not rule.alerting}
    needs: dict[str, list[tuple[Selected, ...]]] = {}
    unread: dict[str, str] = {}
    for rule in alerts:
        try:
            needs.setdefault(rule.name, []).extend(expressions.needs(rule.query))
        except expressions.Unread as why:
            unread[rule.name] = str(why)
    required = {alert.name for alert in expected.alerts}
    selected = {one for name in required for entry in needs.get(name, ()) for one in entry}
    by_target = _labels_of(found.get("targets", ()))
    series = _counted(asked, {one.text() for one in selected} | {one.text(by_target) for one in selected})

    def watches(one: Selected) -> Watches:
        known = one.name in names if one.name else True
        return Watches(one.text(), series[one.text()], known, series[one.text(by_target)])

    return {
        "watched": {
            name: Watched(
                tuple(tuple(watches(one) for one in entry) for entry in needs.get(name, ())),
                unread.get(name, ""),
            )
            for name in required & {rule.name for rule in alerts}
        },
        "silent": tuple(
            sorted(
                name
                for name, entries in needs.items()
                if name not in required
                and any(all(one.name and one.name not in recorded for one in entry) for entry in entries)
            )
        ),
    }


def _names(asked: Prometheus, now_s: float) -> set[str]:
    """Return the names of metrics that had a sample lately. Raises CannotTell."""
    lately = {"start": f"{now_s - _NAMES_S:.3f}", "end": f"{now_s:.3f}"}
    found = prometheus.api(asked, "label/__name__/values", lately)
    if not isinstance(found, list):
        raise CannotTell(f"Prometheus at {asked.url} returned no list of names")
    return {str(name) for name in found}


def _labels_of(targets: Sequence[Target]) -> frozenset[str]:
    """Return the labels that say which target a series is from."""
    return _USUAL_LABELS | {
        pair.partition("=")[0] for target in targets for pair in target.series.split(",") if pair
    }


def _counted(asked: Prometheus, selectors: Collection[str]) -> dict[str, int]:
    """Return how many series each selector has now. Raises CannotTell."""
    known = sorted(selectors)
    counts = dict.fromkeys(known, 0)
    for asking in _together(known):
        for sample in prometheus.finite(asked, asking):
            counts[known[int(sample.labels["deploygate"])]] = round(sample.value)
    return counts


def _together(selectors: Sequence[str]) -> Iterator[str]:
    """Yield queries that count several selectors each; the label `deploygate` is the number of the selector."""
    query = ""
    for number, selector in enumerate(selectors):
        one = f'label_replace(count({selector}), "deploygate", "{number}", "", "")'
        if query and len(query) + len(one) > _LONGEST_QUERY:
            yield query
            query = ""
        query = f"{query} or {one}" if query else one
    if query:
        yield query
