"""The extension: version in every database, licence, background workers, and jobs that no other check covers."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from pytest_deploygate.checks.jobs.judge import judge_schedule
from pytest_deploygate.checks.timescale.facts import COLUMNSTORE, REFRESH, RETENTION, Extension, Job
from pytest_deploygate.checks.timescale.judge.jobs import health
from pytest_deploygate.fields.names import plain
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, Verdict, combine

if TYPE_CHECKING:
    from pytest_deploygate.checks.timescale.section import Timescale

#: TimescaleDB's own housekeeping: it affects no user's rows, and telemetry fails where outbound traffic is blocked.
_OWN = ("policy_telemetry", "policy_job_stat_history_retention", "policy_process_hypertable_invalidations")
_STEP = "check that timescaledb is in shared_preload_libraries and max_worker_processes is large enough, then restart the server"


@dataclass(frozen=True)
class Expected:
    """The section, and the policies (proc, table) that have checks of their own."""

    section: Timescale
    judged_elsewhere: AbstractSet[tuple[str, str]]


def expected(section: Timescale) -> Expected:
    """Return what a section expects of the extension."""
    return Expected(
        section,
        {(RETENTION, plain(entry.table)) for entry in section.retention or ()}
        | {(COLUMNSTORE, plain(entry.table)) for entry in section.columnstore or ()}
        | {(REFRESH, entry.view) for entry in section.aggregates or ()},
    )


def judge_extension(found: Extension, expected: Expected) -> Judgement:
    """Pass when version and licence are as expected, something runs the jobs, and no other job fails."""
    section = expected.section
    parts = [_versions(found, section), _licence(found, section)]
    if all(version is not None for version in found.versions.values()):
        parts += [_runs(found, section), _others(found, expected)]
    folded = combine(parts)
    if folded.verdict is not Verdict.PASS:
        return folded
    return Judgement(
        Verdict.PASS,
        "; ".join(part.reason for part in parts if part.reason),
        folded.readings,
        (*folded.notes, *_notes(found)),
    )


def matches(version: str, wanted: str) -> bool:
    """Tell whether a version matches: `2.28.3` matches `2.28` (any patch) and `2.28.3`; `2.28` does not match `2.2`."""
    return version == wanted or version.startswith((f"{wanted}.", f"{wanted}-"))


def _versions(found: Extension, section: Timescale) -> Judgement:
    readings = tuple(
        Reading(
            f"timescaledb in {database}",
            version or "not installed",
            limit=section.version,
            ok=version is not None and matches(version, section.version),
        )
        for database, version in found.versions.items()
    )
    said = Collector(confirmed=True)
    said.read(*readings)
    for database, version in found.versions.items():
        if version is None:
            said.wrong(
                f"the database {database} has no timescaledb extension: CREATE EXTENSION timescaledb there"
            )
        elif not matches(version, section.version):
            said.wrong(
                f"timescaledb is {version} in the database {database}, expected {section.version}: ALTER EXTENSION "
                "timescaledb UPDATE as the first statement of a new session (psql -X), or correct the inventory"
            )
    for database, why in found.unseen.items():
        said.unknown(f"the version in {database} is unknown: {why}")
    versions = ", ".join(sorted({v for v in found.versions.values() if v}))
    return said.judgement(
        lambda: f"timescaledb {versions} in {', '.join(found.versions)} on PostgreSQL {found.server_version}"
    )


def _licence(found: Extension, section: Timescale) -> Judgement:
    if found.license is None:
        return Judgement(
            Verdict.FAIL,
            f"the server does not know timescaledb.license: the library is not loaded; {_STEP}",
            (Reading("timescaledb.license", None, limit=section.license, ok=False),),
        )
    good = found.license == section.license
    reading = Reading("timescaledb.license", found.license, limit=section.license, ok=good)
    if good:
        return Judgement(Verdict.PASS, f"licence {found.license}", (reading,))
    lost = (
        ": policies, continuous aggregates and compressed chunks do not work under it"
        if found.license == "apache"
        else ""
    )
    return Judgement(
        Verdict.FAIL,
        f"timescaledb.license is {found.license}, expected {section.license}{lost}; set it in postgresql.conf and reload (an "
        "Apache build of the package has no other)",
        (reading,),
        confirmed=True,
    )


def _runs(found: Extension, section: Timescale) -> Judgement:
    if section.scheduler is not None:
        if found.schedule is None:
            return Judgement(Verdict.INCONCLUSIVE, "the outside scheduler that runs the jobs was not checked")
        judged = judge_schedule("TimescaleDB's jobs (run_job)", found.schedule)
        if judged.verdict is Verdict.PASS:
            return judged
        said = f"nothing runs TimescaleDB's jobs: {judged.reason}"
        return Judgement(judged.verdict, said, judged.readings, judged.notes)
    if found.workers is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            "whether TimescaleDB's background workers run is unknown: GRANT pg_read_all_stats (or pg_monitor) to the "
            "gate's role",
        )
    lacking = [kind for kind in ("Launcher", "Scheduler") if not any(w.endswith(kind) for w in found.workers)]
    readings = tuple(
        Reading(f"background worker {kind.lower()}", "missing" if kind in lacking else "runs", limit="runs", ok=kind not in lacking)
        for kind in ("Launcher", "Scheduler")
    )  # fmt: skip
    if lacking:
        return Judgement(
            Verdict.FAIL,
            f"nothing runs TimescaleDB's jobs: no {' and no '.join(w.lower() for w in lacking)} among the background workers "
            f"of this database; after a restore run SELECT timescaledb_post_restore(); {_STEP}",
            readings,
            confirmed=True,
        )
    return Judgement(Verdict.PASS, "launcher and scheduler run", readings)


def _others(found: Extension, expected: Expected) -> Judgement:
    """Judge jobs that no section names: actions of the platform, and policies that are not in the inventory."""
    outside = expected.section.scheduler is not None
    others = [
        j for j in found.jobs if (j.proc, j.table) not in expected.judged_elsewhere and j.proc not in _OWN
    ]
    if not others:
        return Judgement(Verdict.PASS, "")
    said = Collector(confirmed=True)
    for job in others:
        about = f" of {job.table}" if job.table else ""
        health(job, found.now, outside_scheduler=outside).add_to(said, about)
    return said.judgement(lambda: f"{len(others)} other job{'s' if len(others) != 1 else ''}, none fails")


def _notes(found: Extension) -> Iterator[str]:
    newest = found.library
    for database, version in found.versions.items():
        if newest and version and newest != version:
            yield f"the server has timescaledb {newest} installed, {database} is still at {version}"
    for job in _housekeeping(found):
        yield f"{job.name}, TimescaleDB's own housekeeping, last ended with status {job.status}: {job.error or 'see the log'}"
    if found.workers and found.max_workers and found.max_processes:
        needed = found.max_workers + 3
        if found.max_processes < needed:
            yield (
                f"max_worker_processes is {found.max_processes}, timescaledb.max_background_workers {found.max_workers}: "
                f"under load jobs wait; at least {needed} plus the parallel workers are recommended"
            )


def _housekeeping(found: Extension) -> list[Job]:
    return [job for job in found.jobs if job.proc in _OWN[1:] and job.status == "Failed"]
