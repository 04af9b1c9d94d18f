"""Hypertables: dimensions and chunk width as expected, no chunk from a wrong clock, and queries that read few chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_deploygate.checks.timescale.facts import Dimension, Hypertable
from pytest_deploygate.checks.timescale.judge.jobs import same
from pytest_deploygate.checks.timescale.judge.policies import interval, no_hypertable
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.timescale.section import Hypertable as Expected


def judge_hypertable(found: Hypertable, expected: Expected) -> Judgement:
    """Pass when the table is a hypertable as expected and a query over one chunk's time reads no other chunk."""
    if refused := no_hypertable(found):
        return refused
    time = found.dimensions[0]
    said = Collector(confirmed=True)
    said.wrong(
        *_time(found, expected, time),
        *_space(found, expected),
        *_ahead(found, expected),
        *_pruning(found),
    )
    said.read(*_readings(found, expected, time))
    said.note(*_notes(found, expected))
    if not found.chunks:
        said.unknown(
            f"{found.table} has no chunk, so pruning cannot be tested: run again after phase 4",
            deferred_to="phase4",
        )
    elif found.problem:
        said.unknown(f"{found.table}: whether queries prune is unknown: {found.problem}")
    elif not found.scanned:
        said.unknown(
            f"{found.table}: the plan of a query over one chunk's time reads no chunk, so pruning was not shown"
        )
    return said.judgement(
        lambda: (
            f"{found.table}: chunks of {_said(time)} over {time.column}, {len(found.chunks)} of them; a query over one "
            f"chunk's time reads {found.scanned}"
        )
    )


def _readings(found: Hypertable, expected: Expected, time: Dimension) -> Iterator[Reading]:
    good = time.interval is not None and same(time.interval, expected.chunk_interval)
    yield Reading("chunk interval", _said(time), limit=words_for(expected.chunk_interval), ok=good)
    yield Reading("chunks", len(found.chunks))
    if found.scanned is not None:
        yield Reading(
            "chunks read for one chunk's time",
            found.scanned,
            limit="those of that time",
            ok=not list(_pruning(found)),
        )


def _said(time: Dimension) -> str:
    return words_for(time.interval) if time.interval is not None else "integers"


def _time(found: Hypertable, expected: Expected, time: Dimension) -> Iterator[str]:
    if time.column != expected.column:
        yield f"{found.table} is partitioned over {time.column}, expected {expected.column}: it needs a new table"
    if time.interval is not None and not same(time.interval, expected.chunk_interval):
        yield (
            f"new chunks of {found.table} are {words_for(time.interval)} wide, expected "
            f"{words_for(expected.chunk_interval)}: SELECT set_chunk_time_interval('{found.table}', INTERVAL '{interval(expected.chunk_interval)}')"
        )


def _space(found: Hypertable, expected: Expected) -> Iterator[str]:
    have = {d.column: d.partitions for d in found.dimensions[1:]}
    want = {s.column: s.partitions for s in expected.space}
    if have != want:
        said = [", ".join(f"{c} in {n}" for c, n in d.items()) or "no other dimension" for d in (have, want)]
        yield f"{found.table} has {said[0]}, expected {said[1]}"


def _ahead(found: Hypertable, expected: Expected) -> Iterator[str]:
    late = [c for c in found.chunks if c.start is not None and c.start > found.now + expected.ahead]
    if late and late[-1].start is not None:
        yield (
            f"{len(late)} chunks of {found.table} begin more than {words_for(expected.ahead)} in the future, the last at "
            f"{late[-1].start:%Y-%m-%d %H:%M} UTC: rows in {late[-1].name} come from a wrong clock; move or delete them"
        )


def _pruning(found: Hypertable) -> Iterator[str]:
    """Chunks of a space dimension share a time range; reading more chunks than partitions means that nothing is pruned."""
    partitions = 1
    for dimension in found.dimensions[1:]:
        partitions *= dimension.partitions or 1
    if found.scanned is not None and found.scanned > partitions and len(found.chunks) > partitions:
        yield (
            f"a query over one chunk's time reads {found.scanned} of {len(found.chunks)} chunks of {found.table}: nothing is "
            "pruned; are timescaledb.enable_chunk_append and constraint_exclusion on?"
        )


def _notes(found: Hypertable, expected: Expected) -> Iterator[str]:
    odd = [
        c for c in found.chunks if c.start and c.end and not same(c.end - c.start, expected.chunk_interval)
    ]
    if odd and odd[0].start and odd[0].end:
        yield (
            f"{len(odd)} of {len(found.chunks)} chunks are not {words_for(expected.chunk_interval)} wide, first {odd[0].name} "
            f"({words_for(odd[0].end - odd[0].start)}): a changed interval applies to new chunks only"
        )
