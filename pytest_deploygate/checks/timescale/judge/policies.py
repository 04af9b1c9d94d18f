"""Retention and columnstore policies: they exist as expected, run well, and leave nothing undone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.timescale.facts import COLUMNSTORE, RETENTION, Chunk, Hypertable, Job
from pytest_deploygate.checks.timescale.judge.jobs import Health, health, of_kind, same
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.timescale.section import ChunkRetention, Columnstore


def judge_retention(found: Hypertable, expected: ChunkRetention) -> Judgement:
    """Pass when a policy drops chunks of the expected age, runs well, and no chunk is left that it should have dropped."""
    if refused := no_hypertable(found):
        return refused
    job = of_kind(found.jobs, RETENTION)
    if job is None:
        add = f"SELECT add_retention_policy('{found.table}', INTERVAL '{interval(expected.drop_after)}')"
        return Judgement(
            Verdict.FAIL,
            f"{found.table} has no retention policy, so rows stay forever: {add}",
            (Reading("retention policy", "none", limit=words_for(expected.drop_after), ok=False),),
        )
    drops = job.spans.get("drop_after")
    if drops is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{job.name} drops chunks of {found.table} by {_config(job)}, not by the age of their rows: whether rows older than "
            f"{words_for(expected.drop_after)} are dropped is unknown",
        )
    left = _overdue(found, expected.drop_after + job.interval + expected.slack)
    wrong = []
    if not same(drops, expected.drop_after):
        wrong.append(
            f"{job.name} of {found.table} drops after {words_for(drops)}, expected {words_for(expected.drop_after)}: "
            "remove_retention_policy, then add_retention_policy"
        )
    if left:
        wrong.append(
            f"{len(left)} of {len(found.chunks)} chunks of {found.table} are older than "
            f"{words_for(expected.drop_after)} and were not dropped, the oldest ended {_day(left[0])}: find out why {job.name} "
            f"left them, then CALL run_job({job.id})"
        )
    readings = (
        Reading(
            "drops after", words_for(drops), limit=words_for(expected.drop_after), ok=same(drops, expected.drop_after)
        ),
        Reading("chunks past retention", len(left), limit="0", ok=not left),
    )  # fmt: skip
    good = f"{job.name} drops chunks of {found.table} after {words_for(drops)}; none of {len(found.chunks)} is overdue"
    return _folded(found, wrong, health(job, found.now, outside_scheduler=found.outside_scheduler), readings, good)  # fmt: skip


def judge_columnstore(found: Hypertable, expected: Columnstore) -> Judgement:
    """Pass when it is compressed as expected by a policy that runs well, and no older chunk is uncompressed."""
    if refused := no_hypertable(found):
        return refused
    wrong = list(_settings(found, expected))
    job = of_kind(found.jobs, COLUMNSTORE)
    if job is None:
        add = f"add_compression_policy('{found.table}', INTERVAL '{interval(expected.after)}')"
        wrong.append(f"{found.table} has no columnstore policy, so no chunk is compressed: SELECT {add}")
        reading = Reading("columnstore policy", "none", limit=words_for(expected.after), ok=False)
        return Judgement(Verdict.FAIL, "; ".join(wrong), (reading,))
    after = job.spans.get("compress_after")
    if after is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{job.name} compresses chunks of {found.table} by {_config(job)}, not by the age of their rows: their age "
            "is unknown",
        )
    left = [c for c in _overdue(found, expected.after + job.interval + expected.slack) if not c.compressed]
    if not same(after, expected.after):
        wrong.append(
            f"{job.name} of {found.table} compresses after {words_for(after)}, expected {words_for(expected.after)}"
        )
    if left:
        wrong.append(
            f"{len(left)} chunks of {found.table} are older than {words_for(expected.after)} and not compressed, the "
            f"oldest ended {_day(left[0])}: find out why {job.name} left them, then CALL run_job({job.id})"
        )
    compressed = sum(chunk.compressed for chunk in found.chunks)
    readings = (
        Reading("compresses after", words_for(after), limit=words_for(expected.after), ok=same(after, expected.after)),
        Reading("chunks compressed", f"{compressed} of {len(found.chunks)}"),
        Reading("chunks that should be compressed", len(left), limit="0", ok=not left),
    )  # fmt: skip
    good = f"{job.name} compresses chunks of {found.table} after {words_for(after)}: {compressed} of {len(found.chunks)} are"
    return _folded(found, wrong, health(job, found.now, outside_scheduler=found.outside_scheduler), readings, good)  # fmt: skip


def no_hypertable(found: Hypertable) -> Judgement | None:
    """Return a judgement if the table does not exist, is not a hypertable, or is one over integers, which have no age."""
    if not found.exists:
        return Judgement(
            Verdict.FAIL,
            f"{found.table} does not exist, or is not visible to the gate's role; was it migrated, is it in this database?",
            (Reading(found.table, "does not exist, or is hidden", limit="a hypertable", ok=False),),
        )
    if not found.hypertable:
        return Judgement(
            Verdict.FAIL,
            f"{found.table} is not a hypertable: SELECT create_hypertable('{found.table}', …) before rows arrive",
            (Reading(found.table, "an ordinary table", limit="a hypertable", ok=False),),
        )
    if found.dimensions[0].kind == "Time" and found.dimensions[0].interval is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{found.table} is a hypertable over the integers of {found.dimensions[0].column}: their age is unknown; "
            "name a query in `database.validation` instead",
        )
    return None


def _folded(
    found: Hypertable, wrong: Sequence[str], job: Health, readings: tuple[Reading, ...], good: str
) -> Judgement:
    """Combine what is wrong with the policy's work and with its job; without chunks the result is inconclusive."""
    said = Collector(confirmed=True)
    said.wrong(*wrong)
    said.read(*readings)
    job.add_to(said)
    if not found.chunks:
        said.unknown(
            f"{found.table} has no chunk, so its policy had nothing to do: run again after phase 4",
            deferred_to="phase4",
        )
    return said.judgement(lambda: good)


