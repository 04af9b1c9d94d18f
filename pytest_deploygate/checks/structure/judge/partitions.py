"""Judge partitioning: width, gaps, partitions ahead of now, rows in the default partition, and pruning."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.structure.facts import Partition, Partitions, is_key
from pytest_deploygate.fields.names import instead, written
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.structure.section import Partitioned

#: Months and quarters vary in length.
_CALENDAR_SLACK = timedelta(days=3)
_MOST = 4


def judge_partitions(found: Partitions, expected: Partitioned) -> Judgement:
    """Pass if the table is range-partitioned on the column as expected, now and for the time ahead."""
    if found.kind is None:
        return Judgement(
            Verdict.FAIL,
            f"{found.table} does not exist; has it been migrated, and is it in this schema?{found.near}",
            (Reading(found.table, "missing", limit="exists", ok=False),),
        )
    if found.kind != "range":
        what = "is an ordinary table" if found.kind == "table" else f"is partitioned by {found.kind}"
        return Judgement(
            Verdict.FAIL,
            f"{found.table} {what}, expected RANGE ({expected.column}): it cannot be partitioned "
            "in place; plan to move its rows to a new table",
            (Reading("partitioning", found.kind, limit=f"RANGE ({expected.column})", ok=False),),
        )
    if not is_key(found.key, expected.column):
        there = re.fullmatch(r'RANGE \(("?)(.*)\1\)', found.key)
        same = there and there[2].lower() == expected.column.lower()
        hint = instead(written(there[2])) if there and same else ""
        return Judgement(
            Verdict.FAIL,
            f"{found.table} is partitioned by {found.key}, expected RANGE ({expected.column}){hint}",
            (Reading("partition key", found.key, limit=f"RANGE ({expected.column})", ok=False),),
        )
    if not found.ranges and not found.unread:
        return Judgement(
            Verdict.FAIL,
            f"{found.table} has no range partition: every insert fails or goes to the default partition",
            (Reading("range partitions", 0, limit="at least 1", ok=False),),
        )
    if found.unread:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"bounds that are not a point in time cannot be judged: {'; '.join(found.unread[:_MOST])}",
        )
    said = Collector(about=found.table, confirmed=True)
    said.wrong(
        *_gaps(found.ranges),
        *_widths(found.ranges, expected.interval),
        *_open(found),
        *_ahead(found, expected),
        *_default(found),
        *_pruning(found),
    )
    said.read(*_readings(found, expected))
    if found.scanned == 0:
        said.unknown(
            "the plan of a query over one partition's time reads no partition, so pruning was not tested"
        )
    elif found.scanned is None:
        said.unknown("no partition has two bounds, so pruning could not be tried")
    return said.judgement(
        lambda: (
            f"{len(found.ranges)} partitions of {words_for(expected.interval)}, no gap, "
            f"{words_for(_reach(found) - found.now)} ahead; a query over one reads {found.scanned} of {found.total}"
        )
    )


def _reach(found: Partitions) -> datetime:
    """Return the end of the contiguous partitions that cover now."""
    reach = found.now
    for part in found.ranges:
        if (part.start is None or part.start <= reach) and (part.end is None or part.end > reach):
            reach = part.end or datetime.max.replace(tzinfo=found.now.tzinfo)
    return reach


def _readings(found: Partitions, expected: Partitioned) -> Iterator[Reading]:
    ahead = _reach(found) - found.now
    odd = [*_gaps(found.ranges), *_widths(found.ranges, expected.interval), *_open(found)]
    yield Reading(
        "range partitions",
        len(found.ranges),
        limit=f"{words_for(expected.interval)} wide, no gap",
        ok=not odd,
    )
    yield Reading(
        "inserts find a partition for", words_for(ahead), limit=f"at least {words_for(expected.ahead)} ahead",
        ok=ahead >= expected.ahead,
    )  # fmt: skip
    if found.default_rows is not None:
        yield Reading(
            "rows in the default partition", found.default_rows, limit="0", ok=found.default_rows == 0
        )
    if found.scanned is not None:
        yield Reading(
            "partitions read for one interval",
            found.scanned,
            limit="1, that of the interval",
            ok=found.scanned == 1,
        )


def _gaps(ranges: tuple[Partition, ...]) -> Iterator[str]:
    for before, after in itertools.pairwise(ranges):
        if before.end is not None and after.start is not None and before.end < after.start:
            yield (
                f"gap from {before.end:%Y-%m-%d %H:%M} to {after.start:%Y-%m-%d %H:%M} UTC between {before.name} and "
                f"{after.name}: create the partition before rows arrive for it"
            )


def _widths(ranges: tuple[Partition, ...], interval: timedelta) -> Iterator[str]:
    slack = (
        _CALENDAR_SLACK
        if interval >= timedelta(days=28)
        else timedelta(hours=1)
        if interval >= timedelta(days=1)
        else timedelta(0)
    )
    odd = [p for p in ranges if p.start and p.end and abs((p.end - p.start) - interval) > slack]
    if odd:
        width = odd[0].end - odd[0].start if odd[0].end and odd[0].start else interval
        yield (
            f"{len(odd)} of {len(ranges)} partitions are not {words_for(interval)} wide, first {odd[0].name} "
            f"({words_for(width)})"
        )


def _open(found: Partitions) -> Iterator[str]:
    for part in found.ranges:
        if part.end is None:
            yield (
                f"{part.name} has no end (MAXVALUE): all later rows go into it, as into a default partition; split it "
                "into partitions of the interval"
            )


def _ahead(found: Partitions, expected: Partitioned) -> Iterator[str]:
    reach = _reach(found)
    if reach - found.now >= expected.ahead:
        return
    until = (
        "there is none for now"
        if reach == found.now
        else f"the last contiguous one ends {reach:%Y-%m-%d %H:%M} UTC"
    )
    yield (
        f"partitions must exist for {words_for(expected.ahead)} ahead of now, {until}: "
        "run the job that creates them, and find out why it did not run"
    )


def _default(found: Partitions) -> Iterator[str]:
    if found.default_rows:
        rows = "1 row is" if found.default_rows == 1 else f"{found.default_rows} rows are"
        yield (
            f"{rows} in the default partition {found.default}: no partition existed for their time, "
            "or their time is wrong; move them before creating a partition for it"
        )


def _pruning(found: Partitions) -> Iterator[str]:
    if found.scanned is not None and found.scanned > 1:
        yield (
            f"a query over one partition's time reads {found.scanned} of {found.total}: nothing is pruned; "
            "is enable_partition_pruning on, and does the column's type match?"
        )
