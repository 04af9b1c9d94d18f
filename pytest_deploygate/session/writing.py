"""The process that writes the journal: findings as they come, the live line, and the decision at the end."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_deploygate.decision.rules import EXIT_INCOMPLETE
from pytest_deploygate.journal import JournalError
from pytest_deploygate.problems import one_line
from pytest_deploygate.session import outcome, spending
from pytest_deploygate.session.progress import PROGRESS, Progress, terminal_of

if TYPE_CHECKING:
    from pytest_deploygate.report.record import Record
    from pytest_deploygate.session.run import Run

#: The run, and its record once it has ended; workers and starts that only show something have none.
RUN: pytest.StashKey[Run] = pytest.StashKey()
RECORD: pytest.StashKey[Record] = pytest.StashKey()
#: The exit code of the run: the decision's, or pytest's own.
CODE = pytest.StashKey[int]()
#: Why there is no record: the journal has entries that cannot be read.
UNREADABLE = pytest.StashKey[str]()


class Writing:
    """Hooks of the process that writes the journal, registered while a run lasts."""

    def __init__(self, config: pytest.Config, run: Run) -> None:
        self.config = config
        self.run = run

    @cached_property
    def _alone(self) -> bool:
        """Whether tests run in this process, not in workers of pytest-xdist. Known once all plugins are configured."""
        return not self.config.pluginmanager.has_plugin("dsession")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Start the live line on a terminal."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        quiet = reporter is not None and self.config.option.verbose == 0
        stream = terminal_of(self.config) if quiet else None
        if stream is not None and reporter is not None:
            reporter.showfspath = False
            progress = self.config.stash[PROGRESS] = Progress(stream)
            progress.start(len(session.items) if hasattr(session, "items") else 0)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count a file that cannot be collected as missing evidence: what it would have measured is unknown."""
        if report.failed:
            self.run.lost.append(
                f"{one_line(report.nodeid) or 'the suite'} could not be collected: what it would have measured is unknown"
            )

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Show what runs now."""
        if progress := self.config.stash.get(PROGRESS, None):
            progress.begin(nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Journal a test's findings; stop the run if the journal can no longer be written."""
        self._stop(self.run.record(report))
        progress = self.config.stash.get(PROGRESS, None)
        if progress and (report.when == "call" or (report.when == "setup" and not report.passed)):
            progress.end(report.nodeid, getattr(report, outcome.VERDICT, report.outcome))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Let a test begin when the findings of the one before are on the disk, which took them while that was torn down.

        Workers of pytest-xdist do not wait: a slow disk is waited for once for the findings of many of them.
        """
        if self._alone and (lost := self.run.settle()):
            self._stop(lost)
            raise item.session.Interrupted(lost)

    def _stop(self, lost: str | None) -> None:
        """Stop the run if evidence was lost."""
        session = self.config.pluginmanager.get_plugin("session")
        if lost and session is not None:
            session.shouldstop = lost
            self.run.stopped = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Decide, write the results, and set the exit code."""
        if progress := self.config.stash.get(PROGRESS, None):
            progress.close()
        try:
            record = self.config.stash[RECORD] = self.run.finish(interrupted=int(exitstatus) in (2, 3))
        except JournalError as error:
            # An entry of earlier runs cannot be read: what this run found is recorded, and decides nothing.
            self.config.stash[UNREADABLE] = str(error)
            session.exitstatus = EXIT_INCOMPLETE
            return
        finally:
            silences(self.run.settings.out, self.run.id).unlink(missing_ok=True)
            spending.remove(self.run.settings.out, self.run.id)
        if record.decision is not None:
            # If we stopped the run ourselves (a full disk), pytest calls it interrupted; the decision's exit code is 25.
            status = 1 if self.run.stopped and int(exitstatus) == 2 else int(exitstatus)
            session.exitstatus = self.run.exit_code(record.decision, status)
        self.config.stash[CODE] = int(session.exitstatus)


def silences(out: Path, run: str) -> Path:
    """Return the file in which the workers of a run tell each other which places are silent."""
    return out / f".silent-{run}.jsonl"
