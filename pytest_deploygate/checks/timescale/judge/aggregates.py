"""Continuous aggregates: a policy that runs, materialised far enough, and buckets that equal their raw rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.aggregates.judge import said_of
from pytest_deploygate.checks.timescale.facts import AggregateFacts
from pytest_deploygate.checks.timescale.judge.jobs import MOST_INTERVALS, health
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, Verdict, combine, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.timescale.section import ContinuousAggregate


def judge_aggregate(found: AggregateFacts, expected: ContinuousAggregate) -> Judgement:
    """Pass when its policy runs well, its watermark is near the newest raw row, and compared buckets are right."""
    if not found.exists:
        return Judgement(
            Verdict.FAIL,
            f"there is no continuous aggregate {expected.view}: was it migrated, is it in this database?",
            (Reading("continuous aggregate", None, limit=expected.view, ok=False),),
        )
    parts = [_policy(found, expected)]
    if found.newest_raw is None:
        parts.append(
            Judgement(
                Verdict.INCONCLUSIVE,
                f"{found.raw} has no rows, so {found.view} proves nothing: run again after phase 4",
                (Reading(f"rows in {found.raw}", 0),),
                deferred_to="phase4",
            )
        )
    else:
        parts += [_fresh(found, expected), _right(found, expected)]
    folded = combine(parts)
    return replace(folded, notes=(*folded.notes, *_notes(found)))


def _policy(found: AggregateFacts, expected: ContinuousAggregate) -> Judgement:
    wrong = []
    if expected.real_time is not None and expected.real_time != found.real_time:
        words = {True: "adds the newest raw rows when read", False: "returns materialised buckets only"}
        wrong.append(
            f"{found.view} {words[found.real_time]}, expected that it {words[expected.real_time]}: ALTER MATERIALIZED VIEW "
            f"{found.view} SET (timescaledb.materialized_only = {str(not expected.real_time).lower()})"
        )
    if found.job is None:
        wrong.append(
            f"{found.view} has no refresh policy, so nothing refreshes it: SELECT add_continuous_aggregate_policy('{found.view}', …)"
        )
        reading = Reading("refresh policy", "none", limit="one", ok=False)
        return Judgement(Verdict.FAIL, "; ".join(wrong), (reading,), confirmed=True)
    said, job = Collector(confirmed=True), found.job
    said.wrong(*wrong)
    health(job, found.now, outside_scheduler=found.outside_scheduler).add_to(said)
    return said.judgement(lambda: f"{job.name} refreshes it")


def limit(found: AggregateFacts, expected: ContinuousAggregate) -> timedelta | None:
    """Return how far raw rows may be past the watermark: the inventory's limit, else what the policy promises."""
    if expected.max_age is not None:
        return expected.max_age
    if found.job is None:
        return None
    end = found.job.spans.get("end_offset") or timedelta(0)
    return end + expected.width + MOST_INTERVALS * found.job.interval


def _fresh(found: AggregateFacts, expected: ContinuousAggregate) -> Judgement:
    if found.newest_raw is None:
        return Judgement(Verdict.INCONCLUSIVE, f"{found.raw} has no rows")
    if found.watermark is None:
        return Judgement(
            Verdict.FAIL,
            f"nothing of {found.view} is materialised, but {found.raw} has rows: CALL refresh_continuous_aggregate('{found.view}', "
            "NULL, NULL)",
            (Reading("watermark", "none", limit="set", ok=False),),
            confirmed=True,
        )
    behind = min(found.newest_raw, found.now) - found.watermark
    allowed = limit(found, expected)
    if allowed is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"raw rows reach {words_for(max(behind, timedelta(0)))} past the watermark of {found.view}; without a refresh "
            "policy or `max_age` there is no limit for that",
        )
    good = behind <= allowed
    reading = Reading(
        "raw rows past the watermark",
        words_for(max(behind, timedelta(0))),
        limit=f"at most {words_for(allowed)}",
        ok=good,
    )
    if good:
        return Judgement(Verdict.PASS, f"materialised to {found.watermark:%Y-%m-%d %H:%M} UTC", (reading,))
    return Judgement(
        Verdict.FAIL,
        f"{found.view} is stale: raw rows reach {words_for(behind)} past its watermark {found.watermark:%Y-%m-%d %H:%M} UTC "
        f"(limit {words_for(allowed)}); find out why its refresh does not run, then CALL refresh_continuous_aggregate('{found.view}', …)",
        (reading,),
        confirmed=True,
    )


