"""Judge aggregates: scheduled, recently refreshed, up to the newest raw rows, and equal to a recomputation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.aggregates.facts import AggregateFacts, Comparison, Difference
from pytest_deploygate.checks.jobs.judge import judge_schedule
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, Verdict, combine, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.aggregates.section import Aggregate

__all__ = ["judge"]

_CLOCKS = timedelta(minutes=5)


def judge(found: AggregateFacts, expected: Aggregate) -> Judgement:
    """Pass if the refresh is scheduled and recent, and every compared bucket equals its recomputation."""
    if found.absent:
        return Judgement(
            Verdict.FAIL,
            f"{found.absent} does not exist; has it been migrated?{found.near}",
            (Reading(found.absent, "missing", limit="exists", ok=False),),
        )
    if found.newest_raw is None:
        empty = Judgement(
            Verdict.INCONCLUSIVE,
            f"{expected.source} has no rows, so {found.relation} proves nothing: run again after phase 4",
            (Reading(f"rows in {expected.source}", 0),),
            deferred_to="phase4",
        )
        return combine([_schedule(found), empty])
    return combine([_schedule(found), _freshness(found, expected), _values(found, expected)])


def _schedule(found: AggregateFacts) -> Judgement:
    if found.schedule is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"it is unknown what refreshes {found.relation}: name it in the inventory, "
            "`schedule: {crontab: FILE, command: TEXT}`, `systemd_timer` or `pg_cron`",
        )
    return judge_schedule(f"the refresh of {found.relation}", found.schedule)


def _freshness(found: AggregateFacts, expected: Aggregate) -> Judgement:
    limit = f"at most {words_for(expected.max_age)}"
    said = Collector(confirmed=True)
    if expected.refreshed is not None:
        age = found.now - found.refreshed_at if found.refreshed_at else None
        good = age is not None and -_CLOCKS <= age <= expected.max_age
        said.read(
            Reading("last refresh", "never" if age is None else f"{words_for(age)} ago", limit=limit, ok=good)
        )
        if age is not None and age < -_CLOCKS:
            said.unknown(
                f"the last refresh of {found.relation} is {words_for(-age)} in the future: a clock is wrong, "
                "or the query `refreshed` returns something else"
            )
        elif age is None:
            said.wrong(
                f"{found.relation} was never refreshed: check the log of the job that refreshes it, then run it by hand"
            )
        elif not good:
            said.wrong(
                f"the last refresh of {found.relation} was {words_for(age)} ago (limit {words_for(expected.max_age)}): check the log of the job"
                " that refreshes it, fix the cause, and run it by hand"
            )
    behind = _behind_s(found, expected)
    if behind is not None:
        good = behind <= expected.max_age.total_seconds()
        said.read(
            Reading("raw rows after the newest bucket", words_for(max(behind, 0.0)), limit=limit, ok=good)
        )
        if not good:
            said.wrong(
                f"raw rows reach {words_for(behind)} past the newest bucket (limit {words_for(expected.max_age)}): refresh it"
            )
    if found.newest_bucket is None:
        said.wrong(f"{found.relation} has no bucket although its raw table has rows: refresh it")
    return said.judgement(lambda: "fresh")


def _behind_s(found: AggregateFacts, expected: Aggregate) -> float | None:
    if found.newest_bucket is None or found.newest_raw is None:
        return None
    newest = min(found.newest_raw, found.now)
    return (newest - (found.newest_bucket + expected.width)).total_seconds()


def _values(found: AggregateFacts, expected: Aggregate) -> Judgement:
    compared = found.comparison
    if found.problem:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{found.relation} could not be compared with its raw rows: {found.problem}; lower max_buckets "
            f"(now {expected.max_buckets}) or raise statement_timeout",
        )
    if compared is None or compared.rows == 0:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{found.relation} has no complete bucket yet to compare with raw rows: run again after phase 4",
            deferred_to="phase4",
        )
    readings = tuple(_readings(compared, expected))
    wrong = compared.missing + compared.extra + compared.different
    sampled = compared.buckets < compared.buckets_total
    of_all = f"{compared.buckets} of {compared.buckets_total} buckets compared" if sampled else "all compared"
    notes: tuple[str, ...] = (f"a sample: {of_all}; raise max_buckets to compare all",) if sampled else ()
    orphans = _without_raw_rows(found, expected)
    if found.older:
        notes += (
            orphans
            or f"{found.older} rows are of buckets older than every raw row: they cannot be recomputed",
        )
    if found.still_open:
        notes += (
            f"not compared: {found.still_open} rows of {found.relation} from {compared.end:%Y-%m-%d %H:%M} UTC on, "
            "whose buckets were not complete at the last refresh",
        )
    if found.without_source:
        return Judgement(
            Verdict.FAIL,
            f"{found.without_source} rows of {found.relation} are of buckets in the future, after every raw row: nothing can have "
            "been aggregated there; delete them, and find out what wrote them",
            (Reading("rows of buckets in the future", found.without_source, limit="0", ok=False), *readings),
            notes,
            confirmed=True,
        )
    if wrong:
        parts = [
            f"{n} {word}"
            for n, word in (
                (compared.different, "different"),
                (compared.missing, "missing"),
                (compared.extra, "extra"),
            )
            if n
        ]
        first = "; ".join(said_of(difference) for difference in compared.examples[:2])
        return Judgement(
            Verdict.FAIL,
            f"{wrong} of {compared.rows} rows differ from a recomputation of the raw rows ({', '.join(parts)}; {of_all}): "
            f"{first}. Refresh these buckets, and find out why they differed",
            readings,
            notes,
            confirmed=True,
        )
    if orphans:
        kept = expected.raw_kept is not None
        reading = Reading("rows of buckets without raw rows", found.older, limit="0", ok=False)
        return Judgement(
            Verdict.FAIL if kept else Verdict.INCONCLUSIVE, orphans, (reading, *readings), confirmed=kept
        )
    return Judgement(
        Verdict.PASS,
        f"{compared.rows} rows in {compared.buckets} buckets equal a recomputation ({of_all})",
        readings,
        notes,
    )


def _without_raw_rows(found: AggregateFacts, expected: Aggregate) -> str:
    """Say that buckets are older than every raw row although their rows would be kept still; empty if there are none."""
    if not found.older or found.newest_older is None:
        return ""
    said = f"{found.older} rows of {found.relation} are of buckets older than every raw row, the newest of {found.newest_older:%Y-%m-%d %H:%M} UTC"
    if expected.raw_kept is None:
        return f"{said}: they cannot be recomputed; if raw rows are removed at an age, write it as `raw_kept`, else find out what wrote them"
    # A bucket is removed with its last row.
    if found.newest_older + expected.width <= found.now - expected.raw_kept:
        return ""
    return (
        f"{said}, but raw rows are kept for {words_for(expected.raw_kept)}: they were removed too early, or nothing was aggregated "
        "there; find out which, and delete such buckets"
    )


def said_of(difference: Difference) -> str:
    """Return where a bucket differs, and in which values."""
    where = f"{difference.bucket:%Y-%m-%d %H:%M} UTC {difference.key}".strip()
    if difference.state != "different":
        return f"{where} is {difference.state}"
    stored, fresh = difference.stored, difference.recomputed
    changed = [
        f"{name} {stored.get(name)} instead of {fresh.get(name)}"
        for name in fresh
        if stored.get(name) != fresh.get(name)
    ]
    return f"{where} has {', '.join(changed) or 'other values'}"


def _readings(compared: Comparison, expected: Aggregate) -> Iterator[Reading]:
    span = f"{compared.start:%Y-%m-%d %H:%M} to {compared.end:%Y-%m-%d %H:%M} UTC"
    yield Reading(f"buckets compared, {span}", f"{compared.buckets} of {compared.buckets_total}")
    yield Reading("rows compared", compared.rows)
    for name, count in (
        ("different", compared.different),
        ("missing", compared.missing),
        ("extra", compared.extra),
    ):
        yield Reading(name, count, "rows", limit=f"0 (tolerance {expected.tolerance:g})", ok=count == 0)
