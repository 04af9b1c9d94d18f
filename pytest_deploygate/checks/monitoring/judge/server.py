"""Judges Prometheus itself: ready, targets, rules, required alerts, configuration, retention and size."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pytest_deploygate.checks.monitoring.facts import Rule, Server, Target, Watches
from pytest_deploygate.checks.monitoring.judge.clock import read_clock
from pytest_deploygate.checks.monitoring.judge.missed import note_missed
from pytest_deploygate.checks.monitoring.judge.started import just_started, not_yet
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.monitoring.section import Expected, RequiredAlert

#: How many names a sentence has.
_MOST = 5
_PARTS = {
    "ready": "whether it is ready",
    "targets": "what it scrapes",
    "rules": "what its rules do",
    "reload": "whether its configuration is in force",
    "retention": "how long it keeps samples",
    "cardinality": "how many series it has",
}
_RETENTION = re.compile(r"(\d+)(ms|s|m|h|d|w|y)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


def judge_server(server: Server, expected: Expected) -> Judgement:
    """Pass if it is ready, all targets are there and up, rules are evaluated well, and the required alerts can fire."""
    found = Collector(f"Prometheus at {server.url}", most=6)
    for part, why in server.problems.items():
        # One sentence about one answer, whatever was to be learnt from it.
        found.unknown(f"{_PARTS.get(part, part)} is unknown: {why}")
    timely = read_clock(found, server.clock, expected.clock_tolerance)
    note_missed(found, server.missed)
    if server.ready:
        found.unknown(f"it is not ready ({server.ready}): wait until it has started, or look at its log")
    _configuration(found, server, expected)
    if "targets" not in server.problems:
        _targets(found, server, expected)
    if "rules" not in server.problems and "rules" not in expected.does_without:
        _rules(found, server, expected, timely=timely)
        _alerts(found, server, expected)
    if expected.does_without:
        found.note(f"this server cannot tell, as declared: {', '.join(expected.does_without)}")
    return found.judgement(lambda: _good(server, expected))


def _good(server: Server, expected: Expected) -> str:
    return (
        f"Prometheus is ready: {len(server.targets)} targets up, {len(server.rules)} rules evaluated without error, "
        f"{len(expected.alerts)} required alerts have series"
    )


def _configuration(found: Collector, server: Server, expected: Expected) -> None:
    if server.reloaded is False:
        found.wrong(
            "it could not load its newest configuration and goes on with the rules and targets of "
            f"{server.configured}: `promtool check config` names the error, then reload"
        )
    if server.retention:
        _retention(found, server.retention, expected)
    elif "retention" not in (*server.problems, *expected.does_without):
        found.unknown("it does not say how long it keeps samples: look at its flags, or at `does_without`")
    if server.series is not None:
        good = server.series <= expected.max_series
        found.read(Reading("series", server.series, "", f"≤ {expected.max_series}", ok=good))
        if not good:
            name, number = server.largest
            most = f"; {name} alone has {number}" if name else ""
            found.wrong(
                f"it has {server.series} series, more than {expected.max_series}{most}: drop labels or targets"
            )


def _retention(found: Collector, said: str, expected: Expected) -> None:
    """Prometheus says for example 15d, 15d or 50GiB, or 50GiB: what is reached first ends the keeping."""
    wanted_s = expected.retention.total_seconds()
    words = said.split(" or ")
    times = [_RETENTION.findall(word) for word in words if not word.endswith("B")]
    if not times or not times[0]:
        found.unknown(
            f"it keeps samples up to a size ({said}), so for how long is unknown: set --storage.tsdb.retention.time too, or "
            "add `retention` to `does_without`"
        )
        return
    kept_s = sum(int(number) * _SECONDS[unit] for number, unit in times[0])
    good = kept_s >= wanted_s
    found.read(Reading("retention", round(kept_s / 86400, 2), "d", f"≥ {wanted_s / 86400:g} d", ok=good))
    if not good:
        found.wrong(
            f"it keeps samples for {said}, less than {wanted_s / 86400:g} d: raise --storage.tsdb.retention.time"
        )
    elif len(words) > 1:
        found.note(f"samples are dropped earlier if they become too large ({said})")


def _targets(found: Collector, server: Server, expected: Expected) -> None:
    by_job: defaultdict[str, list[Target]] = defaultdict(list)
    for target in server.targets:
        by_job[target.job].append(target)
    young = just_started(server.running_s)
    absent = _absent(server, expected, by_job)
    not_yet(found, server.running_s, *absent)
    judged = [target for target in server.targets if target.job not in expected.may_be_down]
    up = [target for target in judged if target.health == "up"]
    wanted = max(len(judged), sum(max(len(j.instances), j.at_least) for j in expected.targets))
    down = [target for target in judged if target.health == "down"]
    # While it starts, it is not known how many there will be.
    limited = bool(down) or not (absent and young)
    every = len(up) >= wanted
    found.read(
        Reading("targets up", len(up), "", f"≥ {wanted}", ok=every)
        if limited and (every or down or absent)
        else Reading("targets up", len(up))
    )
    for target in _most(found, down, "targets are down"):
        found.wrong(
            f"the target {target.instance} of {target.job} is down: {target.error or 'no reason given'}"
        )
    unscraped = [target for target in judged if target.health not in ("up", "down")]
    for target in _most(found, unscraped, "targets were never scraped"):
        found.unknown(f"the target {target.instance} of {target.job} was not scraped yet: run this again")
    _doubled(found, server, expected)


def _most(found: Collector, targets: list[Target], said: str) -> list[Target]:
    if len(targets) > _MOST:
        found.note(f"{len(targets)} {said}: {', '.join(sorted(t.instance for t in targets)[:50])}")
    return targets[:_MOST]


def _absent(server: Server, expected: Expected, by_job: dict[str, list[Target]]) -> list[str]:
    said = []
    for job in expected.targets:
        there = {target.instance for target in by_job.get(job.job, ())}
        missing = [instance for instance in job.instances if instance not in there]
        for instance in missing[:_MOST]:
            dropped = next((d for d in server.dropped if instance in d.values()), None)
            why = (
                "was discovered and dropped: a relabel_config removes it"
                if dropped is not None
                else "is absent, so nothing about it can alert: add it to the scrape configuration"
            )
            said.append(f"the target {instance} of {job.job} {why}")
        if len(missing) > _MOST:
            said.append(f"{len(missing) - _MOST} more targets of {job.job} are absent")
        if not missing and len(there) < job.at_least:
            said.append(
                f"{job.job} has {len(there)} target{'s' * (len(there) != 1)}, fewer than {job.at_least}: add the others to the "
                "scrape configuration"
            )
    return said


def _doubled(found: Collector, server: Server, expected: Expected) -> None:
    """Two targets with the same labels overwrite each other; the same address twice counts everything twice."""
    twice = [series for series, number in Counter(t.series for t in server.targets).items() if number > 1]
    for series in twice[:_MOST]:
        found.wrong(
            f"two targets have the labels {{{series}}} and overwrite each other's samples: give them labels"
        )
    by_url: defaultdict[str, set[str]] = defaultdict(set)
    for target in server.targets:
        if target.url and target.job not in expected.may_share:
            by_url[target.url].add(target.series)
    shared = {url: series for url, series in by_url.items() if len(series) > 1}
    for url, those in list(shared.items())[:_MOST]:
        found.wrong(
            f"{url} is scraped {len(those)} times ({' and '.join('{' + s + '}' for s in sorted(those)[:3])}), so sums count it "
            "as often: remove one, or name its job in `may_share`"
        )


def _rules(found: Collector, server: Server, expected: Expected, *, timely: bool) -> None:
    bad = [rule for rule in server.rules if rule.health == "err"]
    good = len(server.rules) - len(bad)
    if server.rules:
        found.read(Reading("rules evaluated well", good, "", f"≥ {len(server.rules)}", ok=not bad))
    for rule in bad[:_MOST]:
        kind = "alert" if rule.alerting else "recording rule"
        blind = f" (it reads {rule.state}, but says nothing)" if rule.alerting else ""
        found.wrong(
            f"the {kind} {rule.name} of {rule.group} ends in an error{blind}: {rule.error or 'no reason given'}"
        )
    if len(bad) > _MOST:
        found.note(f"{len(bad)} rules end in an error: {', '.join(sorted(rule.name for rule in bad)[:50])}")
    never = [rule for rule in server.rules if rule.health not in ("ok", "err")]
    if never:
        found.unknown(
            f"{len(never)} rules were not evaluated yet ({_some(rule.name for rule in never)}): run this again"
        )
    for group in server.groups:
        limit_s = expected.intervals * group.interval_s
        if timely and group.evaluated_ago_s is not None and group.evaluated_ago_s > limit_s + group.took_s:
            found.wrong(
                f"the rules of {group.name} were last evaluated {group.evaluated_ago_s:.0f} s ago, their interval is "
                f"{group.interval_s:g} s: the server is overloaded, or its rule manager stands still"
            )
        if group.took_s > group.interval_s > 0:
            found.wrong(
                f"the rules of {group.name} take {group.took_s:.1f} s, longer than their interval of {group.interval_s:g} s: "
                "split the group, or make it slower"
            )


def _alerts(found: Collector, server: Server, expected: Expected) -> None:
    alerts: defaultdict[str, list[Rule]] = defaultdict(list)
    for rule in server.rules:
        if rule.alerting:
            alerts[rule.name].append(rule)
    well = 0
    for alert in expected.alerts:
        well += _alert(found, server, alert, alerts.get(alert.name, []))
    number = len(expected.alerts)
    found.read(
        Reading("required alerts that can fire", well)
        if well < number and just_started(server.running_s)
        else Reading("required alerts that can fire", well, "", f"≥ {number}", ok=well == number)
    )
    if server.silent:
        found.note(
            f"{len(server.silent)} other alerts watch metrics that have no series and cannot fire: {_some(server.silent)}"
        )


def _alert(found: Collector, server: Server, alert: RequiredAlert, rules: list[Rule]) -> bool:
    """Say why a required alert cannot be relied on; return whether it can."""
    if not rules:
        found.wrong(f"the required alert {alert.name} is missing: add its rule")
        return False
    if all(any(rule.labels.get(k) != v for k, v in alert.labels.items()) for rule in rules):
        said = [
            f"{name}={rules[0].labels.get(name, '')!r} instead of {value!r}"
            for name, value in alert.labels.items()
            if rules[0].labels.get(name) != value
        ]
        found.wrong(f"the required alert {alert.name} has {', '.join(said)}: it may go to nobody")
        return False
    watched = server.watched.get(alert.name)
    if watched is None or watched.problem:
        why = watched.problem if watched else "it was not looked at"
        found.unknown(f"whether the required alert {alert.name} watches anything is unknown: {why}")
        return True
    good = True
    for entry in watched.needs:
        if any(one.series for one in entry):
            continue
        blind = [_blind(one) for one in entry]
        if all(blind):
            good = False
            not_yet(
                found,
                server.running_s,
                f"the required alert {alert.name} has nothing to watch: {' and '.join(blind)}",
            )
        else:
            found.note(f"{alert.name}: no series of {entry[0].text} now; right if they come with the event")
    return good


def _blind(one: Watches) -> str:
    """Return why a selector can have no series; nothing if they may come with the event."""
    if not one.known:
        return f"there is no metric {one.text.partition('{')[0]}"
    return "" if one.by_target else f"there is no series {one.text}"


def _some(names: Iterable[str]) -> str:
    known = sorted(set(names))
    return ", ".join(known[:_MOST]) + (f" and {len(known) - _MOST} more" if len(known) > _MOST else "")