def _overdue(found: Hypertable, age: timedelta) -> list[Chunk]:
    return [chunk for chunk in found.chunks if chunk.end is not None and chunk.end < found.now - age]


def _settings(found: Hypertable, expected: Columnstore) -> list[str]:
    if found.settings is None:
        if expected.segmentby or expected.orderby:
            return [f"{found.table} has no compression settings: ALTER TABLE … SET (timescaledb.compress, …)"]
        return []
    wrong = []
    for name, have, want in (
        ("segmented", found.settings.segmentby, expected.segmentby),
        ("ordered", found.settings.orderby, expected.orderby),
    ):
        if want is not None and [_plain(w) for w in want] != [_plain(h) for h in have]:
            wrong.append(
                f"{found.table} is {name} by {', '.join(have) or 'nothing'}, expected {', '.join(want) or 'nothing'}"
            )
    return wrong


def _plain(column: str) -> str:
    """Return `"recorded_at" desc nulls first` as `recorded_at DESC`, which means the same."""
    words = column.replace('"', "").split()
    rest = " ".join(words[1:]).upper().replace("ASC", "").strip()
    default = "DESC NULLS FIRST" if rest.startswith("DESC") else "NULLS LAST"
    return f"{words[0]} {'' if rest == 'NULLS LAST' else 'DESC' if rest == default else rest}".strip()


def _config(job: Job) -> str:
    keys = [key for key in job.config if key not in ("hypertable_id", "mat_hypertable_id")]
    return ", ".join(f"{key} {job.config[key]}" for key in keys) or "an unknown setting"


def interval(span: timedelta) -> str:
    """Return a span as an SQL interval."""
    days, rest = divmod(span, timedelta(days=1))
    return f"{days} day{'s' if days != 1 else ''}" if not rest else f"{int(span.total_seconds())} seconds"


def _day(chunk: Chunk) -> str:
    return f"{chunk.end:%Y-%m-%d %H:%M} UTC" if chunk.end else "never"
