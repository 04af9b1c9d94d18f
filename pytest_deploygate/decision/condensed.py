"""What still counts of a change's earlier runs: the content of a checkpoint of the journal.

Whatever is computed from the entries that `journal.read` returns after a checkpoint is the same as from all lines:

- Lines that are kept: all of the last run, and of each run that a later one may be compared with or rest on; of other runs
  the findings that are the newest of their test in any way that counts; incidents, rollbacks and whatever else is not
  written in every run.
- In short: the other runs, the number of findings that are left out, and the latest numbers that were measured.

The journal keeps every line. `deploygate verify` reads them all, and computes each checkpoint again (`untrue`).
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest_deploygate
from pytest_deploygate.decision import chained
from pytest_deploygate.decision.runs import chain, joined
from pytest_deploygate.journal import (
    CHECKPOINT,
    CONDENSED,
    Entry,
    Segment,
    condensed,
    decision_to_json,
    readable,
    segments,
)
from pytest_deploygate.judging.spending import KIND as SPENT
from pytest_deploygate.model import Decision, Verdict
from pytest_deploygate.moments import time_of

#: A checkpoint is due after this many runs and bytes: reading that much takes a run a hundredth of its time.
RUNS, BYTES = 4, 1 << 18
#: So many of the latest numbers of a measurement say how much it varies.
LATEST = 20
#: Kinds of lines that every run has; all other lines are kept.
_OF_EVERY_RUN = frozenset({"run", "bound", "test", "decision", "end", "section", SPENT})

#: Numbers that were measured, oldest first, by item, target and name.
Numbers = Mapping[tuple[str, str, str], Sequence[float]]


def due(entries: Sequence[Entry]) -> bool:
    """Tell whether so much was written since the last checkpoint that reading it takes a noticeable time."""
    short = condensed(entries)
    since = [entry for entry in entries if short is None or entry.seq > short.seq]
    points = [n for n, entry in enumerate(since) if entry.kind == CHECKPOINT]
    since = since[points[-1] + 1 :] if points else since
    runs = sum(entry.kind == "run" for entry in since)
    return runs >= RUNS and sum(entry.length for entry in since) >= BYTES


def condense(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return what stands for these entries (which may be condensed themselves) in a checkpoint, as plain JSON types."""
    runs, short = segments(entries), condensed(entries)
    whole = _whole(runs)
    tests = _counting(runs, whole)
    kept: list[list[int]] = []
    left_out: Counter[str] = Counter(dict(short.body["earlier"]) if short else {})
    for entry in entries:
        if entry.kind in (CHECKPOINT, CONDENSED):
            continue
        run = entry.body.get("run")
        if run in whole or entry.kind not in _OF_EVERY_RUN or (run, entry.body.get("test")) in tests:
            kept.append([entry.start, entry.length])
        elif entry.kind == "test":
            left_out.update(finding["item"] for finding in entry.body["findings"])
    return {
        "version": pytest_deploygate.__version__,
        "kept": kept,
        "runs": list(_others(runs, whole)),
        "earlier": [list(one) for one in sorted(left_out.items())],
        "numbers": _plain(numbers(entries, None)),
        "before": [
            [run.run, _plain(numbers(entries, run), frozenset(run.begin["scope_items"]))]
            for run in runs
            if run.run in whole
        ],
    }


def untrue(entries: Sequence[Entry]) -> Entry | None:
    """Return the first checkpoint that does not say what the lines before it say; `entries` are all lines.

    Each is computed as the run that wrote it did: from the checkpoint before it and the lines since. Those of another
    version (`of_others`) are not: it may keep more or less.
    """
    so_far: list[Entry] = []
    for entry in entries:
        if entry.kind != CHECKPOINT:
            so_far.append(entry)
            continue
        same_version = entry.body.get("version") == pytest_deploygate.__version__
        if same_version and any(entry.body.get(name) != said for name, said in condense(so_far).items()):
            return entry
        there = {one.start: one for one in so_far}
        so_far = [there[start] for start, _ in entry.body["kept"]]
        so_far.append(dataclasses.replace(entry, kind=CONDENSED))
    return None


def of_others(entries: Sequence[Entry]) -> int:
    """Return the number of checkpoints that another version wrote."""
    points = (entry for entry in entries if entry.kind == CHECKPOINT)
    return sum(entry.body.get("version") != pytest_deploygate.__version__ for entry in points)


def _whole(runs: Sequence[Segment]) -> set[str]:
    """Return the runs of which every line still counts.

    The last run, and the last that was decided; for each item the last one before that asked for it (a report compares
    with it); for each phase the last one that decided it (a later phase rests on it); whatever the last run took over.
    """
    latest: dict[Any, str] = {}
    for run in runs:
        if run.decision:
            latest["decided"] = run.run
    for run in runs[:-1]:
        latest |= dict.fromkeys((("item", item) for item in run.begin["scope_items"]), run.run)
        latest |= {
            ("phase", run.begin["change"], run.begin["inventory"]["name"], phase): run.run
            for phase in chained.decided(run)
        }
    resumed = {run for run, _ in _newest(chain(runs)[:-1])}
    return {*latest.values(), *resumed, *(run.run for run in runs[-1:])}


