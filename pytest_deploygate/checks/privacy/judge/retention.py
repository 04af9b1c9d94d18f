"""Judge retention: the policy exists and works, and old rows and files are deleted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_deploygate.checks.jobs import judge as schedules
from pytest_deploygate.checks.jobs.section import BackupJob
from pytest_deploygate.checks.privacy.facts import MOST_ROWS, FileAges, RetentionFacts
from pytest_deploygate.fields.schedule import LastRun, Schedule
from pytest_deploygate.model import Judgement, Reading, Verdict, combine, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.privacy.section import AgedFiles, Retained


def judge_retention(found: RetentionFacts, wanted: Retained) -> Judgement:
    """Pass when the job is scheduled and succeeded, follows the expected interval, and left no old row behind."""
    if not found.exists:
        return Judgement(
            Verdict.FAIL,
            f"{found.table} or its column {wanted.column} does not exist: {found.problem}",
            (Reading(f"{found.table}.{wanted.column}", "missing", limit="exists", ok=False),),
        )
    parts = [*_policy(found, wanted), *_job(found, wanted), *_partman(found, wanted), _rows(found, wanted)]
    folded = combine(parts)
    if folded.verdict is not Verdict.PASS:
        return replace(folded, reason=f"{found.table}: {folded.reason}", confirmed=False)
    return replace(
        folded,
        reason=f"{found.table}: no row older than {words_for(wanted.keep)} + {words_for(wanted.slack)}; the job works",
    )


def _policy(found: RetentionFacts, wanted: Retained) -> Iterator[Judgement]:
    if not found.policy_asked:
        return
    said = words_for(found.policy) if found.policy else "no policy"
    readings = (
        Reading(f"{found.table} policy", said, limit=words_for(wanted.keep),
                ok=None if found.problem else found.policy == wanted.keep),
    )  # fmt: skip
    if found.problem:
        yield Judgement(Verdict.INCONCLUSIVE, f"its policy is unknown: {found.problem}", readings)
    elif found.policy is None:
        yield Judgement(
            Verdict.FAIL,
            f"there is no retention policy for it (expected {words_for(wanted.keep)}): rows are never deleted; add one",
            readings,
        )
    elif found.policy != wanted.keep:
        yield Judgement(
            Verdict.FAIL,
            f"its policy keeps rows for {said}, expected {words_for(wanted.keep)}: correct the policy or the inventory",
            readings,
        )
    else:
        yield Judgement(Verdict.PASS, "", readings)


def _job(found: RetentionFacts, wanted: Retained) -> Iterator[Judgement]:
    if found.job is None:
        return
    job = BackupJob(
        name=found.job.job,
        schedule=wanted.schedule or Schedule.model_construct(),
        last_run=wanted.last_run or LastRun.model_construct(),
        slack=wanted.job_slack,
    )
    yield replace(schedules.judge(found.job, job), confirmed=False)


def _partman(found: RetentionFacts, wanted: Retained) -> Iterator[Judgement]:
    policy = found.partman
    if policy is None:
        return
    if not policy.found:
        yield Judgement(
            Verdict.FAIL,
            f"pg_partman has no row for it in {wanted.partman}.part_config: rows are never deleted",
            (Reading(f"{found.table} in part_config", "no row", limit="one", ok=False),),
        )
        return
    said = words_for(policy.retention) if policy.retention else policy.said or "none"
    readings = (
        Reading(
            f"{found.table} retention of pg_partman",
            said,
            limit=words_for(wanted.keep),
            ok=policy.retention == wanted.keep,
        ),
        Reading(f"{found.table} automatic maintenance", policy.automatic, limit="yes", ok=policy.automatic),
        Reading(
            f"{found.table} keeps removed partitions",
            policy.keeps_tables,
            limit="no",
            ok=not policy.keeps_tables,
        ),
    )
    if policy.said and policy.retention is None:
        yield Judgement(
            Verdict.FAIL,
            f"pg_partman's retention for it is not an interval: {policy.said!r}, expected {words_for(wanted.keep)}: UPDATE "
            "part_config",
            readings,
        )
    elif policy.retention != wanted.keep:
        yield Judgement(
            Verdict.FAIL,
            f"pg_partman's retention for it is {said}, expected {words_for(wanted.keep)}: UPDATE part_config",
            readings,
        )
    elif not policy.automatic:
        yield Judgement(
            Verdict.FAIL,
            "pg_partman's automatic_maintenance is off for it: nothing removes partitions",
            readings,
        )
    elif policy.keeps_tables:
        yield Judgement(
            Verdict.FAIL,
            "pg_partman only detaches its old partitions (retention_keep_table): the rows stay in the database",
            readings,
        )
    else:
        yield Judgement(Verdict.PASS, "", readings)


def _rows(found: RetentionFacts, wanted: Retained) -> Judgement:
    bound = f"{words_for(wanted.keep)} + {words_for(wanted.slack)} slack"
    count = f"{MOST_ROWS} or more" if found.old_rows >= MOST_ROWS else str(found.old_rows)
    readings = (
        Reading(f"{found.table} rows older than {bound}", found.old_rows, limit="0", ok=found.old_rows == 0),
    )
    if found.old_rows:
        oldest = f", the oldest from {found.oldest:%Y-%m-%d %H:%M} UTC" if found.oldest else ""
        return Judgement(
            Verdict.FAIL,
            f"{count} rows are older than {bound}{oldest}: the job does not remove them; find out why it leaves them behind, "
            "then run it by hand",
            readings,
        )
    if not found.has_rows:
        return Judgement(
            Verdict.INCONCLUSIVE,
            "it has no rows, which proves nothing: run again after phase 4",
            readings,
            deferred_to="phase4",
        )
    notes: tuple[str, ...] = ()
    if found.never:
        count = f"{MOST_ROWS} or more" if found.never >= MOST_ROWS else str(found.never)
        notes = (
            f"{count} rows of {found.table} have no {wanted.column}, an infinite one or one in the future: no age removes them",
        )
    return Judgement(Verdict.PASS, "", readings, notes)


def judge_files(found: FileAges, wanted: AgedFiles) -> Judgement:
    """Pass when there are files and none was last written earlier than allowed."""
    if found.problem:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{found.name}: {found.where} cannot be read: {found.problem}; does the folder exist, may the user read it?",
        )
    bound = f"{words_for(wanted.keep)} + {words_for(wanted.slack)} slack"
    age = found.now - found.oldest_at if found.oldest_at else None
    readings = (
        Reading(f"{found.name} files", found.files),
        Reading(f"{found.name} older than {bound}", found.old, limit="0", ok=found.old == 0),
    )
    if age is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{found.name}: no file matches {found.where}, which proves nothing: is the path right?",
            readings,
        )
    if found.old:
        return Judgement(
            Verdict.FAIL,
            f"{found.name}: {found.old} of {found.files} files are older than {bound}, the oldest is {found.oldest} "
            f"({words_for(age)}): check logrotate or the job that removes them ({found.where})",
            readings,
        )
    return Judgement(
        Verdict.PASS,
        f"{found.name}: {found.files} files, the oldest {words_for(age)} old, limit {bound}",
        readings,
    )
