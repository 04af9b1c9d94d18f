"""Planning, doing and verifying a step: one function for each."""

from __future__ import annotations

import shlex

from pytest_deploygate.checks.way_back.section.rollback import Step
from pytest_deploygate.clients.host import commands
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.rollback import dns_switch, haproxy, page, redeploy, restore, verification
from pytest_deploygate.rollback.hooks import Hooks
from pytest_deploygate.rollback.verification import RunItems, Verified


@dataclass(frozen=True)
class Tools:
    """What steps need to run: the change, the hooks, and a function that runs checklist items.

    A restore needs `inventory`; `rollback` names the rollback in progress.
    """

    change: str
    hooks: Hooks
    run_items: RunItems
    inventory: Inventory | None = None
    rollback: str = ""


def plan(step: Step, tools: Tools) -> Verified:
    """Plan a step without changing anything: what it would do, or why that cannot be determined. Never raises."""
    if step.dns is not None:
        return dns_switch.plan(step.dns)
    if step.haproxy is not None:
        return haproxy.plan(step.haproxy)
    if step.restore is not None:
        try:
            return Verified(True, restore.plan(_restore(step, tools)))
        except CannotTell as unknown:
            return Verified(False, str(unknown))
    if step.redeploy is not None:
        return redeploy.plan(step.redeploy)
    if step.page is not None:
        return page.plan(step.page)
    if step.verify_only:
        return Verified(True, "verifies only, changes nothing")
    if step.dry_run is None:
        return Verified(False, f"has no `dry_run`; it would run `{_filled(step.run or '', step, tools)}`")
    ran = commands.run(
        _filled(step.dry_run, step, tools), host=step.host, within_s=step.within.total_seconds()
    )
    return Verified(not ran.problem, ran.said or f"`{ran.command}` {ran.problem or 'ended with 0'}")


def do(step: Step, tools: Tools, mark: int | None = None) -> str:
    """Do a step. Return what went wrong, empty if it was done. Whether it took effect is not known yet.

    The step's command holds `mark`, so that after a crash of the gate it is known whether it still runs.
    """
    theirs, wrong = tools.hooks.answers("pytest_deploygate_rollback_execute", step=step)
    if wrong:  # it may be half done: our own action now would be a second attempt that nobody asked for
        return f"a hook that executes steps failed: {wrong[0]}"
    if theirs:
        return str(theirs[0])
    if step.dns is not None:
        return dns_switch.switch(step.dns)
    if step.haproxy is not None:
        return haproxy.switch(step.haproxy)
    if step.restore is not None:
        try:
            return restore.do(_restore(step, tools, mark))
        except CannotTell as unknown:
            return str(unknown)
    if step.redeploy is not None:
        return redeploy.deploy(step.redeploy, step.within.total_seconds(), mark)
    if step.page is not None:
        return page.switch(step.page)
    if step.verify_only:
        return ""
    ran = commands.run(
        _filled(step.run or "", step, tools), host=step.host, within_s=step.within.total_seconds(), mark=mark
    )
    return f"`{ran.command}` {ran.problem}" if ran.problem else ""


def verify(step: Step, tools: Tools) -> Verified:
    """Check now whether a step has taken effect, by its action and by its own verification; all must be good."""
    found = _own(step, tools)
    if step.verify is not None and all(one.good for one in found):
        found.append(verification.once(step.verify, tools.run_items))
    if not found:
        found.append(_by_hook(step, tools))
    return Verified(all(one.good for one in found), "; ".join(one.said for one in found))


def _by_hook(step: Step, tools: Tools) -> Verified:
    """Ask the hooks; if one raises, the step stays unverified whatever the others return."""
    theirs, wrong = tools.hooks.answers("pytest_deploygate_rollback_verify", step=step)
    if wrong:
        return Verified(False, f"this step could not be verified: its hook failed, {wrong[0]}")
    if not theirs:
        return Verified(False, "nothing verifies this step")
    good = theirs[0] is True
    return Verified(good, "the hook verified it" if good else "the hook reports that it has not taken effect")


def look(step: Step, tools: Tools) -> Verified | None:
    """Return the current state of a step's target, without waiting; None if only items or a hook could tell."""
    found = _own(step, tools)
    if step.verify is not None and step.verify.items is None:
        found.append(verification.once(step.verify, tools.run_items))
    if not found:
        return None
    return Verified(all(one.good for one in found), "; ".join(one.said for one in found))


def verify_patiently(step: Step, tools: Tools) -> Verified:
    """Check until the step has taken effect, for as long as its verification (else the step) allows."""
    allowed = step.verify.within if step.verify else step.within
    return verification.patiently(lambda: verify(step, tools), allowed.total_seconds())


def verifiable(step: Step) -> bool:
    """Tell whether a step can be verified without a hook."""
    own = (step.dns, step.haproxy, step.restore, step.redeploy, step.page)
    return any(one is not None for one in own) or step.verify is not None


def _own(step: Step, tools: Tools) -> list[Verified]:
    """Check the target of a built-in action."""
    if step.dns is not None:
        return [dns_switch.verify(step.dns)]
    if step.haproxy is not None:
        return [haproxy.verify(step.haproxy)]
    if step.redeploy is not None:
        return [redeploy.verify(step.redeploy)]
    if step.page is not None:
        return [page.verify(step.page)]
    if step.restore is not None:
        try:
            return [restore.verify(_restore(step, tools))]
        except CannotTell as unknown:
            return [Verified(False, str(unknown))]
    return []


def _restore(step: Step, tools: Tools, mark: int | None = None) -> restore.Restore:
    return restore.of(step, tools.inventory, tools.change, f"{tools.rollback} {step.name}", mark)


def _filled(command: str, step: Step, tools: Tools) -> str:
    return command.replace("{change}", shlex.quote(tools.change)).replace("{step}", shlex.quote(step.name))
