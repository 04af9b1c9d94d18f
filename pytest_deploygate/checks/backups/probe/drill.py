"""The restore drill: the newest backup, restored to a scratch server, recovered to a marker, compared with its source.

It reads the source and writes one marker row; otherwise it never touches the production server. What it finds wrong with
the backup is in the record. What prevents the attempt (no space, no programs, no permission) is CannotTell.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pytest_deploygate.checks.backups.facts import BackupSet, Mark, RestoreFacts
from pytest_deploygate.checks.backups.probe import archiving, contents, dump_drill, scratch, source
from pytest_deploygate.checks.backups.probe.scratch import Instance, Programs
from pytest_deploygate.checks.backups.probe.seen import Backups
from pytest_deploygate.checks.backups.probe.source import Facts, Marked
from pytest_deploygate.checks.backups.section import Scratch
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.clients.host.place import Place
from pytest_deploygate.clients.own_lag import Lag
from pytest_deploygate.clients.postgres import beside
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.drills import record as drills
from pytest_deploygate.model import CannotTell

Record = drills.Record[RestoreFacts]
Evidence = drills.Evidence[RestoreFacts]
#: WAL that a recovering server holds at a time, in addition to its data.
_MOST_WAL_BYTES = 1024**3
_ITEM = "db.restore"
# The cause is this host, not the backup.
_OURS = (
    "No space left on device",
    "Permission denied",
    "not found",
    "cannot execute",
    "could not access file",
)


def restore_drill(cluster: Cluster, backups: Backups, budget: Budget | None = None) -> Evidence:
    """Run the drill, once per run, if the inventory names a scratch place; else return the record of the last one.

    It draws on `budget`; left out, on one that is in no ledger. Raises CannotTell if it could not be tried.
    """
    if backups.criteria.scratch is not None:
        drawn = budget or budgets.unrecorded(_ITEM)
        return backups.once("drill", lambda: _drilled(cluster, backups, drawn))
    return _evidence(backups, configuration(cluster, backups, source.facts(cluster).major))


def rehearsed(backups: Backups) -> Evidence:
    """Return the record of the last drill or rehearsal, this run's included. Disaster recovery relies on it.

    A rehearsal by people names no configuration, so none is compared. Never raises: that there is no usable
    record is a value of the evidence.
    """
    return _evidence(backups, None)


def configuration(cluster: Cluster, backups: Backups, major: int) -> dict[str, str]:
    """Return what a drill's result depends on, without addresses."""
    return {"database": cluster.settings.name, "tool": backups.tool.name, "version": str(major)}


def _evidence(backups: Backups, about: dict[str, str] | None, ran: Record | None = None) -> Evidence:
    return drills.evidence(
        backups.criteria.record,
        RestoreFacts,
        ran=ran,
        configuration=about,
        environment=backups.environment,
    )


def _drilled(cluster: Cluster, backups: Backups, budget: Budget) -> Evidence:
    facts = source.facts(cluster)
    about = configuration(cluster, backups, facts.major)
    found = _Drill(cluster, backups, facts, about, budget).run()
    if backups.criteria.record:
        drills.write(backups.criteria.record, found)
    return _evidence(backups, about, found)


