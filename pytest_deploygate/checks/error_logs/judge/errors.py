"""Judge the errors of each log: no signature is new, and none, nor all together, are more frequent than allowed.

Counts are compared exactly: if both hours had the same rate, a share of the errors in both would be of the later ones.
A ratio between its bounds is inconclusive. A log that cannot be trusted to have all entries is, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_deploygate.checks.error_logs.facts import Compared, Hours, Seen, Signature, Source, Window
from pytest_deploygate.judging import proportions
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Figure, Judgement, Line, Reading, Series, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.error_logs.section import ErrorLogs, ErrorSource

#: A log with more lines of another form than this share is not read as declared.
_STRANGE = 0.05
_SHOWN, _NAMED = 140, 3


def judge(measurement: Compared, criterion: ErrorLogs) -> Judgement:
    """Pass if every log was read whole, and no signature of its errors is new or more frequent than allowed."""
    found = Collector(most=8, confirmed=True)
    declared = {source.name: source for source in criterion.sources}
    for source in measurement.sources:
        wanted = declared[source.name]
        if _trusted(source, measurement, criterion, found):
            _new(source, wanted, criterion, found)
            _risen(source, wanted, measurement, criterion, found)
        else:
            found.read(Reading(f"{source.name}: errors", source.now.errors))
    judged = found.judgement(lambda: _good(measurement, criterion))
    return replace(judged, figures=tuple(_figures(measurement)))


def _good(measurement: Compared, criterion: ErrorLogs) -> str:
    now = sum(source.now.errors for source in measurement.sources)
    before = sum(source.before.errors for source in measurement.sources)
    entries = sum(source.now.entries for source in measurement.sources)
    logs = len(measurement.sources)
    return (
        f"{now} errors in {entries} entries of {logs} log{'s' if logs > 1 else ''}, {_when(measurement.now)}; {before} in the "
        f"same hours {words_for(criterion.baseline_age)} before: no new signature more than {criterion.new_more_than} times, "
        f"none more than {criterion.ratio:g} times as often"
    )


def _when(hours: Hours) -> str:
    return f"{hours.begin:%Y-%m-%d %H:%M} to {hours.end:%H:%M %Z}".rstrip()


def _trusted(source: Source, measurement: Compared, criterion: ErrorLogs, found: Collector) -> bool:
    """Say what makes a log unknown: not read whole, another form, no entries, a gap, signatures that mean nothing."""
    good = True

    def unknown(sentence: str, where: str = source.name) -> None:
        nonlocal good
        good = False
        found.unknown(sentence, where=where)

    for place in source.places:
        if place.problem:
            unknown(place.problem, place.name)
        if place.strange > _STRANGE * place.lines:
            unknown(
                f"{place.strange} of its {place.lines} lines have another form than declared, like: {place.shape}; correct "
                "`format`",
                place.name,
            )
        if place.unzoned:
            unknown(f"{place.unzoned} of its entries have a time without a zone: declare `zone`", place.name)
    if not good:
        return False
    for window, of_places, hours, what in (
        (
            source.now,
            [(place.name, place.now) for place in source.places],
            measurement.now,
            "silence is no proof of health: look whether it is logged at all",
        ),
        (
            source.before,
            [(place.name, place.before) for place in source.places],
            measurement.before,
            f"keep logs longer than {words_for(criterion.baseline_age)}, or set `baseline_age`",
        ),
    ):
        if said := _silent(window, hours, what, criterion):
            unknown(said)
            if window.entries:
                found.read(Reading(f"{source.name}: longest time without an entry", window.gap_s, "s"))
            continue
        # What other places have must not hide that one of them is silent.
        for name, seen in of_places:
            if seen is not None and (said := _silent(seen, hours, what, criterion)):
                unknown(said, name)
    errors = source.now.errors + source.before.errors
    alone = source.singletons + source.unsorted
    if alone > max(criterion.few, criterion.singletons_percent / 100 * errors):
        examples = "; ".join(each.text[:60] for each in source.signatures if each.now + each.before == 1)[
            :_SHOWN
        ]
        unknown(
            f"{alone} of {errors} errors have a signature of their own, so a new one means nothing: add `masks` for what "
            f"differs, for example in: {examples}"
        )
    return good


def _silent(window: Window | Seen, hours: Hours, what: str, criterion: ErrorLogs) -> str:
    """Return that there is no entry, or that there is none for too long; nothing if there are enough."""
    if not window.entries:
        return f"it has no entry from {_when(hours)}: {what}"
    if window.gap_s > criterion.longest_gap.total_seconds():
        return (
            f"it has no entry for {words_for(window.gap_s)} from {window.gap_began:%Y-%m-%d %H:%M} UTC on, at most "
            f"{words_for(criterion.longest_gap)} is allowed: look whether lines were lost, or raise `longest_gap`"
        )
    return ""


def _expected(signature: Signature, wanted: ErrorSource) -> bool:
    return any(re.search(pattern, signature.text) for pattern in wanted.expected)


def _new(source: Source, wanted: ErrorSource, criterion: ErrorLogs, found: Collector) -> None:
    limit = criterion.new_more_than
    new = [each for each in source.signatures if not each.before and each.now and not _expected(each, wanted)]
    if known := sum(each.now for each in source.signatures if _expected(each, wanted)):
        found.note(f"{known} errors are declared as `expected`", where=source.name)
    over = [each for each in new if each.now > limit]
    most = max((each.now for each in new), default=0)
    found.read(
        Reading(
            f"{source.name}: most errors of one new signature", most, limit=f"at most {limit}", ok=not over
        )
    )
    for each in over[:_NAMED]:
        since = f", first at {each.first:%H:%M} UTC" if each.first else ""
        found.wrong(
            f"new error, {each.now} times{since}: {_shown(each.text)}; at most {limit} may be new",
            where=source.name,
        )
    if len(over) > _NAMED:
        found.wrong(f"{len(over) - _NAMED} more signatures are new, all in the evidence", where=source.name)
    rest = [each for each in new if each.now <= limit]
    if (together := sum(each.now for each in rest)) > criterion.few:
        found.unknown(
            f"{together} errors of {len(rest)} new signatures, none more than {limit} times: new kinds of errors, or one kind "
            f"that needs `masks`; for example {'; '.join(_shown(each.text, 80) for each in rest[:_NAMED])}",
            where=source.name,
        )
    elif rest:
        found.note(
            f"{len(rest)} further signature{'s are' if len(rest) > 1 else ' is'} new, at most {limit} times each: "
            f"{'; '.join(_shown(each.text, 80) for each in rest[:_NAMED])}",
            where=source.name,
        )


def _shown(text: str, most: int = _SHOWN) -> str:
    return text if len(text) <= most else f"{text[:most]} …"


def _risen(
    source: Source, wanted: ErrorSource, measurement: Compared, criterion: ErrorLogs, found: Collector
) -> None:
    """Compare all errors, and each signature that the baseline has, with the baseline."""
    times = measurement.now.length_s / measurement.before.length_s
    judged = [each for each in source.signatures if not _expected(each, wanted)]
    left_out = sum(each.now for each in source.signatures) - sum(each.now for each in judged)
    left_out_before = sum(each.before for each in source.signatures) - sum(each.before for each in judged)
    now, before = source.now.errors - left_out, source.before.errors - left_out_before
    verdict = _compared(now, before, criterion, times, proportions.ALPHA)
    limit = f"at most {criterion.ratio:g} times the {before} before, or {criterion.few}"
    known = {Verdict.PASS: True, Verdict.FAIL: False}.get(verdict)
    found.read(Reading(f"{source.name}: errors", now, limit=limit if known is not None else "", ok=known))
    if verdict is Verdict.FAIL:
        found.wrong(
            f"{now} errors from {_when(measurement.now)}, {before} in the same hours {words_for(criterion.baseline_age)} before: "
            f"more than {criterion.ratio:g} times as many{_most_of_them(judged)}",
            where=source.name,
        )
    elif verdict is Verdict.INCONCLUSIVE:
        found.unknown(
            f"{now} errors after {before} in the same hours {words_for(criterion.baseline_age)} before: too few to tell whether "
            f"they are more than {criterion.ratio:g} times as frequent; take longer `hours`, or look at them",
            where=source.name,
        )
    both = [each for each in judged if each.before]
    for each in both:
        alpha = proportions.ALPHA / len(both)
        if _compared(each.now, each.before, criterion, times, alpha) is Verdict.FAIL:
            found.read(
                Reading(
                    f"{source.name}: {_shown(each.text, 80)}",
                    each.now,
                    limit=f"at most {criterion.ratio:g} times the {each.before} before",
                    ok=False,
                )
            )
            found.wrong(
                f"{each.now} times after {each.before}, more than {criterion.ratio:g} times as often: {_shown(each.text)}",
                where=source.name,
            )


def _most_of_them(signatures: Sequence[Signature]) -> str:
    risen = max(signatures, key=lambda each: each.now - each.before, default=None)
    return f"; most of them: {_shown(risen.text, 80)}" if risen else ""


def _compared(now: int, before: int, criterion: ErrorLogs, times: float, alpha: float) -> Verdict:
    """Return whether errors are at most so many times as frequent; a few of them are not compared."""
    if now <= criterion.few:
        return Verdict.PASS
    weight = criterion.ratio * times
    return proportions.under(now, now + before, weight / (1 + weight), alpha).verdict


def _figures(measurement: Compared) -> Sequence[Figure]:
    return [figure for source in measurement.sources if (figure := _figure(source, measurement))]


def _figure(source: Source, measurement: Compared) -> Figure | None:
    """Draw the errors of both parts of a day above each other; where nothing was logged is a gap."""
    bins = len(source.now.errors_by_bin)
    if not bins:
        return None
    step_s = measurement.now.length_s / bins
    lines = tuple(
        Line(name, tuple((number * step_s, value) for number, value in enumerate(window.errors_by_bin)))
        for name, window in (("now", source.now), ("before", source.before))
    )
    return Series(
        f"{source.name}: errors in {words_for(step_s)}", "", lines, start=measurement.now.begin.isoformat()
    )
