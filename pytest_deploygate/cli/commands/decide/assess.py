"""`deploygate decide --quick-fix` and `--rerun`: apply a quick fix, and measure again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from pytest_deploygate import startup
from pytest_deploygate.checks.way_back import section as way_back
from pytest_deploygate.checks.way_back.section.rollback import QuickFix, Rollback
from pytest_deploygate.cli.shared import changes, journals
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.decision import incident_log
from pytest_deploygate.decision.incidents import Event, Incident, What
from pytest_deploygate.moments import present
from pytest_deploygate.redaction import redact
from pytest_deploygate.rollback import quickfix, situation
from pytest_deploygate.rollback.quickfix import NoFix, Tried

#: No run of a few items takes longer.
BOUND_S = 1800.0


def quick_fix(folder: Path, change: str, name: str | None) -> int:
    """Apply a fix, measure again, and revert the fix if the items are still red. Return the exit code of the re-run."""
    with changes.writing(folder) as writer:
        for event in changes.act_on_clocks(writer, folder):
            click.echo(f"{event.by}: {event.reason}")
    section, incident = _open(folder)
    try:
        times = situation.now(journals.read(folder)).times
        complaints = changes.Complaints()
        fix = quickfix.choose(section, changes.hooks_of_repository(complaints), incident, times, name)
        complaints.keep_in(folder)
    except NoFix as nothing:
        raise Refused(str(nothing)) from None
    _write(folder, incident, What.FIX_BEGUN, fix.name)
    click.echo(f"{fix.name}: `{redact(fix.dry_run)}`, then `{redact(fix.run)}`")
    tried = quickfix.attempt(fix)
    _write(folder, incident, What.FIX_DONE, tried.problem or "done")
    if tried.problem:
        click.echo(f"it did not work: {tried.problem}")
        return _back(folder, fix, tried, 1)
    code = rerun(folder, change)
    return code if code == 0 else _back(folder, fix, tried, code)


def rerun(folder: Path, change: str) -> int:
    """Run the red items again, with what depends on them and the invariants. Return pytest's exit code."""
    command, items = _rerun(folder, change)
    click.echo(f"measuring again: {', '.join(items)}")
    return subprocess.run(
        command, cwd=find_root(Path.cwd()), stdin=subprocess.DEVNULL, check=False, timeout=BOUND_S
    ).returncode


def begin_rerun(folder: Path, change: str) -> subprocess.Popen[bytes]:
    """Start such a run in the background, silently: its findings are in the journal."""
    command, _ = _rerun(folder, change)
    return subprocess.Popen(
        command,
        cwd=find_root(Path.cwd()),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _rerun(folder: Path, change: str) -> tuple[list[str], tuple[str, ...]]:
    section, incident = _open(folder)
    complaints = changes.Complaints()
    items = quickfix.to_rerun(incident.items, section.rerun, changes.hooks_of_repository(complaints))
    complaints.keep_in(folder)
    name = situation.now(journals.read(folder)).inventory
    command = [
        sys.executable, "-m", "pytest", *startup.first(), f"--deploygate-inventory={name}", f"--change={change}", f"--items={','.join(items)}",
        f"--deploygate-out={folder}", f"--override-freeze=deploygate: {incident.id} is measured again",
    ]  # fmt: skip
    return command, items


def _open(folder: Path) -> tuple[Rollback, Incident]:
    entries = journals.read(folder)
    incident = situation.now(entries).incident
    if incident is None or incident.over:
        raise Refused("there is no open incident in this change: nothing to fix")
    return changes.inventory_of(entries, None).inventory.of(way_back.Keys).rollback or Rollback(), incident


def _back(folder: Path, fix: QuickFix, tried: Tried, code: int) -> int:
    """Revert a fix that did not help; a dry run that failed has changed nothing."""
    if len(tried.ran) > 1:
        undone = quickfix.take_back(fix)
        said = (
            f"reverted by `{undone.command}`"
            if not undone.problem
            else f"could NOT be reverted: {undone.problem}"
        )
        click.echo(f"{fix.name}: {said}")
        with changes.writing(folder) as writer:
            writer.append("fix taken back", {"fix": fix.name, "said": said})
    return code


def _write(folder: Path, incident: Incident, what: What, reason: str) -> None:
    with changes.writing(folder) as writer:
        event = Event(incident.id, what, present(), "deploygate", reason=redact(reason))
        writer.append(incident_log.KIND, incident_log.to_json(event))