class _Drill:
    """One drill, step by step; `record` grows with it, and its outcome is the step that failed."""

    def __init__(
        self, cluster: Cluster, backups: Backups, facts: Facts, about: dict[str, str], budget: Budget
    ) -> None:
        self.budget = budget
        self.cluster, self.backups, self.facts = cluster, backups, facts
        self.criteria: Scratch = backups.criteria.scratch  # type: ignore[assignment]
        self.tool = backups.tool
        self.place = Place(
            self.criteria.host, self.criteria.user or backups.criteria.user, self.tool.place.env
        )
        self.began = time.monotonic()
        self.record: Record = drills.made(RestoreFacts(), "", about, environment=backups.environment)

    def run(self) -> Record:
        """Run the drill. Raises CannotTell before anything is created if it cannot be tried."""
        newest, folder = self._newest(), str(self.criteria.folder)
        self._not_root()
        programs = scratch.programs(self.place, str(self.criteria.programs or ""), self.facts.major)
        swept = scratch.sweep(self.place, folder)
        scratch.room(self.place, folder, self._needed(newest), self.criteria.spare)
        self._now(backup=newest.label, backup_finished=newest.finished, swept=swept)
        if not self.tool.recovers:
            with Instance(self.place, folder) as instance, self._watched(instance, newest):
                told = dump_drill.drill(self.cluster, self.backups, newest, instance, programs, self.place)
            self._end(told.outcome, told.reason)
            return self._now(**told.facts, total_s=round(time.monotonic() - self.began, 3))
        with (
            beside.asking(self.cluster) as answers,
            self.budget.probe("source of the restore", control=answers, connects=False) as spending,
        ):
            spending.take(opens=0)
            marked = source.marked(self.cluster, self.backups, self.criteria.table_size)
        self._now(marker_at=marked.mark.at, left=self._left(marked))
        self._now(rpo_s=self._rpo_s(marked))
        if marked.archived_s is None:
            when = f"{marked.mark.at:%H:%M:%S} UTC"
            self._failed(
                "marker",
                f"the marker of {when} cannot be restored",
                f"its segment {marked.mark.segment} is not archived",
            )
            return self._now(total_s=round(time.monotonic() - self.began, 3))
        with (
            Instance(self.place, folder) as instance,
            self._watched(instance, newest),
            own_lag.watching() as lag,
        ):
            self._restore(instance, programs, newest, marked, lag)
        return self._now(total_s=round(time.monotonic() - self.began, 3))

    @contextlib.contextmanager
    def _watched(self, instance: Instance, newest: BackupSet) -> Iterator[None]:
        """Restore in the block, on the budget; the folder must be gone afterwards."""
        with (
            beside.asking(self.cluster) as answers,
            self.budget.probe("restore", control=answers, connects=False) as spending,
        ):
            spending.leaves(f"{instance.root} on {self.place.name}", instance.gone)
            spending.expects(newest.size_bytes)
            spending.take(opens=0)
            yield
            spending.give(closes=0, received_bytes=newest.size_bytes)

    def _newest(self) -> BackupSet:
        sets = self.backups.listed()
        if not sets:
            raise CannotTell(f"{self.tool.name} has no backup to restore: take a full one")
        return sets[-1]

    def _not_root(self) -> None:
        if self.place.whoami == "root":
            raise CannotTell(
                f"PostgreSQL refuses to run as root, and we are root on {self.place.name}: name another user with "
                "`backup.scratch.user` (the one that the backup tool runs as)"
            )

    def _needed(self, newest: BackupSet) -> int:
        return newest.size_bytes + min(_MOST_WAL_BYTES, newest.size_bytes + 8 * 16 * 1024**2)

    def _left(self, marked: Marked) -> tuple[str, ...]:
        others = f"databases not compared: {self.facts.other_databases}"
        return (*marked.chosen.left_out, *([others] if self.facts.other_databases else []))

    def _rpo_s(self, marked: Marked) -> float | None:
        """Return the most that could be lost; None if there is no bound."""
        now = archiving.state(self.cluster)
        if now.streamed_lag_s is not None:
            return round(now.streamed_lag_s, 3)
        if marked.archived_s is None or not now.timeout_s:
            return None
        return round(now.timeout_s + marked.archived_s, 3)

    def _restore(
        self, instance: Instance, programs: Programs, newest: BackupSet, marked: Marked, lag: Lag
    ) -> None:
        began = time.monotonic()
        done = self.tool.restore(newest, instance.data, self.place)
        if done.code:
            self._failed("restore", f"{self.tool.name} could not restore {newest.label}", done.said)
            return
        self._now(copied_s=round(time.monotonic() - began, 3))
        command = self.backups.criteria.restore_command or self.tool.restore_command(instance.data)
        started = instance.start(programs, self._settings(instance, marked.mark, command), recover=True)
        if started.code:
            self._failed("start", "the restored server does not start", instance.log() or started.said)
            return
        if not self._recovered(instance, programs, marked.mark):
            return
        elapsed = time.monotonic() - began
        self._now(
            rto_s=round(elapsed, 3),
            recovered_s=round(elapsed - (self.record.facts.copied_s or 0.0), 3),
            lag=lag.since(began),
        )
        began = time.monotonic()
        if self._isolated(instance, programs) and self._compared(instance, programs, marked):
            self._indexes(instance, programs)
        self._now(compared_s=round(time.monotonic() - began, 3))
        if not self.record.outcome:
            self._end(drills.GOOD)

    def _settings(self, instance: Instance, mark: Mark, restore_command: str) -> dict[str, str]:
        """Return the scratch server's configuration: no archiving, no network, no upstream, read-only."""
        position = f"{mark.position >> 32:X}/{mark.position & 0xFFFFFFFF:X}"
        return base_settings(instance, self.facts) | {
            "restore_command": restore_command,
            "recovery_target_lsn": position,
            "recovery_target_timeline": "latest",
            "recovery_target_action": "pause",
            "hot_standby": "on",
        }

    def _recovered(self, instance: Instance, programs: Programs, mark: Mark) -> bool:
        """Wait for the pause at the marker and look for its row."""
        paused = "pg_get_wal_replay_pause_state()" if self.facts.major >= 14 else (
            "CASE WHEN pg_is_wal_replay_paused() THEN 'paused' ELSE 'replaying' END"
        )  # fmt: skip
        bound_s = max(10.0, self.criteria.patience_s - (time.monotonic() - self.began))
        database = self.cluster.settings.name
        role = self.facts.superuser
        done = instance.wait_paused(programs, role, database, f"SELECT {paused}", bound_s)
        if done.code:
            what = "ended before" if done.code == 7 else "did not reach"
            late = "" if done.code == 7 else f" within {bound_s:.0f} s"
            when = f"{mark.at:%H:%M:%S} UTC (segment {mark.segment})"
            self._failed("marker", f"recovery {what} the marker of {when}{late}", instance.log())
            return False
        schema, table = mark.table.split(".", 1)
        query = f"SELECT count(*) FROM {_quoted(schema)}.{_quoted(table)} WHERE run = '{mark.run}'"  # noqa: S608 (ours)
        row = instance.psql(programs, role, database, query, 60)
        self._now(marker_found=row.code == 0 and row.output.strip() == "1")
        if not self.record.facts.marker_found:
            self._failed(
                "marker",
                f"the marker row of {mark.at:%H:%M:%S} UTC is not in the restored database",
                row.said,
            )
        return bool(self.record.facts.marker_found)

    def _isolated(self, instance: Instance, programs: Programs) -> bool:
        """Check on the restored server that it is unreachable, archives nothing, and is in recovery."""
        names = (
            "listen_addresses",
            "archive_mode",
            "primary_conninfo",
            "transaction_read_only",
            "in_hot_standby",
        )
        shown = ", ".join(f"current_setting('{name}', true)" for name in names)
        done = instance.psql(
            programs,
            self.facts.superuser,
            self.cluster.settings.name,
            f"SELECT {shown}, pg_is_in_recovery()",
            60,
        )
        values = dict(zip((*names, "in_recovery"), done.output.rstrip("\n").split("\t"), strict=False))
        self._now(isolation=values)
        good = values.get("listen_addresses") == "" and values.get("archive_mode") == "off"
        good = good and values.get("primary_conninfo") == "" and values.get("in_recovery") == "t"
        if not good:
            self._failed("isolation", "the restored server is not isolated", str(values or done.said))
        return good

    def _compared(self, instance: Instance, programs: Programs, marked: Marked) -> bool:
        bound_s = max(60.0, self.criteria.patience_s)
        done = instance.psql(
            programs, self.facts.superuser, self.cluster.settings.name, marked.script, bound_s
        )
        if done.code:
            self._failed("contents", "the restored database cannot be read", done.said)
            return False
        found = contents.compare(marked.before, marked.after, contents.parse(done.output), marked.chosen)
        self._now(
            tables=found.tables, rows=found.rows, differs=found.differs, uncertain_rows=found.uncertain_rows,
            catalog_lines=found.catalog_lines, catalog_differs=found.catalog_differs, sampled=found.sampled,
        )  # fmt: skip
        if found.differs or found.catalog_differs:
            lines = (*found.differs, *found.catalog_differs)
            self._failed("contents", "the restored database differs from its source", "; ".join(lines[:4]))
        return True

    def _indexes(self, instance: Instance, programs: Programs) -> None:
        if not self.criteria.amcheck:
            return
        if self.facts.amcheck_schema is None:
            self._now(
                index_problem=f"amcheck is not installed in database {self.cluster.settings.name}: CREATE EXTENSION amcheck"
            )
            return
        query = _INDEXES.format(schema=_quoted(self.facts.amcheck_schema))
        done = instance.psql(
            programs,
            self.facts.superuser,
            self.cluster.settings.name,
            query,
            self.criteria.patience_s,
        )
        checked = [line for line in done.output.splitlines() if line.startswith("i")]
        self._now(indexes=len(checked))
        if done.code:
            self._failed(
                "indexes", f"amcheck found a damaged index after {len(checked)} sound ones", done.said
            )

    def _failed(self, step: str, what: str, said: str) -> None:
        """End the record with a step's failure. Raises CannotTell if the cause is the scratch host, not the backup."""
        if step in ("restore", "start") and any(words in said for words in _OURS):
            raise CannotTell(f"{what} on {self.place.name}, because of that host: {said}")
        if not self.record.outcome:
            self._end(step, f"{what}: {said}" if said else what)

    def _end(self, outcome: str, reason: str = "") -> None:
        self.record = replace(self.record, outcome=outcome, reason=reason)

    def _now(self, **facts: Any) -> Record:
        self.record = self.record.found(**facts)
        return self.record


