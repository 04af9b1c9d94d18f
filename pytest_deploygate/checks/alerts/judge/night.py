"""Judge the alerts after the night: none that is critical fires, and the rules behind them could see it if one should."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.alerts.facts import Firing, Night, Past, Rule
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, Spans, words_for, words_for_count

if TYPE_CHECKING:
    from pytest_deploygate.checks.alerts.section import NightAlerts

#: A clock that differs by more makes times in the list wrong; a rule should be evaluated at least every third time.
_CLOCK_S, _MISSED = 5.0, 3
#: Prometheus takes samples for current until they are five minutes old. Few targets are scraped less often than each minute.
_OLD_S = 120.0
#: A note names so many alerts, and the picture so many rows.
_MOST_NAMED, _MOST_ROWS = 10, 25
_FIRES, _QUIET = "firing", "quiet"


def judge(measurement: Night, criterion: NightAlerts) -> Judgement:
    """Pass if no critical alert fires, and each critical rule is evaluated and has its data. The night's alerts are listed."""
    found = Collector(most=6, confirmed=True)
    critical = [one for one in measurement.firing if criterion.is_critical(one.labels)]
    rules = [rule for rule in measurement.rules if criterion.is_critical(rule.labels)]
    labels = " or ".join(_labels(wanted) for wanted in criterion.critical)
    found.read(Reading(f"alerts with {labels} that fire", len(critical), limit="0", ok=not critical))
    for one in critical:
        found.wrong(_said(one, measurement))
    _sight(measurement, rules, labels, found)
    for rule in rules:
        _rule(rule, found)
    _rules_of_others(measurement, rules, found)
    _listed(measurement, criterion, found)
    judged = found.judgement(
        lambda: (
            f"no alert with {labels} fires; {words_for_count(len(rules), 'rule', 'rules')} for them could see it; "
            f"{_night_words(measurement, criterion)}"
        )
    )
    return replace(judged, figures=(_picture(measurement, criterion),))


def _said(one: Firing, measurement: Night) -> str:
    value = "" if one.value is None else f", its expression is {one.value:g}"
    hidden = f"; it is {one.hidden}, but fires" if one.hidden else ""
    since = _at(one.since)
    lasted = measurement.start + timedelta(seconds=measurement.until_s) - one.since
    labels = _labels(one.labels)
    return f"{one.name} ({labels}) fires since {since} ({words_for(max(lasted, timedelta(0)))}), says {one.seen_by}{value}{hidden}"


def _sight(measurement: Night, rules: Sequence[Rule], labels: str, found: Collector) -> None:
    """Judge whether the alerts can be seen at all."""
    for problem in measurement.unasked:
        found.unknown(f"{problem}; it may have alerts that Prometheus does not")
    if abs(measurement.clock_s) > _CLOCK_S:
        direction = "ahead of" if measurement.clock_s > 0 else "behind"
        found.unknown(
            f"Prometheus' clock is {words_for(abs(measurement.clock_s))} {direction} ours, so its times mean nothing here: correct "
            "the clocks first"
        )
    found.read(Reading(f"rules for alerts with {labels}", len(rules)))
    if not rules:
        found.unknown(
            f"Prometheus has no rule for alerts with {labels}, so that none fires says nothing: correct `alerts.night.critical`, or "
            "add rules"
        )
    blind = sum(until - begun for begun, until in measurement.gaps)
    if blind:
        found.note(
            f"for {words_for(blind)} of the last {words_for(measurement.until_s)} Prometheus has no samples, so alerts of that time "
            "are missing in the list"
        )
    if measurement.ours:
        found.note(f"left out: {words_for_count(measurement.ours, 'alert', 'alerts')} of our own tests")


def _rule(rule: Rule, found: Collector) -> None:
    """Judge whether a critical rule would fire if it should."""
    if rule.health == "err":
        found.unknown(
            f"its rule cannot be evaluated, so it reads inactive whatever happens: {rule.error or 'no error was recorded'}; "
            "correct the rule",
            where=rule.name,
        )
    elif rule.health != "ok" or rule.evaluated_s is None:
        found.unknown("its rule has not been evaluated yet: run this again in a minute", where=rule.name)
    elif rule.every_s and rule.evaluated_s > _MISSED * rule.every_s:
        found.unknown(
            f"its rule was evaluated {words_for(rule.evaluated_s)} ago, and should be every {words_for(rule.every_s)}: look at "
            "Prometheus' load and its log",
            where=rule.name,
        )
    if rule.problem:
        found.unknown(f"nobody knows what its rule needs: {rule.problem}", where=rule.name)
    for target in rule.down:
        found.unknown(
            f"the target {target} is down, so nobody knows whether it should fire: repair the target first",
            where=rule.name,
        )
    if not rule.down and rule.oldest_s is not None and rule.oldest_s > _OLD_S:
        found.unknown(
            f"the newest {rule.oldest} is {words_for(rule.oldest_s)} old, so nobody knows whether it should fire now: look whether "
            "the target is scraped",
            where=rule.name,
        )
    if not rule.down:
        for metric in rule.no_metric:
            found.unknown(
                f"the metric {metric} does not exist, so it cannot fire: correct its rule, or what exports the metric",
                where=rule.name,
            )
    for text in rule.no_series:
        found.note(f"no series matches {text}, so this part of its rule sees nothing", where=rule.name)