def _counting(runs: Sequence[Segment], whole: Collection[str]) -> set[tuple[str, str]]:
    """Return the runs and tests whose findings are, before the last run, the newest in any way that counts.

    They are the newest of all, conclusive ones, those of one inventory and checklist, or those that are not good; or a
    run that counts took them over.
    """
    found: dict[Any, tuple[str, str]] = {}
    for run in runs[:-1]:
        begin = run.begin
        place = (begin["change"], begin["inventory"]["name"])
        digests = (begin["inventory"]["sha256"], begin["checklist"]["sha256"])
        for test in joined(run):
            unit, name = (run.run, test.test), test.test
            found["newest", name] = found["of", place, digests, name] = unit
            if any(finding.verdict is not Verdict.INCONCLUSIVE for finding in test.findings):
                found["conclusive", name] = unit
            if not all(finding.verdict.good for finding in test.findings):
                found["bad", place, name] = unit
    resumed = (_newest(chain(runs[: number + 1])[:-1]) for number, run in enumerate(runs) if run.run in whole)
    return {*found.values(), *itertools.chain.from_iterable(resumed)}


def _newest(runs: Sequence[Segment]) -> set[tuple[str, str]]:
    return set({test.test: (run.run, test.test) for run in runs for test in run.tests}.values())


def _others(runs: Sequence[Segment], whole: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield the other runs in short; of their scope only the items that no run before had.

    Whether an item's phase has begun, and since when, is told by the first run that asked for it.
    """
    known: dict[bool, set[str]] = {True: set(), False: set()}
    for run in runs:
        before = known[bool(run.begin["scope"])]
        new = [item for item in run.begin["scope_items"] if item not in before]
        before.update(new)
        if run.run not in whole:
            yield _in_short(run, new)


def _in_short(run: Segment, new: Sequence[str]) -> dict[str, Any]:
    begin = run.begin
    return {
        "run": run.run,
        "seq": run.seq,
        "started": run.started.isoformat(),
        "ended": run.ended.isoformat() if run.ended else None,
        "latest": run.latest.isoformat(),
        "decision": _without_rules(run.decision),
        "begin": {
            "run": run.run,
            "change": begin["change"],
            "inventory": {name: begin["inventory"][name] for name in ("name", "sha256")},
            "checklist": {"sha256": begin["checklist"]["sha256"], "items": []},
            "scope": begin["scope"],
            "scope_items": list(new),
            "resumes": begin.get("resumes", False),
            "kept": [],
            "who": begin.get("who", ""),
            "host": begin.get("host", ""),
            "versions": begin.get("versions", {}),
            "measured": [[phase, at.isoformat(), end.isoformat()] for phase, at, end in measured(run)],
        },
    }


def _without_rules(decision: Decision | None) -> dict[str, Any] | None:
    return decision_to_json(decision) | {"rules": [], "counts": {}} if decision else None


@readable()
def measured(run: Segment) -> list[tuple[str, datetime, datetime]]:
    """Return when a run measured items of each phase of its checklist: the phase, the first begin and the last end."""
    if said := run.begin.get("measured"):
        return [(phase, time_of(start), time_of(end)) for phase, start, end in said]
    phase_of = {item["id"]: item["phase"] for item in run.begin["checklist"]["items"]}
    times: defaultdict[str, list[datetime]] = defaultdict(list)
    for test in run.tests:
        for finding in test.findings:
            if phase := phase_of.get(finding.item):
                times[phase] += [finding.at - timedelta(seconds=finding.duration_s), finding.at]
    return [(phase, min(moments), max(moments)) for phase, moments in times.items()]


@readable()
def numbers(entries: Sequence[Entry], before: Segment | None) -> Numbers:
    """Return the latest `LATEST` numbers of each measurement from all runs, or from those before one, oldest first.

    In condensed entries that one is the last run or one that is kept whole.
    """
    found: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
    short = condensed(entries)
    if short and before and before.seq < short.seq:
        return _from_plain(dict(short.body["before"]).get(before.run, ()))
    if short:
        found.update(_from_plain(short.body["numbers"]))
    for run in segments(entries):
        if (short is None or run.seq > short.seq) and (before is None or run.seq < before.seq):
            for finding in (finding for test in run.tests for finding in test.findings):
                for reading in finding.readings:
                    value = as_number(reading.value)
                    if value is not None:
                        found[finding.item, finding.target, reading.name].append(value)
    return {key: values[-LATEST:] for key, values in found.items()}


def as_number(value: object) -> float | None:
    """Return a measured number; None for words, yes and no, values that were not measured and non-finite ones."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _plain(found: Numbers, items: Collection[str] | None = None) -> list[Any]:
    return [[*key, list(values)] for key, values in sorted(found.items()) if items is None or key[0] in items]


def _from_plain(plain: Iterable[Any]) -> dict[tuple[str, str, str], list[float]]:
    return {(item, target, name): list(values) for item, target, name, values in plain}
