"""One attempt at a quick fix: dry run, execution, a new measurement; undone if the re-run is still red."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from pytest_deploygate.checks.way_back.section.rollback import QuickFix, Rerun, Rollback
from pytest_deploygate.clients.host import commands
from pytest_deploygate.clients.host.commands import Ran
from pytest_deploygate.decision.incidents import Incident, State, Times
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.rollback.hooks import Hooks


class NoFix(Exception):  # noqa: N818 (it is an answer, not an error)
    """No quick fix can be tried; the text says why."""


@dataclass(frozen=True)
class Tried:
    """Results of the commands of a fix, in order; the first problem stops the rest."""

    fix: str
    ran: tuple[Ran, ...]

    @property
    def problem(self) -> str:
        """What went wrong, or nothing."""
        return next((f"`{ran.command}` {ran.problem}" for ran in self.ran if ran.problem), "")


def choose(section: Rollback, hooks: Hooks, incident: Incident, times: Times, name: str | None) -> QuickFix:
    """Return the fix to try: the one named, else the first for the incident's items. Raises NoFix."""
    if incident.state not in (State.ASSESSING, State.HELD):
        raise NoFix(
            f"{incident.id} is {incident.state.value}: a quick fix can be tried only while it is assessed or held"
        )
    if incident.fixes >= times.fixes:
        raise NoFix(
            f"{incident.fixes} of {times.fixes} quick fixes were tried: the policy allows no more; make a decision"
        )
    offered = hooks.ask("pytest_deploygate_quickfix", items=incident.items) or []
    fixes: list[QuickFix] = [*section.quick_fixes, *(fix for fix in offered if fix)]
    if name is not None:
        found = [fix for fix in fixes if fix.name == name]
        if not found:
            raise NoFix(
                f"no quick fix is named {name!r}; known: {', '.join(f.name for f in fixes) or 'none'}"
            )
        return found[0]
    fit = [
        fix for fix in fixes if any(fnmatchcase(item, one) for one in fix.items for item in incident.items)
    ]
    if not fit:
        raise NoFix(f"no quick fix covers {', '.join(incident.items)}: make a decision")
    return fit[incident.fixes % len(fit)]


def attempt(fix: QuickFix) -> Tried:
    """Do the dry run, then the fix; if the dry run fails, nothing is done."""
    within_s = fix.within.total_seconds()
    looked = commands.run(fix.dry_run, within_s=within_s)
    if looked.problem:
        return Tried(fix.name, (looked,))
    return Tried(fix.name, (looked, commands.run(fix.run, within_s=within_s)))


def take_back(fix: QuickFix) -> Ran:
    """Undo it."""
    return commands.run(fix.undo, within_s=fix.within.total_seconds())


def to_rerun(items: Sequence[str], rerun: Rerun, hooks: Hooks) -> tuple[str, ...]:
    """Return what a re-run must measure: the red items, those that depend on them, and the invariants."""
    theirs = hooks.ask("pytest_deploygate_rerun", items=items)
    if theirs:
        return tuple(dict.fromkeys([*items, *theirs]))
    found = list(items)
    while more := [
        item for item, needs in rerun.depends.items() if item not in found and set(needs) & set(found)
    ]:
        found += more
    return tuple(dict.fromkeys([*found, *rerun.invariants]))