def _rules_of_others(measurement: Night, critical: Sequence[Rule], found: Collector) -> None:
    failing = [rule.name for rule in measurement.rules if rule not in critical and rule.health == "err"]
    if failing:
        found.note(f"rules that cannot be evaluated, of alerts that are not critical: {_some(failing)}")


def _listed(measurement: Night, criterion: NightAlerts, found: Collector) -> None:
    """List what fired, and judge critical alerts that ended: only with their data there it is known that they are over."""
    for one in measurement.past:
        critical = criterion.is_critical(one.labels)
        fires = any(
            other.name == one.name and other.labels.items() <= one.labels.items()
            for other in measurement.firing
        )
        if not critical or fires:
            continue
        when = _at(measurement.start + timedelta(seconds=one.spans[-1][1]))
        where = f"{one.name} ({_labels(one.labels)})"
        if one.problem:
            found.unknown(f"it ended at {when}, and nobody knows why: {one.problem}", where=where)
        elif one.lost and not one.back:
            found.unknown(
                f"it ended at {when} because its data went away, not because all was well: there is no {one.lost} any more; "
                "repair what exports it",
                where=where,
            )
        elif one.lost:
            found.note(
                f"it ended at {when} when its data was away ({one.lost}); the data is there again, and it does not fire",
                where=where,
            )
        else:
            found.note(f"it fired {_times(one)}, until {when}", where=where)
    others = [one for one in measurement.past if not criterion.is_critical(one.labels)]
    found.read(
        Reading("critical alerts of the night", len(measurement.past) - len(others)),
        Reading("other alerts of the night", len(others)),
    )
    if others:
        found.note(f"other alerts of the night: {_some([f'{one.name} {_times(one)}' for one in others])}")


def _night_words(measurement: Night, criterion: NightAlerts) -> str:
    number = sum(criterion.is_critical(one.labels) for one in measurement.past)
    since = words_for(measurement.until_s)
    if not number:
        return f"none fired in the last {since}"
    return f"in the last {since} {words_for_count(number, 'alert of theirs fired, which is', 'alerts of theirs fired, which are')} over"


def _times(one: Past) -> str:
    lasted = words_for(sum(until - begun for begun, until in one.spans))
    return (
        f"for up to {lasted}" if len(one.spans) == 1 else f"{len(one.spans)} times, for up to {lasted} in all"
    )


def _picture(measurement: Night, criterion: NightAlerts) -> Spans:
    """Return the night's alerts as rows, the critical ones first."""
    ordered = sorted(
        measurement.past,
        key=lambda one: (not criterion.is_critical(one.labels), one.spans[0][0], one.name),
    )
    rows = [(_row(one), _spans(one.spans, measurement)) for one in ordered[:_MOST_ROWS]]
    if not rows:
        rows = [("all alerts", _spans((), measurement))]
    start = measurement.start.isoformat(timespec="seconds")
    return Spans("alerts of the night", tuple(rows), measurement.until_s, start)


def _row(one: Past) -> str:
    place = one.labels.get("instance", "")
    return f"{one.name} {place}".strip()


def _spans(fired: Sequence[tuple[float, float]], measurement: Night) -> tuple[tuple[float, float, str], ...]:
    """Return the states of a row from the beginning to the end, without overlaps; a gap has none."""
    known = sorted([(*span, _FIRES) for span in fired] + [(*gap, "") for gap in measurement.gaps])
    states: list[tuple[float, float, str]] = []
    at = 0.0
    for begun, until, state in [*known, (measurement.until_s, measurement.until_s, "")]:
        if begun > at:
            states.append((at, begun, _QUIET))
        if until > at:
            states.append((max(begun, at), until, state))
        at = max(at, until)
    return tuple(piece for piece in states if piece[2])


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in labels.items())


def _at(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"