def _right(found: AggregateFacts, expected: ContinuousAggregate) -> Judgement:
    if found.problem:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{found.view} could not be compared with its raw rows: {found.problem}; it needs SELECT on {found.raw} and "
            f"enough time: lower max_buckets (now {expected.max_buckets}) or raise statement_timeout",
        )
    if found.watermark is None:
        return Judgement(Verdict.INCONCLUSIVE, "nothing to compare: nothing is materialised")
    compared = [c for c in found.comparisons if c.rows]
    rows = sum(c.rows for c in compared)
    if not rows:
        waiting = (
            f"everything that could be compared waits for the next refresh ({len(found.pending)} ranges)"
        )
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"no bucket of {found.view} was compared: "
            + (waiting if found.pending else "none is complete yet, run again after phase 4"),
            deferred_to="" if found.pending else "phase4",
        )
    counts = {w: sum(getattr(c, w) for c in compared) for w in ("different", "missing", "extra")}
    wrong = sum(counts.values())
    buckets, total = sum(c.buckets for c in compared), sum(c.buckets_total for c in compared)
    of_all = (
        f"{buckets} of {total} buckets compared" if buckets < total else f"all {buckets} buckets compared"
    )
    readings = (
        Reading("buckets compared, below the watermark", f"{buckets} of {total}"),
        Reading(
            "rows that differ", wrong, limit=f"0 of {rows} (tolerance {expected.tolerance:g})", ok=not wrong
        ),
    )
    notes = (f"a sample: {of_all}; raise max_buckets to compare all",) if buckets < total else ()
    if not wrong:
        good = f"{rows} rows of {found.view} match their raw rows ({of_all})"
        return Judgement(Verdict.PASS, good, readings, notes)
    parts = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
    first = "; ".join(said_of(e) for c in compared for e in c.examples)[:400]
    return Judgement(
        Verdict.FAIL,
        f"{wrong} of {rows} rows of {found.view} differ from their raw rows ({parts}; {of_all}): {first}. {_repair(found, expected.width)}",
        readings,
        notes,
        confirmed=True,
    )


def _repair(found: AggregateFacts, width: timedelta) -> str:
    """Say what to do: rows that arrived too late for the policy's window need a refresh by hand."""
    if found.out_of_reach:
        low, high = found.out_of_reach[0][0], found.out_of_reach[-1][1]
        start = found.job.spans.get("start_offset") if found.job else None
        back = f", its policy looks back only {words_for(start)}" if start else ""
        when = f"at {_minute(low)}" if low == high else f"from {_minute(low)} to {_minute(high)}"
        return (
            f"Raw rows {when} UTC changed after they were materialised{back}: "
            f"{_by_hand(found.view, low - width, high + width)}"
        )
    examples = [example.bucket for c in found.comparisons for example in c.examples]
    if not examples:
        return "No change to the raw rows explains it: find out who wrote there"
    by_hand = _by_hand(found.view, min(examples), max(examples) + width)
    others = "" if len(examples) == _wrong(found) else ", then the others"
    return f"No change to the raw rows explains it: find out who wrote there, then {by_hand} (force => true from 2.19 on){others}"


def _by_hand(view: str, start: datetime, end: datetime) -> str:
    """Return the statement that refreshes all buckets that lie entirely between two moments."""
    first, last = (moment.astimezone(UTC).isoformat(" ", "seconds") for moment in (start, end))
    return f"CALL refresh_continuous_aggregate('{view}', '{first}', '{last}')"


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def _wrong(found: AggregateFacts) -> int:
    return sum(c.different + c.missing + c.extra for c in found.comparisons)


def _notes(found: AggregateFacts) -> Iterator[str]:
    if found.pending:
        yield f"{len(found.pending)} changed ranges wait for the next refresh and were left out of the comparison"
    start = found.job.spans.get("start_offset") if found.job else None
    drops = found.drops_raw_after
    if found.job is not None and drops is not None and (start is None or start > drops):
        reach = words_for(start) if start else "without limit"
        yield (
            f"the refresh looks back {reach}, but raw rows are dropped after {words_for(drops)}: refreshing dropped ranges deletes "
            "their buckets; make start_offset shorter than drop_after"
        )
