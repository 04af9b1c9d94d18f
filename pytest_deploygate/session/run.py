"""One run of the gate in the process that writes: its journal segment, its decision, its result files."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate import journal
from pytest_deploygate.checklist import ticked
from pytest_deploygate.decision import (
    condensed,
    incident_log,
    rules,
    standing,
    unfinished,
)
from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.files import write_whole
from pytest_deploygate.journal import Entry, JournalError, Writer, utcnow
from pytest_deploygate.judging.spending import KIND as SPENT
from pytest_deploygate.model import Decision, Outcome
from pytest_deploygate.report import from_journal, results
from pytest_deploygate.report.record import Record
from pytest_deploygate.rollback.hooks import Hooks
from pytest_deploygate.session import (
    bound,
    closing,
    declared,
    died,
    evidence,
    incident,
    kept,
    outcome,
    spending,
    taking_part,
)
from pytest_deploygate.session.bound import Collected
from pytest_deploygate.session.change_state import read as read_change_state
from pytest_deploygate.session.run_line import run_line
from pytest_deploygate.session.settings import STOP, Settings
from pytest_deploygate.signoff import aside


class Run:
    """A segment of the change's journal during the run.

    `declared` are the bound test functions in the suite's files, by name, with their items; `declared_sources` the digests
    of these files, by the beginning of their tests' names. `kept` are the tests that
    `--resume` takes over from the last run: they are not run again.
    """

    def __init__(
        self,
        settings: Settings,
        declared_tests: dict[str, tuple[str, ...]],
        declared_sources: dict[str, str],
        plugins: pytest.PytestPluginManager,
        shards: Sequence[Mapping[str, Any]] = (),
        *,
        lines: Mapping[str, Any] | None = None,
    ) -> None:
        """Begin a segment; `shards` are those whose findings it takes over. Raises JournalError if the folder is locked, damaged or not writable."""
        self.settings = settings
        self.hooks = Hooks(plugins, self._complain)
        self.complaints: list[str] = []
        self.id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        self.declared = declared_tests
        self.lost: list[str] = []
        self._died: dict[str, str] = {}
        self._seen: dict[str, set[str]] = {}
        self.others: dict[str, None] = {}
        self.stopped = False
        self.written = False
        self.moved_aside = _move_aside(settings.out) if settings.fresh else None
        self._bound_known = False
        self._writer = Writer(settings.out, settings.inventory.policy.file_mode)
        if any(entry.kind == unfinished.ROLLBACK for entry in self._writer.entries):
            from pytest_deploygate.rollback import finishing  # noqa: PLC0415 (only for changes that went back)

            finishing.finish(self._writer, self.hooks)
        if wrong := _of_another_kind(self._writer.entries, settings):
            self._writer.close()
            raise JournalError(wrong)
        self._inputs = kept.inputs(settings, declared_sources)
        found = kept.keep(settings, self._writer.entries, self._inputs) if settings.resume else kept.NOTHING
        self.kept, self.why_not_kept = found.tests, found.why_not
        self.change_state = read_change_state(settings)
        begin = run_line(settings, self.id, self.kept, self._inputs, self.change_state)
        self._writer.append("run", {**begin, "lines": lines or {}, **({"shards": shards} if shards else {})})

    def know(self, collected: Collected) -> None:
        """Journal the bound tests: those collected, and those that the command line left out.

        A shard leaves to `deploygate merge` what is judged when a run closes, and all but the first what was not
        collected at all.
        """
        tests = [(each.test, each.items) for each in collected.tests]
        shard = self.settings.shard
        if shard is None or shard.index == 1:
            seen = [*(each.test for each in collected.tests), *collected.elsewhere]
            tests += declared.left_out(self.declared, seen).items()
        if shard is None:
            tests += closing.declared(self.settings).items()
        more = {"division": collected.division, "disruptive": collected.disruptive} if shard else {}
        self._bound_known = True
        self._append("bound", {"run": self.id, "tests": tests, **more})

    def take_over(self, lines: Iterable[tuple[str, Mapping[str, Any]]]) -> list[journal.Entry]:
        """Journal what shards have recorded, kinds and bodies of lines; return the entries. Raises JournalError."""
        return self._writer.append_all((kind, {**body, "run": self.id}) for kind, body in lines)

    def record(self, report: pytest.TestReport) -> str | None:
        """Journal the findings of a test report, without waiting for the disk. Returns a sentence if evidence was lost."""
        if report.passed and not hasattr(report, outcome.FINDINGS):
            return None  # two of three reports of a test
        if lost := getattr(report, outcome.LOST, None):
            self.lost.append(lost)
            return str(lost)
        found, test = getattr(report, outcome.FINDINGS, None), bound.plain_id(report.nodeid)
        if died.died(report):
            self._died[test] = " ".join(str(report.longrepr).split())
        if found is None:
            if report.failed:
                self.others[test] = None
        else:
            self._know_from_workers()
            self._seen.setdefault(test, set()).update(finding["item"] for finding in found)
        found = [*(found or ()), *self._lost_with_its_process(test)]
        return (
            self._append("test", {"run": self.id, "test": test, "findings": found}, wait=False)
            if found
            else None
        )

    def settle(self) -> str | None:
        """Wait until the disk has all findings so far. Returns a sentence if evidence was lost."""
        try:
            self._writer.settle()
        except JournalError as error:
            self.lost.append(str(error))
            return str(error)
        return None

    def _lost_with_its_process(self, test: str) -> list[dict[str, Any]]:
        """Return findings about an attempt that died, once, if the test also has findings of another one."""
        if test not in self._died or test not in self._seen:
            return []
        return [
            journal.finding_to_json(finding)
            for finding in died.findings(test, self._seen[test], self._died.pop(test))
        ]

    def finish(self, *, interrupted: bool) -> Record:
        """Decide from the journal, journal the decision, and write the out folder's files."""
        self._know_from_workers()
        together = spending.together(self.settings.inventory)
        if ledger := spending.taken(self.settings.out, self.id, together):
            self._append(SPENT, {"run": self.id, **ledger})
        if self.settings.shard is None:
            for finding in closing.findings(self.settings, self._writer.entries, self.id):
                body = {
                    "run": self.id,
                    "test": finding.test,
                    "findings": [journal.finding_to_json(finding)],
                }
                self._append("test", body)
        bound_tests = standing.bound_tests(self._writer.entries, self.id) or {}
        if others := [test for test in self.others if test not in bound_tests]:
            self._append(standing.OTHERS, {"run": self.id, "failed": others})
        composed = standing.results(self._writer.entries)
        self._look_at_what_was_written(composed)
        red = incident.red(self._writer.entries, composed) if self.settings.shard is None else ()
        if red:
            self._look_around()
        decision = self._decide(composed)  # no line that follows changes the results
        self._append("decision", {"run": self.id, "decision": journal.decision_to_json(decision)})
        if self.settings.shard is None:
            self._ask_hooks(decision, red)
            decision = self._go_back(decision, composed)
        for kind, body in taking_part.sections(self.hooks):
            self._append(kind, {"run": self.id, **body})
        self._append("end", {"run": self.id, "interrupted": interrupted})
        self._condense()
        record = from_journal.build(self._writer.entries, composed)
        # Where the folder is another one by now, its results are not ours to overwrite.
        unwritten = self._altered() or _write_results(self.settings.out, record)
        self.written = unwritten is None
        if failed := unwritten or _tick(self.settings, record):
            self.lost.append(failed)
        self._altered()
        self._writer.close()
        # A failure to write cannot be in the journal, but must show in the exit code and on the terminal.
        return dataclasses.replace(record, decision=self._decide(composed)) if self.lost else record

    @staticmethod
    def exit_code(decision: Decision, pytest_status: int) -> int:
        """Return the exit code of the run: pytest's own 2 to 6 are kept, except 5 if items were expected."""
        return decision.exit_code if pytest_status in (0, 1, 5) else pytest_status

    def _condense(self) -> None:
        """Write a checkpoint if it is time for one, so that later runs need not read all of this."""
        if not condensed.due(self._writer.entries):
            return
        try:
            self._writer.checkpoint(condensed.condense(self._writer.entries))
        except JournalError as error:
            self.lost.append(str(error))

    def _altered(self) -> str | None:
        """Return what happened to the journal's file, if anything did; it is lost evidence then."""
        text = self._writer.altered()
        if text and text not in self.lost:
            self.lost.append(text)
        return text or None

    def _look_at_what_was_written(self, composed: Sequence[ItemResult]) -> None:
        """Look again at the journal and the evidence that the decision rests on: the folder is open to others."""
        if self._altered():
            return
        # Evidence without a path is in the journal.
        named = {e.path: e for r in composed if r.in_scope for f in r.findings for e in f.evidence if e.path}
        wrong = [path for path, one in named.items() if not evidence.intact(self.settings.out, one)]
        if wrong:
            more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            self.lost.append(f"evidence is missing or was altered: {', '.join(wrong[:3])}{more}; run again")

    def _look_around(self) -> None:
        """Journal what a rollback depends on now."""
        from pytest_deploygate.session import incident_actions  # noqa: PLC0415 (only for runs with an incident)

        for kind, body in incident_actions.circumstances(self.settings):
            self._append(kind, {"run": self.id, **body})

    def _ask_hooks(self, decision: Decision, red: Sequence[str]) -> None:
        """Journal incident events, act on expired deadlines, and call hooks for both."""
        new = incident.observed(self._writer.entries, decision, red)
        for event in new:
            self._append(incident_log.KIND, incident_log.to_json(event))
        if not incident_log.events(self._writer.entries):
            return
        from pytest_deploygate.session import incident_actions  # noqa: PLC0415 (only for runs with an incident)

        try:
            for kind, body in taking_part.opened(self._writer, self.settings.change, self.hooks, new):
                self._append(kind, {"run": self.id, **body})
            incident_actions.overdue(self._writer, self.settings, self.hooks)
            incident_actions.decided(self._writer, self.settings, decision, self.hooks)
        except JournalError as error:
            self.lost.append(str(error))

    def _complain(self, where: str, what: str) -> None:
        """Journal an error in a hook; it is printed too."""
        self.complaints.append(f"hook {where}: {what}")
        self._append("hook", {"run": self.id, "where": where, "what": what, "text": f"{where}: {what}"})

    def missing(self) -> list[str]:
        """Return the bound tests in scope without a finding so far, and what was lost."""
        gaps = standing.question(self._writer.entries, self.lost, utcnow()).evidence
        return [*gaps.silent, *gaps.lost]

    def _go_back(self, decision: Decision, composed: Sequence[ItemResult]) -> Decision:
        """Execute a decided rollback if that was requested; return the decision that holds afterwards."""
        if decision.outcome is not Outcome.ROLLBACK or not self.settings.execute_rollback:
            return decision
        from pytest_deploygate.session import incident_actions  # noqa: PLC0415 (only for runs that go back)

        try:
            line = incident_actions.gone_back(self.settings, self._writer, self.hooks)
        except JournalError as error:
            self.lost.append(str(error))
            return decision
        if line is None:
            return decision
        self._append(line[0], {"run": self.id, **line[1]})
        decision = self._decide(composed)
        self._append("decision", {"run": self.id, "decision": journal.decision_to_json(decision)})
        return decision

    def _decide(self, composed: Sequence[ItemResult]) -> Decision:
        return rules.decide(standing.question(self._writer.entries, self.lost, utcnow(), composed))

    def _append(self, kind: str, body: dict[str, Any], *, wait: bool = True) -> str | None:
        try:
            self._writer.append(kind, body, wait=wait)
        except JournalError as error:
            self.lost.append(str(error))
            return str(error)
        return None

    def _know_from_workers(self) -> None:
        """Under pytest-xdist, read the list of bound tests that the workers wrote."""
        if not self._bound_known and (found := bound.take_from_workers(self.settings.out, self.id)):
            self.know(found)


