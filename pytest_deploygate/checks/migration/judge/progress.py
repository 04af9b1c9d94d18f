"""Judge the progress of a migration: complete, or fast enough to be complete in time, and nothing stalled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.migration.facts import Copy, Progress
from pytest_deploygate.checks.migration.judge import restoring
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.migration.section import Migration

_MOST = 5
#: Statistics are estimates: a table counts as filled from this share on. `phase4.integrity` counts exactly.
_FILLED = 0.98


def judge_progress(found: Progress, expected: Migration) -> Judgement:
    """Pass if all tables are filled, or will be by `finish_by` at the slowest rate seen; fail if a COPY does not move."""
    said = Collector(confirmed=True)
    of = sum(table.source for table in found.tables)
    there = sum(min(table.target, table.source) for table in found.tables)
    if not of:
        said.unknown("the source's statistics tell of no rows: run ANALYZE there", deferred_to="phase4")
        return said.judgement(str)
    said.read(Reading("rows on the target, estimated", f"{there} of {of}"))
    stalled = [
        copy
        for copy in found.copies
        if copy.rows[0] == copy.rows[-1] and copy.size_bytes[0] == copy.size_bytes[-1]
    ]
    if found.copies:
        said.read(Reading("COPYs that do not move", len(stalled), limit="0", ok=not stalled))
    for copy in stalled[:_MOST]:
        said.wrong(
            f"COPY into {copy.table} (process {copy.pid}) stands at {copy.rows[-1]} rows for {words_for(found.at_s[-1] - found.at_s[0])}: "
            "look for what it waits for in pg_stat_activity, and at the program that sends"
        )
    restoring.judge(found, expected, said)
    open_ = [table for table in found.tables if table.target < table.source * _FILLED]
    if open_ and not stalled:
        running = sum(_rows(copy, -1) for copy in found.copies)
        _rate(found, expected, max(of - there - running, 0), [table.table for table in open_], said)
    return said.judgement(
        lambda: (
            f"all {len(found.tables)} tables are filled, by the servers' statistics"
            if not open_
            else f"{there} of {of} rows are on the target, and the rest will be in time"
        )
    )


def _rate(found: Progress, expected: Migration, left: int, names: Sequence[str], said: Collector) -> None:
    """Judge when the rest will have arrived, by the rates between looks."""
    done = [_moved(found, look) for look in range(len(found.at_s))]
    rates = [
        (b - a) / (t - s)
        for a, b, s, t in zip(done, done[1:], found.at_s, found.at_s[1:], strict=False)
        if t > s
    ]
    slow, fast = min(rates, default=0.0), max(rates, default=0.0)
    named = ", ".join(names[:_MOST])
    if fast <= 0:
        said.wrong(
            f"about {left} rows are not on the target, and none arrived within {words_for(found.at_s[-1] - found.at_s[0])}: "
            f"start the migration of {named}, or find out why it stands"
        )
        said.read(Reading("rows per second", 0, limit="over 0", ok=False))
        return
    said.read(Reading("rows per second", f"{slow:.0f} to {fast:.0f}"))
    if slow <= 0:
        said.unknown(f"rows of {named} arrive in bursts: lengthen `window` to tell their rate")
        return
    early, late = (words_for(left / rate) for rate in (fast, slow))
    if expected.finish_by is None:
        said.unknown(
            f"about {left} rows of {named} are left, for {early} to {late}: run again when they have arrived"
        )
        return
    good = found.now + timedelta(seconds=left / slow) <= expected.finish_by
    hopeless = found.now + timedelta(seconds=left / fast) > expected.finish_by
    limit = f"until {expected.finish_by:%Y-%m-%d %H:%M %Z}"
    said.read(
        Reading("time left", f"{early} to {late}", limit=limit, ok=None if not (good or hopeless) else good)
    )
    if hopeless:
        said.wrong(
            f"about {left} rows of {named} take {early} to {late} more, past {limit.removeprefix('until ')}: use more connections, or move the window"
        )
    elif not good:
        said.unknown(
            f"about {left} rows of {named} take {early} to {late} more, perhaps past {limit.removeprefix('until ')}"
        )


def _moved(found: Progress, look: int) -> int:
    """Return how many rows have arrived: those of ended statements, and those that COPYs have read."""
    return found.rows_in[look] + sum(_rows(copy, look) for copy in found.copies)


def _rows(copy: Copy, look: int) -> int:
    return copy.rows[look]