_INDEXES = """
SET statement_timeout = 0;
SELECT 'i', c.oid::regclass, {schema}.bt_index_check(c.oid::regclass, pg_relation_size(c.oid) < 134217728)::text
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
WHERE a.amname = 'btree' AND i.indisvalid AND i.indisready AND c.relkind = 'i' AND c.relpersistence = 'p'
"""


def base_settings(instance: Instance, facts: Facts) -> dict[str, str]:
    """Return what every scratch server has: its own folder, a unix socket, no archiving, no background work."""
    return {
        "data_directory": instance.data,
        "hba_file": f"{instance.root}/hba.conf",
        "ident_file": f"{instance.root}/ident.conf",
        "unix_socket_directories": instance.sockets,
        "unix_socket_permissions": "0700",
        "listen_addresses": "",
        "port": "5432",
        "archive_mode": "off",
        "primary_conninfo": "",
        "synchronous_standby_names": "",
        "shared_buffers": "64MB",
        "autovacuum": "off",
        "logging_collector": "off",
        "cluster_name": "deploygate restore drill",
        "timezone": "UTC",
        "log_timezone": "UTC",
        **facts.at_least,
        **({"shared_preload_libraries": facts.libraries} if facts.libraries else {}),
        **({"timescaledb.max_background_workers": "0"} if "timescaledb" in (facts.libraries or "") else {}),
    }


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
