"""The backups of an inventory as one run sees them: the tool is queried once for all tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar, cast

from pytest_deploygate.checks.backups.facts import BackupSet, Live, Repository, Verified
from pytest_deploygate.checks.backups.probe.dump_lacking import lacking
from pytest_deploygate.checks.backups.probe.named_tool import tool
from pytest_deploygate.checks.backups.probe.pg_dump import PgDump
from pytest_deploygate.checks.backups.probe.tools import Tool
from pytest_deploygate.checks.backups.section import Backup
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell, NotReached

T = TypeVar("T")


class Backups:
    """The `backup` section with its tool. Answers are remembered, and so are failures to answer.

    `time_columns` names the time column of tables (schema.name) whose older rows no longer change: a restored dump is
    compared by those rows if newer ones were written since. `environment` is the inventory's name, `cluster` what should
    be in the backups (None: the inventory names no database).
    """

    def __init__(
        self,
        criteria: Backup,
        time_columns: Mapping[str, str] | None = None,
        environment: str = "",
        cluster: Cluster | None = None,
    ) -> None:
        self.criteria, self.environment, self.cluster = criteria, environment, cluster
        self.time_columns = dict(time_columns or {})
        self.tool: Tool = tool(criteria)
        self._answers: dict[str, object] = {}
        self._lock = threading.RLock()

    def once(self, subject: str, ask: Callable[[], T]) -> T:
        """Return the answer of the first call; CannotTell is remembered and raised again."""
        with self._lock:
            if subject not in self._answers:
                try:
                    self._answers[subject] = ask()
                except CannotTell as unknown:
                    self._answers[subject] = unknown
            answer = self._answers[subject]
        if isinstance(answer, CannotTell):
            raise type(answer)(str(answer))
        return cast("T", answer)

    def listed(self) -> tuple[BackupSet, ...]:
        """Return the usable backups, oldest first. Raises CannotTell."""
        return self.once("list", self.tool.backups)

    def live(self) -> Live | None:
        """Return what identifies the cluster that should be in the backups; None without one."""
        if self.cluster is None:
            return None
        cluster = self.cluster
        try:
            query = "SELECT system_identifier::text FROM pg_control_system()"
            found = self.once("live", lambda: str(cluster.value(cluster.primary, query)))
        except CannotTell as unknown:
            return Live(cluster.settings.name, problem=str(unknown))
        return Live(cluster.settings.name, found)

    def forget(self) -> None:
        """Drop what is remembered: a backup was taken."""
        with self._lock:
            self._answers.clear()


def repository(backups: Backups) -> Repository:
    """Read the repository. That it cannot be reached is a value: if backups are expected, it is a finding."""
    now = datetime.now(UTC)
    made, place = backups.tool, backups.tool.place
    try:
        sets = backups.listed()
        store = backups.once("store", made.store)
    except CannotTell as unknown:
        ours = isinstance(unknown, NotReached)
        return Repository(made.name, place.name, now, unreachable=str(unknown), ours=ours)
    live = backups.live() if sets else None
    full = [each for each in sets if each.full]
    return Repository(
        made.name,
        place.name,
        now,
        sets[-1] if sets else None,
        full[-1] if full else None,
        len(full),
        store,
        live=live,
    )


def verified(backups: Backups, *, full: bool) -> Verified:
    """Have the tool check the newest backup (the newest full one with `full`). Raises CannotTell."""
    now = datetime.now(UTC)
    sets = [each for each in backups.listed() if each.full or not full]
    if not sets:
        return Verified(backups.tool.name, now, None, None)
    try:
        found = backups.once(f"verify {sets[-1].label}", lambda: backups.tool.verify(sets[-1]))
        unsure = ""
        if isinstance(backups.tool, PgDump) and backups.cluster is not None and not found.problems:
            lacks, unsure = lacking(backups.cluster, backups.tool.listing(sets[-1]))
            found = replace(found, problems=(lacks,) if lacks else ())
    except CannotTell as unknown:
        return Verified(backups.tool.name, now, sets[-1], None, str(unknown), backups.live())
    problem = f"{unsure}: made since, or left out" if unsure else ""
    return Verified(backups.tool.name, now, sets[-1], found, problem, backups.live())
