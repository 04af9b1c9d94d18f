"""The record of the previous change: what was measured then, and what was already red."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pytest_deploygate import journal
from pytest_deploygate.checks.way_back.judge.baseline import BaselineSeen
from pytest_deploygate.checks.way_back.section.rollback import Rollback
from pytest_deploygate.decision import compose, standing
from pytest_deploygate.journal import JournalError, segments
from pytest_deploygate.model import Verdict

#: Verdicts that show an item was measured; a waived one was measured and was not good.
_MEASURED = (Verdict.PASS, Verdict.FAIL, Verdict.WAIVED, Verdict.ATTESTED)


def read(section: Rollback, own: Path) -> BaselineSeen | None:
    """Read the baseline named in the inventory; `own` is the change's folder. None if it names none.

    A missing journal, or one with a broken chain, is a `problem`: nothing in it counts.
    """
    if section.baseline is None:
        return None
    folder = section.baseline_folder or own.parent / section.baseline
    if folder.resolve() == own.resolve():
        return BaselineSeen(section.baseline, "it is this change itself")
    if not (folder / journal.FILE).is_file():
        return BaselineSeen(section.baseline, f"no journal in {folder}", missing=True)
    try:
        entries, _ = journal.read(folder)
        results = standing.results(entries)
        last = segments(entries)[-1]
        about = standing.frame(last.begin)
    except JournalError as error:
        return BaselineSeen(section.baseline, str(error))
    return BaselineSeen(
        change=section.baseline,
        inventory=about.inventory,
        at=last.started,
        measured=tuple(result.item.id for result in results if result.verdict in _MEASURED),
        red=tuple(r.item.id for r in results if r.verdict is Verdict.FAIL and compose.measured_red(r)),
        unclear=tuple(r.item.id for r in results if r.verdict is Verdict.INCONCLUSIVE and r.findings),
    )


def usable(section: Rollback, own: Path, inventory: str) -> BaselineSeen | None:
    """Read the baseline for a decision. One from another environment, or from after the cutover, is unusable."""
    found = read(section, own)
    if found is None or found.problem or found.at is None:
        return found
    if found.inventory != inventory:
        return replace(found, problem=f"it was measured on inventory {found.inventory!r}, not {inventory!r}")
    if section.cutover and found.at > datetime.fromisoformat(section.cutover):
        return replace(found, problem=f"it was measured after the cutover at {section.cutover}")
    return found


def words(found: BaselineSeen | None) -> str:
    """Describe a baseline for a decision."""
    if found is None:
        return "the inventory sets no rollback.baseline"
    if found.problem:
        return f"the baseline {found.change} cannot be used: {found.problem}"
    count = len(found.measured)
    return f"change {found.change}, {count} item{'' if count == 1 else 's'} measured"