def _of_another_kind(entries: Sequence[Entry], settings: Settings) -> str:
    """Say why a run cannot go on in a folder: it has the runs of another shard, or whole ones; empty if it can."""
    last = next((entry.body.get("shard") for entry in reversed(entries) if entry.kind == "run"), None)
    mine = settings.shard
    if last is None and (mine is None or not entries):
        return ""
    if last is not None and mine is not None and (last["index"], last["of"]) == (mine.index, mine.of):
        return ""
    had = f"shard {last['index']} of {last['of']}" if last else "whole runs"
    return (
        f"{settings.out} has the journal of {had}, and this is {mine.words if mine else 'a whole run'}: "
        "each needs a folder of its own; leave --deploygate-out out, or name the folder of the change"
    )


def _move_aside(folder: Path) -> Path | None:
    """Rename a change's folder so that a new one can be created; return its new name."""
    if not folder.exists():
        return None
    aside = folder.with_name(f"{folder.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}")
    try:
        with journal.locked(folder):
            folder.rename(aside)
        if (aside / STOP).exists():  # a stop holds until a person removes it
            folder.mkdir()
            (aside / STOP).rename(folder / STOP)
    except OSError as error:
        raise JournalError(f"{folder} cannot be moved aside: {error.strerror}") from None
    return aside


def _tick(settings: Settings, record: Record) -> str | None:
    """Write the ticked checklist if requested. Return what went wrong."""
    if settings.ticked is None:
        return None
    mine = [result for result in record.items if result.in_scope]
    try:
        ticked.write(settings.checklist.file, settings.ticked, mine, utcnow())
    except (OSError, ticked.TickError) as error:
        return f"the ticked checklist {settings.ticked} cannot be written: {error}"
    return None


def _write_results(folder: Path, record: Record) -> str | None:
    """Write the result files, each completely or not at all. Return what went wrong."""
    try:
        aside.keep_signed(folder)
        for name, text in results.render(record).items():
            write_whole(folder / name, text)
    except OSError as error:
        return f"the results cannot be written to {folder}: {error.strerror}; free disk space and run again with --resume"
    return None
