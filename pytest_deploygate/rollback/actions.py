"""What a step does, how it is looked at before, and how it is known to have taken: one function for each of the three."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pytest_deploygate.inventory.rollback import Step
from pytest_deploygate.probes import commands
from pytest_deploygate.rollback import dns_switch, haproxy, verification
from pytest_deploygate.rollback.hooks import Hooks
from pytest_deploygate.rollback.verification import RunItems, Verified


@dataclass(frozen=True, slots=True)
class Tools:
    """What steps need beside themselves: the change, the hooks, and a way to run items of the checklist."""

    change: str
    hooks: Hooks
    run_items: RunItems


def plan(step: Step, tools: Tools) -> Verified:
    """Look at a step without changing anything: what it would do, and whether that can be told. Never raises."""
    if step.dns is not None:
        return dns_switch.plan(step.dns)
    if step.haproxy is not None:
        return haproxy.plan(step.haproxy)
    if step.verify_only:
        return Verified(True, "looks, and changes nothing")
    if step.dry_run is None:
        return Verified(False, f"has no `dry_run`; it would run `{_filled(step.run or '', step, tools)}`")
    ran = commands.run(
        _filled(step.dry_run, step, tools), host=step.host, within_s=step.within.total_seconds()
    )
    return Verified(not ran.problem, ran.said or f"`{ran.command}` {ran.problem or 'ended with 0'}")


def do(step: Step, tools: Tools, mark: int | None = None) -> str:
    """Do a step. Return what went wrong; empty: it was done, which says nothing yet of whether it took.

    `mark` is kept by its command, so that after a crash of ours it is known whether that still runs.
    """
    theirs, wrong = tools.hooks.answers("pytest_deploygate_rollback_execute", step=step)
    if wrong:  # it may have done half of it: ours on top would be a second try that nobody asked for
        return f"a hook that does steps broke off: {wrong[0]}"
    if theirs:
        return str(theirs[0])
    if step.dns is not None:
        return dns_switch.switch(step.dns)
    if step.haproxy is not None:
        return haproxy.switch(step.haproxy)
    if step.verify_only:
        return ""
    ran = commands.run(
        _filled(step.run or "", step, tools), host=step.host, within_s=step.within.total_seconds(), mark=mark
    )
    return f"`{ran.command}` {ran.problem}" if ran.problem else ""


def verify(step: Step, tools: Tools) -> Verified:
    """Tell whether a step has taken, now: by what it does and by its own verification; all of them must be good."""
    found = []
    if step.dns is not None:
        found.append(dns_switch.verify(step.dns))
    if step.haproxy is not None:
        found.append(haproxy.verify(step.haproxy))
    if step.verify is not None and all(one.good for one in found):
        found.append(verification.once(step.verify, tools.run_items))
    if not found:
        found.append(_by_hook(step, tools))
    return Verified(all(one.good for one in found), "; ".join(one.said for one in found))


def _by_hook(step: Step, tools: Tools) -> Verified:
    """Ask the hooks; one that raises leaves the step unverified, whatever another says."""
    theirs, wrong = tools.hooks.answers("pytest_deploygate_rollback_verify", step=step)
    if wrong:
        return Verified(False, f"nothing verifies this step: its hook broke off, {wrong[0]}")
    if not theirs:
        return Verified(False, "nothing verifies this step")
    good = theirs[0] is True
    return Verified(good, "the hook verified it" if good else "the hook says that it has not taken")


def verify_patiently(step: Step, tools: Tools) -> Verified:
    """Ask until the step has taken, for as long as its verification (else the step) allows."""
    allowed = step.verify.within if step.verify else step.within
    return verification.patiently(lambda: verify(step, tools), allowed.total_seconds())


def verifiable(step: Step) -> bool:
    """Tell whether a step can be verified without a hook."""
    return step.dns is not None or step.haproxy is not None or step.verify is not None


def _filled(command: str, step: Step, tools: Tools) -> str:
    return command.replace("{change}", shlex.quote(tools.change)).replace("{step}", shlex.quote(step.name))
